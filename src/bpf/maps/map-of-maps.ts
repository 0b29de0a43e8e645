// BPF_MAP_TYPE_ARRAY_OF_MAPS and HASH_OF_MAPS: entries are maps that look like the declared inner map.
// kernel/bpf/map_in_map.c; programs may look inner maps up, only user space puts them in.
import { errno } from '../errno.ts'
import { References } from '../lifetime.ts'
import { indexOf, nextIndexKey } from './array-map.ts'
import { KeyTable } from './key-table.ts'
import { type BpfMap, type MapSpec, mapFlag, updateFlag } from './map.ts'

/** array_map_meta_equal(), bpf_map_meta_equal(): an array's length counts too, unless BPF_F_INNER_MAP is set. */
function looksLike(inner: MapSpec | undefined, spec: MapSpec): boolean {
  if (inner === undefined) return false
  const flags = inner.flags ?? 0
  const sameLength =
    inner.type !== 'array' || (flags & mapFlag.BPF_F_INNER_MAP) !== 0 || inner.maxEntries === spec.maxEntries
  return (
    inner.type === spec.type &&
    inner.keySize === spec.keySize &&
    inner.valueSize === spec.valueSize &&
    flags === (spec.flags ?? 0) &&
    sameLength
  )
}

/** A map whose values are maps. */
export class MapOfMaps {
  readonly spec: MapSpec
  readonly references: References
  frozen = false
  private readonly inner: (BpfMap | undefined)[] = []
  /** Only for the hash. */
  private readonly table: KeyTable | undefined

  constructor(spec: MapSpec) {
    this.spec = spec
    this.table = spec.type === 'hash_of_maps' ? new KeyTable(spec.keySize) : undefined
    this.references = new References({ onFree: () => this.clear() })
  }

  /** The inner map of a key. */
  lookup(key: Uint8Array): BpfMap | undefined {
    return this.inner[this.table === undefined ? indexOf(key) : this.table.find(key)]
  }

  /** 0; -EINVAL when the map does not look like the declared inner map; otherwise as in the array or the hash. */
  update(key: Uint8Array, map: BpfMap, flags: number): number {
    const slot = this.table === undefined ? this.arraySlot(key, flags) : this.hashSlot(this.table, key, flags)
    if (slot < 0) return slot
    if (!looksLike(this.spec.inner, map.spec)) return -errno.EINVAL
    const at = this.table !== undefined && slot === this.fresh ? this.table.add(key) : slot
    const before = this.inner[at]
    map.references.hold()
    this.inner[at] = map
    before?.references.release()
    return 0
  }

  /** 0, -ENOENT, or -E2BIG for an index past the end. */
  delete(key: Uint8Array): number {
    if (this.table === undefined && indexOf(key) >= this.spec.maxEntries) return -errno.E2BIG
    const slot = this.table === undefined ? indexOf(key) : this.table.find(key)
    const before = this.inner[slot]
    if (before === undefined) return -errno.ENOENT
    this.table?.remove(slot)
    this.inner[slot] = undefined
    before.references.release()
    return 0
  }

  nextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    if (this.table === undefined) return nextIndexKey(key, this.spec.maxEntries)
    const next = this.table.usedFrom((key === undefined ? -1 : this.table.find(key)) + 1)
    return next < 0 ? undefined : this.table.keyAt(next)
  }

  /** Says "a slot that must be made"; no slot number is that large. */
  private readonly fresh = Number.MAX_SAFE_INTEGER

  private arraySlot(key: Uint8Array, flags: number): number {
    if (flags !== updateFlag.BPF_ANY) return -errno.EINVAL
    return indexOf(key) >= this.spec.maxEntries ? -errno.E2BIG : indexOf(key)
  }

  private hashSlot(table: KeyTable, key: Uint8Array, flags: number): number {
    if (flags > updateFlag.BPF_EXIST || flags < 0) return -errno.EINVAL
    const slot = table.find(key)
    if (slot >= 0) return flags === updateFlag.BPF_NOEXIST ? -errno.EEXIST : slot
    if (flags === updateFlag.BPF_EXIST) return -errno.ENOENT
    return table.size >= this.spec.maxEntries ? -errno.E2BIG : this.fresh
  }

  private clear(): void {
    for (const map of this.inner) map?.references.release()
    this.inner.length = 0
  }
}
