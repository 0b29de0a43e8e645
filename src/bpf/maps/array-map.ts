// BPF_MAP_TYPE_ARRAY and PERCPU_ARRAY: every entry exists from the start and is zero. kernel/bpf/arraymap.c
import { errno } from '../errno.ts'
import { References } from '../lifetime.ts'
import { type BpfMap, isPerCpu, type MapSpec, updateFlag } from './map.ts'
import { ValueStore } from './value-store.ts'

/** The u32 index in a key, host byte order. */
export function indexOf(key: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = key
  return ((d << 24) | (c << 16) | (b << 8) | a) >>> 0
}

/** A u32 index as a key, host byte order. */
export function indexKey(index: number): Uint8Array {
  return Uint8Array.of(index, index >>> 8, index >>> 16, index >>> 24)
}

/** array_map_get_next_key(): from an index that is out of range back to 0. */
export function nextIndexKey(key: Uint8Array | undefined, maxEntries: number): Uint8Array | undefined {
  const index = key === undefined ? maxEntries : indexOf(key)
  if (index >= maxEntries) return indexKey(0)
  return index === maxEntries - 1 ? undefined : indexKey(index + 1)
}

/** An array of values, or of one value for each CPU. */
export class ArrayMap implements BpfMap {
  readonly spec: MapSpec
  readonly references = new References()
  frozen = false
  private readonly store: ValueStore
  private readonly copies: number

  constructor(spec: MapSpec, cpus: number) {
    this.spec = spec
    this.copies = isPerCpu(spec.type) ? cpus : 1
    this.store = new ValueStore(spec.valueSize)
  }

  get count(): number {
    return this.spec.maxEntries
  }

  lookup(key: Uint8Array, cpu: number): Uint8Array | undefined {
    return this.at(indexOf(key), cpu)
  }

  peek(key: Uint8Array, cpu: number): Uint8Array | undefined {
    return this.at(indexOf(key), cpu)
  }

  /** The value at an index, without a key; undefined past the end. */
  at(index: number, cpu: number): Uint8Array | undefined {
    if (index >= this.spec.maxEntries) return undefined
    return this.copies === 1 ? this.store.view(index) : this.store.view(index * this.copies + cpu)
  }

  update(key: Uint8Array, value: Uint8Array, flags: number, cpu: number): number {
    if (flags > updateFlag.BPF_EXIST || flags < 0) return -errno.EINVAL
    if (indexOf(key) >= this.spec.maxEntries) return -errno.E2BIG
    if (flags === updateFlag.BPF_NOEXIST) return -errno.EEXIST
    this.at(indexOf(key), cpu)?.set(value.subarray(0, this.spec.valueSize))
    return 0
  }

  /** Entries of an array cannot be removed: always -EINVAL. */
  delete(_key: Uint8Array): number {
    return -errno.EINVAL
  }

  nextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    return nextIndexKey(key, this.spec.maxEntries)
  }
}
