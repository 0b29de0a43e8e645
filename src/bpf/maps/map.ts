// What every BPF map has in common: kinds, flags, declared sizes, and the operations that a program and user space
// share. A map holds bytes; layouts are for people. Errors are the kernel's, negated (kernel/bpf/*map*.c, Linux 6.18).
import type { References } from '../lifetime.ts'
import type { Layout } from './layout.ts'

/** enum bpf_map_type, in the kernel's words; the number is the kernel's. */
export const mapTypeNumber = {
  hash: 1,
  array: 2,
  prog_array: 3,
  perf_event_array: 4,
  percpu_hash: 5,
  percpu_array: 6,
  lru_hash: 9,
  lru_percpu_hash: 10,
  lpm_trie: 11,
  array_of_maps: 12,
  hash_of_maps: 13,
  devmap: 14,
  devmap_hash: 25,
  ringbuf: 27,
} as const

export type MapType = keyof typeof mapTypeNumber

/** Flags of BPF_MAP_CREATE. */
export const mapFlag = {
  BPF_F_NO_PREALLOC: 1,
  BPF_F_NO_COMMON_LRU: 2,
  BPF_F_RDONLY: 8,
  BPF_F_WRONLY: 16,
  BPF_F_RDONLY_PROG: 128,
  BPF_F_WRONLY_PROG: 256,
  BPF_F_MMAPABLE: 1024,
  BPF_F_INNER_MAP: 4096,
} as const

/** Flags of BPF_MAP_UPDATE_ELEM. */
export const updateFlag = { BPF_ANY: 0, BPF_NOEXIST: 1, BPF_EXIST: 2 } as const

/** A map as declared. Sizes in bytes. */
export interface MapSpec {
  readonly name: string
  readonly type: MapType
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  readonly flags?: number
  readonly keyLayout?: Layout
  readonly valueLayout?: Layout
  /** For maps of maps: what the inner maps must look like. */
  readonly inner?: MapSpec
}

/** A map that exists. `lookup` and `peek` answer live views: writing to them changes the map. */
export interface BpfMap {
  readonly spec: MapSpec
  readonly references: References
  /** BPF_MAP_FREEZE: user space may no longer write. */
  frozen: boolean
  /** Entries that exist now. */
  readonly count: number
  /** The value as a program sees it on this CPU; an LRU map counts it as a use. */
  lookup(key: Uint8Array, cpu: number): Uint8Array | undefined
  /** The same without any effect: user space and traces. */
  peek(key: Uint8Array, cpu: number): Uint8Array | undefined
  /** Stores a copy of `value` for this CPU (a new per-CPU entry is zero on the others); 0 or a negative errno. */
  update(key: Uint8Array, value: Uint8Array, flags: number, cpu: number): number
  /** 0 or a negative errno. */
  delete(key: Uint8Array): number
  /** BPF_MAP_GET_NEXT_KEY: the first key for undefined or for a key that is not there; undefined at the end. */
  nextKey(key: Uint8Array | undefined): Uint8Array | undefined
}

/** Whether a map has a value for each CPU. */
export function isPerCpu(type: MapType): boolean {
  return type === 'percpu_array' || type === 'percpu_hash' || type === 'lru_percpu_hash'
}
