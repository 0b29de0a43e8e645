// A table keyed by an address and a small number (an interface index, a prefix length, or 0). IPv4 keys are one exact
// number; IPv6 keys are a hash with a short chain behind it. No strings, so that a look-up on the packet path stays cheap.
import { type IpAddress, isIpv4, sameIp } from '../../net/address.ts'

interface Slot<T> {
  readonly address: IpAddress
  readonly scope: number
  value: T
}

const word = 0x1_0000_0000

/** A 32-bit mix of the four words of an IPv6 address (murmur's finaliser over a running product). */
function mix6(address: readonly [number, number, number, number]): number {
  let hash = 0x9e37_79b9
  for (let i = 0; i < 4; i += 1) {
    hash = Math.imul(hash ^ (address[i as 0 | 1 | 2 | 3] as number), 0x85eb_ca6b)
    hash ^= hash >>> 15
  }
  return hash >>> 0
}

/** One exact number for an IPv4 address, a hash for an IPv6 one; `scope` must be below 2^20. */
function keyOf(address: IpAddress, scope: number): number {
  return (isIpv4(address) ? address : mix6(address)) + scope * word
}

/** A map from (address, scope) to a value, in order of insertion. */
export class AddressMap<T> {
  /** Made on first use: a namespace has many of these tables, and most stay empty. */
  private slots: Map<number, Slot<T> | Slot<T>[]> | undefined
  private count = 0

  get size(): number {
    return this.count
  }

  get(address: IpAddress, scope = 0): T | undefined {
    return this.slot(address, scope)?.value
  }

  set(address: IpAddress, scope: number, value: T): void {
    const key = keyOf(address, scope)
    this.slots ??= new Map()
    const found = this.slots.get(key)
    const existing = found === undefined ? undefined : slotIn(found, address, scope)
    if (existing !== undefined) {
      existing.value = value
      return
    }
    const slot: Slot<T> = { address, scope, value }
    if (found === undefined) this.slots.set(key, slot)
    else if (Array.isArray(found)) found.push(slot)
    else this.slots.set(key, [found, slot])
    this.count += 1
  }

  delete(address: IpAddress, scope = 0): boolean {
    const key = keyOf(address, scope)
    const found = this.slots?.get(key)
    if (this.slots === undefined || found === undefined) return false
    const chain = Array.isArray(found) ? found : [found]
    const rest = chain.filter((slot) => slot.scope !== scope || !sameIp(slot.address, address))
    if (rest.length === chain.length) return false
    if (rest.length === 0) this.slots.delete(key)
    else this.slots.set(key, rest)
    this.count -= 1
    return true
  }

  /** Deletes what a predicate picks. */
  removeIf(unwanted: (value: T) => boolean): void {
    const { slots } = this
    if (slots === undefined) return
    for (const [key, found] of [...slots]) {
      const chain = Array.isArray(found) ? found : [found]
      const kept = chain.filter((slot) => !unwanted(slot.value))
      this.count -= chain.length - kept.length
      if (kept.length === 0) slots.delete(key)
      else if (kept.length < chain.length) slots.set(key, kept)
    }
  }

  /** Calls a function with every value, in the order of `values`. */
  forEach(visit: (value: T) => void): void {
    this.slots?.forEach((found) => {
      if (Array.isArray(found)) for (const slot of found) visit(slot.value)
      else visit(found.value)
    })
  }

  /** Every value. */
  *values(): Generator<T> {
    for (const found of this.slots?.values() ?? []) {
      if (Array.isArray(found)) for (const slot of found) yield slot.value
      else yield found.value
    }
  }

  private slot(address: IpAddress, scope: number): Slot<T> | undefined {
    if (this.slots === undefined) return undefined
    const found = this.slots.get(keyOf(address, scope))
    return found === undefined ? undefined : slotIn(found, address, scope)
  }
}

function slotIn<T>(found: Slot<T> | Slot<T>[], address: IpAddress, scope: number): Slot<T> | undefined {
  if (!Array.isArray(found)) {
    if (isIpv4(address)) return found
    return found.scope === scope && sameIp(found.address, address) ? found : undefined
  }
  return found.find((slot) => slot.scope === scope && sameIp(slot.address, address))
}
