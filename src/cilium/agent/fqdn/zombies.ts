// Addresses whose names are over but that connections may still use: pkg/fqdn/cache.go DNSZombieMappings. Times are nanoseconds.
import { formatIp, type IpAddress } from '../../../net/address.ts'

/** An address that waits for its end. */
export interface Zombie {
  readonly address: IpAddress
  readonly names: readonly string[]
  /** When a connection was last seen. */
  readonly aliveAt: number
  readonly deletePendingAt: number
  /** How often conntrack had been collected by then. */
  readonly revision: number
}

export interface ZombieOptions {
  /** tofqdns-max-deferred-connection-deletes */
  readonly max: number
  /** tofqdns-endpoint-max-ip-per-hostname; 0: any number. */
  readonly perName: number
  /** tofqdns-idle-connection-grace-period (nanoseconds). */
  readonly grace: number
  /** Collections of conntrack that a zombie outlives at least: 2 in 1.19, 0 in 1.10. */
  readonly revisions: number
}

function byAge(left: Zombie, right: Zombie): number {
  return (
    left.aliveAt - right.aliveAt ||
    left.deletePendingAt - right.deletePendingAt ||
    left.names.length - right.names.length
  )
}

/** The zombies of one endpoint. */
export class Zombies {
  readonly #options: ZombieOptions
  readonly #byAddress = new Map<string, Zombie>()
  #lastCollection = 0
  #revision = 0

  constructor(options: ZombieOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#byAddress.size
  }

  /** Upsert() */
  add(expires: number, address: IpAddress, name: string): void {
    const key = formatIp(address)
    const known = this.#byAddress.get(key)
    const last = this.#lastCollection
    if (known === undefined) {
      this.#byAddress.set(key, {
        address,
        names: [name],
        aliveAt: last,
        deletePendingAt: expires,
        revision: this.#revision,
      })
      return
    }
    this.#byAddress.set(key, {
      ...known,
      names: [...new Set([...known.names, name])],
      deletePendingAt: Math.max(known.deletePendingAt, expires),
      aliveAt: Math.max(known.aliveAt, last),
    })
  }

  /** ForceExpireByNameIP(): a name has been looked up anew. */
  revive(before: number, name: string, addresses: readonly IpAddress[]): void {
    for (const key of addresses.map(formatIp)) {
      const zombie = this.#byAddress.get(key)
      if (zombie === undefined || zombie.deletePendingAt > before) continue
      const names = zombie.names.filter((each) => each !== name)
      if (names.length === 0) this.#byAddress.delete(key)
      else this.#byAddress.set(key, { ...zombie, names })
    }
  }

  /** MarkAlive(): conntrack has an entry to this address. */
  markAlive(at: number, address: IpAddress): void {
    const key = formatIp(address)
    const zombie = this.#byAddress.get(key)
    if (zombie !== undefined) this.#byAddress.set(key, { ...zombie, aliveAt: at })
  }

  /** SetCTGCTime(): conntrack was collected; the collection had begun then. */
  collected(began: number): void {
    this.#lastCollection = began
    this.#revision += 1
  }

  #isAlive({ deletePendingAt, aliveAt, revision }: Zombie): boolean {
    const { grace, revisions } = this.#options
    const last = this.#lastCollection
    return last <= deletePendingAt + grace || last <= aliveAt || this.#revision < revision + revisions
  }

  /** GC(): those that stay, and those that are over now. A name with one live address keeps all of them, up to its limit. */
  collect(): { readonly alive: readonly Zombie[]; readonly dead: readonly Zombie[] } {
    const all = [...this.#byAddress.values()]
    const liveNames = new Set(all.filter((each) => this.#isAlive(each)).flatMap(({ names }) => names))
    const dead = new Set(
      all.filter((each) => !this.#isAlive(each) && !each.names.some((name) => liveNames.has(name))),
    )
    const { max, perName } = this.#options
    if (perName > 0) {
      for (const name of liveNames) {
        const own = all.filter(({ names }) => names.includes(name)).sort(byAge)
        for (const each of own.slice(0, Math.max(0, own.length - perName))) dead.add(each)
      }
    }
    const alive = all.filter((each) => !dead.has(each))
    if (alive.length > max) for (const each of alive.sort(byAge).splice(0, alive.length - max)) dead.add(each)
    for (const { address } of dead) this.#byAddress.delete(formatIp(address))
    return { alive, dead: [...dead] }
  }
}
