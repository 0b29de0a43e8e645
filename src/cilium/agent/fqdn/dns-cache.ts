// What names were seen to stand for, and until when: pkg/fqdn/cache.go DNSCache. Times are nanoseconds.
import { formatIp, type IpAddress } from '../../../net/address.ts'

const second = 1_000_000_000

/** One lookup; several addresses share it. */
export interface CacheEntry {
  readonly name: string
  readonly lookup: number
  readonly expires: number
  readonly addresses: readonly IpAddress[]
}

/** An address that is no longer in a cache, and what had put it there. */
export interface Removed {
  readonly address: IpAddress
  readonly entry: CacheEntry
}

interface Held {
  readonly address: IpAddress
  readonly entry: CacheEntry
}

/** Lookups by name and address. */
export class DnsCache {
  readonly #byName = new Map<string, Map<string, Held>>()
  readonly #minTtl: number
  /** Most addresses of a name; 0: any number. */
  readonly #limit: number

  /** `minTtl` in seconds. */
  constructor(minTtl: number, limit = 0) {
    this.#minTtl = minTtl
    this.#limit = limit
  }

  /** Update(): whether something is there for longer now, and whether an address is new. `ttl` in seconds. */
  update(
    lookup: number,
    name: string,
    addresses: readonly IpAddress[],
    ttl: number,
  ): { readonly updated: boolean; readonly upserted: boolean } {
    const expires = lookup + Math.max(ttl, this.#minTtl) * second
    return this.take({ name, lookup, expires, addresses })
  }

  /** updateWithEntryIPs() */
  take(entry: CacheEntry): { readonly updated: boolean; readonly upserted: boolean } {
    const held = this.#byName.get(entry.name) ?? new Map<string, Held>()
    this.#byName.set(entry.name, held)
    let updated = false
    let upserted = false
    for (const address of entry.addresses) {
      const key = formatIp(address)
      const old = held.get(key)
      if (old === undefined || old.entry.expires < entry.expires) {
        held.set(key, { address, entry })
        updated = true
      }
      upserted ||= old === undefined
    }
    return { updated, upserted }
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()]
  }

  /** The entries of a name. */
  entriesOf(name: string): readonly CacheEntry[] {
    return [...(this.#byName.get(name)?.values() ?? [])].map(({ entry }) => entry)
  }

  addressesOf(name: string): readonly IpAddress[] {
    return [...(this.#byName.get(name)?.values() ?? [])].map(({ address }) => address)
  }

  /** Every address with its names. */
  pairs(): readonly { readonly address: IpAddress; readonly name: string }[] {
    return this.names.flatMap((name) => this.addressesOf(name).map((address) => ({ address, name })))
  }

  has(name: string, address: IpAddress): boolean {
    return this.#byName.get(name)?.has(formatIp(address)) === true
  }

  forget(name: string): void {
    this.#byName.delete(name)
  }

  /** GC(): what is over, which is looked at by whole seconds, and what is above the limit, that which ends first. */
  collect(now: number): readonly Removed[] {
    const upTo = Math.ceil(now / second) * second
    const isOver = ({ expires }: CacheEntry): boolean =>
      Math.floor(expires / second) * second < now && expires < upTo
    const removed: Removed[] = []
    for (const name of this.names) {
      const held = this.#byName.get(name)
      if (held === undefined) continue
      const over = [...held.values()].filter(({ entry }) => isOver(entry))
      const rest = [...held.values()].filter(({ entry }) => !isOver(entry))
      const tooMany = this.#limit === 0 ? 0 : Math.max(0, rest.length - this.#limit)
      rest.sort((left, right) => left.entry.expires - right.entry.expires)
      for (const each of [...over, ...rest.slice(0, tooMany)]) {
        held.delete(formatIp(each.address))
        removed.push(each)
      }
      if (held.size === 0) this.#byName.delete(name)
    }
    return removed
  }
}
