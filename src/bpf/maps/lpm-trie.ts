// BPF_MAP_TYPE_LPM_TRIE: keys are a prefix length (u32, host byte order) and data; a lookup finds the longest prefix
// that covers the data. kernel/bpf/lpm_trie.c
//
// One hash table holds all prefixes, masked; a lookup asks it once for each length that exists. So the cost depends on
// how many different lengths there are, not on how many prefixes.
import { errno } from '../errno.ts'
import { References } from '../lifetime.ts'
import { indexOf } from './array-map.ts'
import { KeyTable } from './key-table.ts'
import { type BpfMap, type MapSpec, updateFlag } from './map.ts'
import { ValueStore } from './value-store.ts'

/** Bytes of struct bpf_lpm_trie_key before the data. */
const lengthBytes = 4

/** Order of trie_get_next_key(): by bits, and a prefix behind all that it covers. */
function compareKeys(left: Uint8Array, right: Uint8Array): number {
  const shared = Math.min(indexOf(left), indexOf(right))
  for (let bit = 0; bit < shared; bit += 1) {
    const at = lengthBytes + (bit >>> 3)
    const mask = 0x80 >>> (bit & 7)
    const difference = ((left[at] ?? 0) & mask) - ((right[at] ?? 0) & mask)
    if (difference !== 0) return difference
  }
  return indexOf(right) - indexOf(left)
}

/** Prefixes and their values. */
export class LpmTrie implements BpfMap {
  readonly spec: MapSpec
  readonly references = new References()
  frozen = false
  private readonly table: KeyTable
  private readonly store: ValueStore
  private readonly lengthMax: number
  /** How many prefixes of each length there are. */
  private readonly population = new Map<number, number>()
  /** The lengths that exist, longest first. */
  private lengths: number[] = []
  /** Reused for every question: a masked key. */
  private readonly wanted: Uint8Array
  private sorted: readonly Uint8Array[] | undefined

  constructor(spec: MapSpec) {
    this.spec = spec
    this.lengthMax = (spec.keySize - lengthBytes) * 8
    this.table = new KeyTable(spec.keySize)
    this.store = new ValueStore(spec.valueSize)
    this.wanted = new Uint8Array(spec.keySize)
  }

  get count(): number {
    return this.table.size
  }

  /** The longest prefix of at most the key's own length that covers its data. */
  lookup(key: Uint8Array, _cpu: number): Uint8Array | undefined {
    const slot = this.match(key)
    return slot < 0 ? undefined : this.store.view(slot)
  }

  /** The entry of exactly this prefix. */
  peek(key: Uint8Array, _cpu: number): Uint8Array | undefined {
    const slot = this.exact(key)
    return slot < 0 ? undefined : this.store.view(slot)
  }

  /** The key of the entry that `lookup` finds. */
  entryKey(key: Uint8Array): Uint8Array | undefined {
    const slot = this.match(key)
    return slot < 0 ? undefined : this.table.keyAt(slot)
  }

  update(key: Uint8Array, value: Uint8Array, flags: number, _cpu: number): number {
    if (flags > updateFlag.BPF_EXIST || flags < 0) return -errno.EINVAL
    const length = indexOf(key)
    if (length > this.lengthMax) return -errno.EINVAL
    let slot = this.exact(key)
    if (slot >= 0 && flags === updateFlag.BPF_NOEXIST) return -errno.EEXIST
    if (slot < 0 && flags === updateFlag.BPF_EXIST) return -errno.ENOENT
    if (slot < 0) {
      if (this.table.size >= this.spec.maxEntries) return -errno.ENOSPC
      slot = this.table.add(this.wanted)
      this.recount(length, 1)
    }
    this.store.view(slot).set(value.subarray(0, this.spec.valueSize))
    return 0
  }

  delete(key: Uint8Array): number {
    const length = indexOf(key)
    if (length > this.lengthMax) return -errno.EINVAL
    const slot = this.exact(key)
    if (slot < 0) return -errno.ENOENT
    this.table.remove(slot)
    this.recount(length, -1)
    return 0
  }

  nextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    this.sorted ??= this.allKeys().sort(compareKeys)
    const at = key === undefined ? -1 : this.sorted.findIndex((known) => compareKeys(known, key) === 0)
    return this.sorted[at + 1]?.slice()
  }

  private allKeys(): Uint8Array[] {
    const keys: Uint8Array[] = []
    for (let slot = this.table.usedFrom(0); slot >= 0; slot = this.table.usedFrom(slot + 1)) {
      keys.push(this.table.keyAt(slot))
    }
    return keys
  }

  private match(key: Uint8Array): number {
    const most = indexOf(key)
    if (most > this.lengthMax) return -1
    for (const length of this.lengths) {
      if (length > most) continue
      this.mask(key, length)
      const slot = this.table.find(this.wanted)
      if (slot >= 0) return slot
    }
    return -1
  }

  private exact(key: Uint8Array): number {
    const length = indexOf(key)
    if (length > this.lengthMax) return -1
    this.mask(key, length)
    return this.table.find(this.wanted)
  }

  /** Puts the first `length` bits of a key's data into `wanted`. */
  private mask(key: Uint8Array, length: number): void {
    const { wanted } = this
    wanted[0] = length
    wanted[1] = length >>> 8
    const whole = lengthBytes + (length >>> 3)
    for (let at = lengthBytes; at < wanted.length; at += 1) wanted[at] = at < whole ? (key[at] ?? 0) : 0
    if ((length & 7) !== 0) wanted[whole] = (key[whole] ?? 0) & (0xff00 >>> (length & 7))
  }

  private recount(length: number, change: 1 | -1): void {
    this.sorted = undefined
    const before = this.population.get(length) ?? 0
    if (before + change === 0) this.population.delete(length)
    else this.population.set(length, before + change)
    if (before === 0 || before + change === 0)
      this.lengths = [...this.population.keys()].sort((left, right) => right - left)
  }
}
