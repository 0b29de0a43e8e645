// The names that one agent's DNS proxy has learnt: a cache and zombies for each endpoint, and one cache over all of them, which
// policies by name choose addresses from. pkg/fqdn/namemanager manager.go, gc.go. Times are nanoseconds.
import { formatIp, type IpAddress } from '../../../net/address.ts'
import type { DnsAnswer } from '../told.ts'
import { DnsCache } from './dns-cache.ts'
import { Zombies } from './zombies.ts'

const second = 1_000_000_000

/** DNSGCJobInterval. */
export const nameCollectionInterval = 60 * second
/** Names of live connections are kept for two rounds (seconds). */
const liveTtl = (2 * nameCollectionInterval) / second

/** Settings of the agent about names. */
export interface NameOptions {
  /** tofqdns-min-ttl (seconds). */
  readonly minTtl: number
  /** tofqdns-endpoint-max-ip-per-hostname */
  readonly maxAddresses: number
  /** tofqdns-max-deferred-connection-deletes */
  readonly maxZombies: number
  /** tofqdns-idle-connection-grace-period (nanoseconds). */
  readonly grace: number
}

interface EndpointNames {
  readonly history: DnsCache
  readonly zombies: Zombies
}

export class NameManager {
  readonly #options: NameOptions
  readonly #legacy: boolean
  readonly #all: DnsCache
  readonly #endpoints = new Map<number, EndpointNames>()

  constructor(options: NameOptions, legacy: boolean) {
    this.#options = options
    this.#legacy = legacy
    this.#all = new DnsCache(options.minTtl)
  }

  /** Nothing is known, and nothing waits for its end. */
  get idle(): boolean {
    const own = [...this.#endpoints.values()]
    return (
      this.#all.names.length === 0 &&
      own.every(({ history, zombies }) => history.names.length === 0 && zombies.size === 0)
    )
  }

  /** What names stand for now. */
  get answers(): readonly DnsAnswer[] {
    return this.#all.names.map((name) => ({ name, addresses: this.#all.addressesOf(name) }))
  }

  /** UpdateOnDNSMsg(): an endpoint was answered; whether an address is new. `ttl` in seconds. */
  answered(
    endpoint: number,
    at: number,
    answer: { readonly name: string; readonly addresses: readonly IpAddress[]; readonly ttl: number },
  ): boolean {
    const { name, addresses, ttl } = answer
    const { history, zombies } = this.#of(endpoint)
    const { updated, upserted } = history.update(at, name, addresses, ttl)
    if (this.#legacy ? updated : upserted) zombies.revive(at, name, addresses)
    return this.#all.update(at, name, addresses, ttl).upserted
  }

  #of(endpoint: number): EndpointNames {
    const known = this.#endpoints.get(endpoint)
    if (known !== undefined) return known
    const { minTtl, maxAddresses, maxZombies, grace } = this.#options
    const made = {
      history: new DnsCache(minTtl, maxAddresses),
      zombies: new Zombies({
        max: maxZombies,
        perName: this.#legacy ? 0 : maxAddresses,
        // 1.10 has it in the time of the connection alone
        grace: this.#legacy ? 0 : grace,
        revisions: this.#legacy ? 0 : 2,
      }),
    }
    this.#endpoints.set(endpoint, made)
    return made
  }

  /**
   * Conntrack was collected: `connections` tells to which addresses an endpoint has entries that stayed. In 1.19 only a round
   * that was `full` says anything about addresses without (MarkCTGCTime()).
   */
  conntrackCollected(
    now: number,
    connections: (endpoint: number) => readonly IpAddress[],
    full = true,
  ): void {
    for (const [id, { zombies }] of this.#endpoints) {
      for (const address of connections(id)) zombies.markAlive(now + this.#options.grace, address)
      if (full || this.#legacy) zombies.collected(now)
    }
  }

  /** doGC() for the endpoints that there are; whether a name has lost an address. */
  collect(now: number, endpoints: ReadonlySet<number>): boolean {
    for (const id of [...this.#endpoints.keys()]) if (!endpoints.has(id)) this.#endpoints.delete(id)
    const live = new DnsCache(liveTtl)
    const touched = new Set<string>()
    const named = new Set<string>()
    for (const { history, zombies } of this.#endpoints.values()) {
      for (const name of history.names) named.add(name)
      for (const { address, entry } of history.collect(now)) {
        touched.add(entry.name)
        zombies.add(Math.max(now, entry.expires), address, entry.name)
      }
      const { alive, dead } = zombies.collect()
      for (const name of [...alive, ...dead].flatMap((each) => each.names)) touched.add(name)
      for (const { names, address } of alive)
        for (const name of names) live.update(now, name, [address], liveTtl)
    }
    // names that no endpoint has looked up any more
    if (!this.#legacy) for (const name of this.#all.names) if (!named.has(name)) touched.add(name)
    return this.#replace(touched, live)
  }

  /** ReplaceFromCacheByNames(): names are put together anew, from addresses that they had before. */
  #replace(names: ReadonlySet<string>, live: DnsCache): boolean {
    const before = this.#all.pairs()
    const had = new Set(before.map(({ address, name }) => `${name} ${formatIp(address)}`))
    for (const name of names) this.#all.forget(name)
    const sources = [live, ...[...this.#endpoints.values()].map(({ history }) => history)]
    for (const name of names) {
      for (const entry of sources.flatMap((source) => source.entriesOf(name))) {
        const addresses = entry.addresses.filter((each) => had.has(`${name} ${formatIp(each)}`))
        if (addresses.length > 0) this.#all.take({ ...entry, addresses })
      }
    }
    return before.some(({ address, name }) => !this.#all.has(name, address))
  }
}
