// BPF_MAP_TYPE_LPM_TRIE: keys are a prefix length (u32, host byte order) and data; a lookup finds the longest prefix
// that covers the data. kernel/bpf/lpm_trie.c
//
// One hash table holds all prefixes, masked; a lookup asks it once for each length that exists. So the cost depends on
// how many different lengths there are, not on how many prefixes.
import { assert } from '../../base/assert.ts'
import { errno } from '../errno.ts'
import { References } from '../lifetime.ts'
import { indexOf } from './array-map.ts'
import { KeyTable } from './key-table.ts'
import { type BpfMap, type MapSpec, updateFlag } from './map.ts'
import { ValueStore } from './value-store.ts'

/** Bytes of struct bpf_lpm_trie_key before the data. */
const lengthBytes = 4

/** Answers of `match`: a slot of the trie itself is 0 or more, one of its base `fromBase` or less. */
const nowhere = -1
const fromBase = -2

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
  /** Entries of another trie that count as this one's where it has none of its own. */
  private base: LpmTrie | undefined
  /** How many entries of `base` have one of the same prefix in front of them. */
  private covered = 0

  constructor(spec: MapSpec) {
    this.spec = spec
    this.lengthMax = (spec.keySize - lengthBytes) * 8
    this.table = new KeyTable(spec.keySize)
    this.store = new ValueStore(spec.valueSize)
    this.wanted = new Uint8Array(spec.keySize)
  }

  get count(): number {
    return this.table.size + (this.base === undefined ? 0 : this.base.count - this.covered)
  }

  /**
   * Takes the entries of another trie over without copying them. This trie must be empty, and the other must not change any
   * more. What is written here later stands in front of them; the first deletion copies them.
   */
  adopt(base: LpmTrie): void {
    const alike = base.spec.keySize === this.spec.keySize && base.spec.valueSize === this.spec.valueSize
    assert(this.count === 0 && base.base === undefined && alike, 'an empty trie adopts one like it')
    this.base = base
    this.relist()
  }

  /** The longest prefix of at most the key's own length that covers its data. */
  lookup(key: Uint8Array, _cpu: number): Uint8Array | undefined {
    const slot = this.match(key)
    return slot === nowhere ? undefined : this.valueAt(slot)
  }

  /** The entry of exactly this prefix. */
  peek(key: Uint8Array, cpu: number): Uint8Array | undefined {
    const slot = this.exact(key)
    return slot < 0 ? this.base?.peek(key, cpu) : this.store.view(slot)
  }

  /** The key of the entry that `lookup` finds. */
  entryKey(key: Uint8Array): Uint8Array | undefined {
    const slot = this.match(key)
    return slot === nowhere ? undefined : this.keyAt(slot)
  }

  update(key: Uint8Array, value: Uint8Array, flags: number, _cpu: number): number {
    if (flags > updateFlag.BPF_EXIST || flags < 0) return -errno.EINVAL
    const length = indexOf(key)
    if (length > this.lengthMax) return -errno.EINVAL
    let slot = this.exact(key)
    const isCovered = slot < 0 && this.base?.peek(key, 0) !== undefined
    const exists = slot >= 0 || isCovered
    if (exists && flags === updateFlag.BPF_NOEXIST) return -errno.EEXIST
    if (!exists && flags === updateFlag.BPF_EXIST) return -errno.ENOENT
    if (!exists && this.count >= this.spec.maxEntries) return -errno.ENOSPC
    if (slot < 0) {
      slot = this.table.add(this.wanted)
      if (isCovered) this.covered += 1
      this.recount(length, 1)
    }
    this.store.view(slot).set(value.subarray(0, this.spec.valueSize))
    return 0
  }

  delete(key: Uint8Array): number {
    const length = indexOf(key)
    if (length > this.lengthMax) return -errno.EINVAL
    if (this.base !== undefined) this.copyBase(this.base)
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
    const below = this.base?.allKeys() ?? []
    return [...keys, ...below.filter((key) => this.exact(key) < 0)]
  }

  /** Entries of `base` become this trie's own. */
  private copyBase(base: LpmTrie): void {
    this.base = undefined
    this.covered = 0
    for (const key of base.allKeys()) {
      const value = base.peek(key, 0)
      if (this.exact(key) < 0 && value !== undefined) this.update(key, value, updateFlag.BPF_ANY, 0)
    }
    this.relist()
  }

  /** The slot of the longest prefix that covers a key; of `base` it is `fromBase` less than the slot there. */
  private match(key: Uint8Array): number {
    const most = indexOf(key)
    if (most > this.lengthMax) return nowhere
    const { table, wanted, base } = this
    for (const length of this.lengths) {
      if (length > most) continue
      this.mask(key, length)
      const slot = table.find(wanted)
      if (slot >= 0) return slot
      const below = base === undefined ? -1 : base.table.find(wanted)
      if (below >= 0) return fromBase - below
    }
    return nowhere
  }

  private valueAt(slot: number): Uint8Array | undefined {
    return slot >= 0 ? this.store.view(slot) : this.base?.store.view(fromBase - slot)
  }

  private keyAt(slot: number): Uint8Array | undefined {
    return slot >= 0 ? this.table.keyAt(slot) : this.base?.table.keyAt(fromBase - slot)
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
    if (before === 0 || before + change === 0) this.relist()
  }

  private relist(): void {
    this.sorted = undefined
    const all = new Set([...this.population.keys(), ...(this.base?.lengths ?? [])])
    this.lengths = [...all].sort((left, right) => right - left)
  }
}
