// BPF_MAP_TYPE_DEVMAP and DEVMAP_HASH: targets of bpf_redirect_map. A value is struct bpf_devmap_val: the ifindex (u32)
// and, where the value has 8 bytes, the fd of a program that runs at the target. kernel/bpf/devmap.c
import { errno } from '../errno.ts'
import { References } from '../lifetime.ts'
import { indexKey, indexOf, nextIndexKey } from './array-map.ts'
import { type BpfMap, type MapSpec, updateFlag } from './map.ts'

/** Devices by index, or by any u32 in the hash. Programs may read it and never write it (BPF_F_RDONLY_PROG is implied). */
export class DevMap implements BpfMap {
  readonly spec: MapSpec
  readonly references = new References()
  frozen = false
  private readonly values = new Map<number, Uint8Array>()
  private readonly hash: boolean

  constructor(spec: MapSpec) {
    this.spec = spec
    this.hash = spec.type === 'devmap_hash'
  }

  get count(): number {
    return this.values.size
  }

  /** The ifindex in a slot, or 0. */
  ifindexAt(index: number): number {
    const value = this.values.get(index)
    return value === undefined ? 0 : indexOf(value)
  }

  /** The ifindexes of all slots, in the order of their keys: BPF_F_BROADCAST. */
  ifindexes(): number[] {
    const keys = [...this.values.keys()].sort((left, right) => left - right)
    return keys.map((key) => this.ifindexAt(key))
  }

  /** A device has gone: its slots are empty (dev_map_notification, NETDEV_UNREGISTER). */
  forget(ifindex: number): void {
    for (const key of [...this.values.keys()]) if (this.ifindexAt(key) === ifindex) this.values.delete(key)
  }

  lookup(key: Uint8Array, _cpu: number): Uint8Array | undefined {
    return this.values.get(indexOf(key))
  }

  peek(key: Uint8Array, _cpu: number): Uint8Array | undefined {
    return this.values.get(indexOf(key))
  }

  /** __dev_map_update_elem(), __dev_map_hash_update_elem(). Whether the device exists is for the caller to know. */
  update(key: Uint8Array, value: Uint8Array, flags: number, _cpu: number): number {
    if (flags > updateFlag.BPF_EXIST || flags < 0) return -errno.EINVAL
    const index = indexOf(key)
    const ifindex = indexOf(value)
    const refused = this.hash ? this.refusedHash(index, ifindex, flags) : this.refusedArray(index, flags)
    if (refused !== 0) return refused
    if (ifindex === 0) this.values.delete(index)
    else this.values.set(index, value.slice(0, this.spec.valueSize))
    return 0
  }

  /** 0; in the array -EINVAL past the end and no error for an empty slot, in the hash -ENOENT. */
  delete(key: Uint8Array): number {
    const index = indexOf(key)
    if (!this.hash && index >= this.spec.maxEntries) return -errno.EINVAL
    const removed = this.values.delete(index)
    return this.hash && !removed ? -errno.ENOENT : 0
  }

  nextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    if (!this.hash) return nextIndexKey(key, this.spec.maxEntries)
    const keys = [...this.values.keys()]
    const next = keys[key === undefined ? 0 : keys.indexOf(indexOf(key)) + 1]
    return next === undefined ? undefined : indexKey(next)
  }

  private refusedArray(index: number, flags: number): number {
    if (index >= this.spec.maxEntries) return -errno.E2BIG
    return flags === updateFlag.BPF_NOEXIST ? -errno.EEXIST : 0
  }

  private refusedHash(index: number, ifindex: number, flags: number): number {
    if (ifindex === 0) return -errno.EINVAL
    if (this.values.has(index)) return flags === updateFlag.BPF_NOEXIST ? -errno.EEXIST : 0
    return this.values.size >= this.spec.maxEntries ? -errno.E2BIG : 0
  }
}
