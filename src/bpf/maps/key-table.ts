// A hash table from byte keys of one size to slot numbers, in typed arrays: no strings, no allocation for a lookup.
// Slots are numbers from 0; a freed slot is used again, the last freed first. Iteration is in slot order, so a run is
// repeatable (the kernel's order depends on a random seed).

const none = -1

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

function mixed(hash: number, word: number): number {
  const scrambled = Math.imul(hash ^ word, 0x9e37_79b1)
  return scrambled ^ (scrambled >>> 15)
}

/** A 32-bit hash of a key (the finaliser is that of MurmurHash3, public domain). */
function hashOf(key: Uint8Array): number {
  let hash = key.length
  let at = 0
  for (; at + 3 < key.length; at += 4) hash = mixed(hash, wordAt(key, at))
  for (; at < key.length; at += 1) hash = mixed(hash, key[at] as number)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85eb_ca6b)
  hash ^= hash >>> 13
  return hash >>> 0
}

/** Where keys lie. `size` counts the keys that are there. */
export class KeyTable {
  size = 0
  private readonly keyBytes: number
  private buckets: Int32Array
  private next: Int32Array
  private hashes: Uint32Array
  private used: Uint8Array
  private keys: Uint8Array
  private readonly free: number[] = []
  /** Slots handed out so far, free ones included. */
  private top = 0

  constructor(keyBytes: number) {
    this.keyBytes = keyBytes
    this.buckets = new Int32Array(8).fill(none)
    this.next = new Int32Array(8)
    this.hashes = new Uint32Array(8)
    this.used = new Uint8Array(8)
    this.keys = new Uint8Array(8 * keyBytes)
  }

  /** The slot of a key, or -1. */
  find(key: Uint8Array): number {
    const hash = hashOf(key)
    let slot = this.buckets[hash & (this.buckets.length - 1)] as number
    while (slot !== none) {
      if (this.hashes[slot] === hash && this.holds(slot, key)) return slot
      slot = this.next[slot] as number
    }
    return none
  }

  /** Adds a key that is not there and answers its slot. */
  add(key: Uint8Array): number {
    const slot = this.free.pop() ?? this.fresh()
    const hash = hashOf(key)
    this.hashes[slot] = hash
    this.used[slot] = 1
    this.keys.set(key.subarray(0, this.keyBytes), slot * this.keyBytes)
    this.link(slot, hash)
    this.size += 1
    return slot
  }

  /** Removes a slot that is in use. */
  remove(slot: number): void {
    const bucket = (this.hashes[slot] as number) & (this.buckets.length - 1)
    let at = this.buckets[bucket] as number
    if (at === slot) this.buckets[bucket] = this.next[slot] as number
    else {
      while (this.next[at] !== slot) at = this.next[at] as number
      this.next[at] = this.next[slot] as number
    }
    this.used[slot] = 0
    this.free.push(slot)
    this.size -= 1
  }

  /** A copy of the key in a slot. */
  keyAt(slot: number): Uint8Array {
    return this.keys.slice(slot * this.keyBytes, (slot + 1) * this.keyBytes)
  }

  /** The first slot in use from `slot` on, or -1. */
  usedFrom(slot: number): number {
    for (let at = slot; at < this.top; at += 1) if (this.used[at] === 1) return at
    return none
  }

  private holds(slot: number, key: Uint8Array): boolean {
    const offset = slot * this.keyBytes
    for (let at = 0; at < this.keyBytes; at += 1) if (this.keys[offset + at] !== key[at]) return false
    return true
  }

  private link(slot: number, hash: number): void {
    const bucket = hash & (this.buckets.length - 1)
    this.next[slot] = this.buckets[bucket] as number
    this.buckets[bucket] = slot
  }

  private fresh(): number {
    if (this.top === this.next.length) this.grow()
    const slot = this.top
    this.top += 1
    return slot
  }

  private grow(): void {
    const capacity = this.next.length * 2
    const keys = new Uint8Array(capacity * this.keyBytes)
    keys.set(this.keys)
    this.keys = keys
    const hashes = new Uint32Array(capacity)
    hashes.set(this.hashes)
    this.hashes = hashes
    const used = new Uint8Array(capacity)
    used.set(this.used)
    this.used = used
    this.next = new Int32Array(capacity)
    this.buckets = new Int32Array(capacity).fill(none)
    for (let slot = 0; slot < this.top; slot += 1) {
      if (used[slot] === 1) this.link(slot, hashes[slot] as number)
    }
  }
}
