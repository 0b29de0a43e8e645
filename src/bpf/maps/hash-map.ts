// BPF_MAP_TYPE_HASH, PERCPU_HASH, LRU_HASH and LRU_PERCPU_HASH. kernel/bpf/hashtab.c
//
// An LRU map evicts exactly the entry whose last use is longest ago. The kernel's LRU is an approximation that frees in
// batches per CPU (bpf_lru_list.c), so which entry goes is not a promise there either.
import { errno } from '../errno.ts'
import { References } from '../lifetime.ts'
import { KeyTable } from './key-table.ts'
import { type BpfMap, isPerCpu, type MapSpec, updateFlag } from './map.ts'
import { UseOrder } from './use-order.ts'
import { ValueStore } from './value-store.ts'

/** A hash table from keys to values, or to one value for each CPU. */
export class HashMap implements BpfMap {
  readonly spec: MapSpec
  readonly references = new References()
  frozen = false
  private readonly table: KeyTable
  private readonly store: ValueStore
  private readonly copies: number
  /** Only in LRU maps. */
  private readonly order: UseOrder | undefined

  constructor(spec: MapSpec, cpus: number) {
    this.spec = spec
    this.copies = isPerCpu(spec.type) ? cpus : 1
    this.table = new KeyTable(spec.keySize)
    this.store = new ValueStore(spec.valueSize)
    this.order = spec.type === 'lru_hash' || spec.type === 'lru_percpu_hash' ? new UseOrder() : undefined
  }

  get count(): number {
    return this.table.size
  }

  lookup(key: Uint8Array, cpu: number): Uint8Array | undefined {
    const slot = this.table.find(key)
    if (slot < 0) return undefined
    this.order?.use(slot)
    return this.value(slot, cpu)
  }

  peek(key: Uint8Array, cpu: number): Uint8Array | undefined {
    const slot = this.table.find(key)
    return slot < 0 ? undefined : this.value(slot, cpu)
  }

  update(key: Uint8Array, value: Uint8Array, flags: number, cpu: number): number {
    if (flags > updateFlag.BPF_EXIST || flags < 0) return -errno.EINVAL
    const found = this.table.find(key)
    if (found >= 0 && flags === updateFlag.BPF_NOEXIST) return -errno.EEXIST
    if (found < 0 && flags === updateFlag.BPF_EXIST) return -errno.ENOENT
    const slot = found >= 0 ? found : this.make(key)
    if (slot < 0) return -errno.E2BIG
    this.order?.use(slot)
    this.value(slot, cpu).set(value.subarray(0, this.spec.valueSize))
    return 0
  }

  delete(key: Uint8Array): number {
    const slot = this.table.find(key)
    if (slot < 0) return -errno.ENOENT
    this.remove(slot)
    return 0
  }

  nextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    const slot = key === undefined ? -1 : this.table.find(key)
    const next = this.table.usedFrom(slot + 1)
    return next < 0 ? undefined : this.table.keyAt(next)
  }

  /** The key that an insertion of `key` would evict; undefined when nothing would go. */
  victimFor(key: Uint8Array): Uint8Array | undefined {
    if (this.order === undefined || this.table.size < this.spec.maxEntries) return undefined
    return this.table.find(key) >= 0 ? undefined : this.table.keyAt(this.order.oldest)
  }

  /** A slot for a new key, its values zero; -1 when the map is full. */
  private make(key: Uint8Array): number {
    if (this.table.size >= this.spec.maxEntries) {
      if (this.order === undefined) return -1
      this.remove(this.order.oldest)
    }
    const slot = this.table.add(key)
    for (let cpu = 0; cpu < this.copies; cpu += 1) this.value(slot, cpu).fill(0)
    return slot
  }

  private remove(slot: number): void {
    this.table.remove(slot)
    this.order?.forget(slot)
  }

  private value(slot: number, cpu: number): Uint8Array {
    return this.copies === 1 ? this.store.view(slot) : this.store.view(slot * this.copies + cpu)
  }
}
