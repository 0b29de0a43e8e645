// BPF_MAP_CREATE: a declaration enters; a map leaves, or the error number with which the kernel refuses it.
// kernel/bpf/syscall.c map_create() and each type's map_alloc_check()
import type { ErrnoName } from '../errno.ts'
import { ArrayMap } from './array-map.ts'
import { DevMap } from './devmap.ts'
import { HashMap } from './hash-map.ts'
import { LpmTrie } from './lpm-trie.ts'
import { type BpfMap, type MapSpec, type MapType, mapFlag } from './map.ts'
import { MapOfMaps } from './map-of-maps.ts'
import { ProgArray } from './prog-array.ts'
import { PerfEventArray, RingBuf } from './record-maps.ts'

/** Every kind of map. */
export type AnyMap = BpfMap | ProgArray | MapOfMaps | PerfEventArray | RingBuf

/** The class of a map of this type. */
export type MapOf<Type extends MapType> = Type extends 'prog_array'
  ? ProgArray
  : Type extends 'array_of_maps' | 'hash_of_maps'
    ? MapOfMaps
    : Type extends 'perf_event_array'
      ? PerfEventArray
      : Type extends 'ringbuf'
        ? RingBuf
        : Type extends 'devmap' | 'devmap_hash'
          ? DevMap
          : BpfMap

export type CreatedMap<M extends AnyMap = AnyMap> =
  | { readonly kind: 'made'; readonly map: M }
  | { readonly kind: 'refused'; readonly errno: ErrnoName }

const { BPF_F_NO_PREALLOC, BPF_F_NO_COMMON_LRU, BPF_F_MMAPABLE, BPF_F_INNER_MAP } = mapFlag
const { BPF_F_RDONLY, BPF_F_WRONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG } = mapFlag
const userAccess = BPF_F_RDONLY | BPF_F_WRONLY
const access = userAccess | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG

/** Flags each type understands. */
const flagsAllowed: Readonly<Record<MapType, number>> = {
  hash: BPF_F_NO_PREALLOC | access,
  percpu_hash: BPF_F_NO_PREALLOC | access,
  lru_hash: BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU | access,
  lru_percpu_hash: BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU | access,
  array: BPF_F_MMAPABLE | BPF_F_INNER_MAP | access,
  percpu_array: access,
  lpm_trie: BPF_F_NO_PREALLOC | access,
  prog_array: userAccess,
  perf_event_array: userAccess,
  array_of_maps: userAccess,
  hash_of_maps: BPF_F_NO_PREALLOC | userAccess,
  devmap: userAccess,
  devmap_hash: userAccess,
  ringbuf: 0,
}

/** KMALLOC_MAX_SIZE without struct htab_elem: what key and value of a hash may have together. */
const hashElementBytes = 4_194_304 - 48
const perCpuUnitBytes = 32_768
const lpmDataBytesMax = 256
const pageBytes = 4096

function refusedFlags(spec: MapSpec): ErrnoName | undefined {
  const flags = spec.flags ?? 0
  if ((flags & ~flagsAllowed[spec.type]) !== 0) return 'EINVAL'
  if ((flags & userAccess) === userAccess) return 'EINVAL'
  const both = BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG
  return (flags & both) === both ? 'EINVAL' : undefined
}

function refusedArray(spec: MapSpec): ErrnoName | undefined {
  if (spec.maxEntries === 0 || spec.keySize !== 4 || spec.valueSize === 0) return 'EINVAL'
  return spec.type === 'percpu_array' && spec.valueSize > perCpuUnitBytes ? 'E2BIG' : undefined
}

/** htab_map_alloc_check() */
function refusedHash(spec: MapSpec): ErrnoName | undefined {
  const lru = spec.type === 'lru_hash' || spec.type === 'lru_percpu_hash'
  if (lru && ((spec.flags ?? 0) & BPF_F_NO_PREALLOC) !== 0) return 'ENOTSUPP'
  if (spec.maxEntries === 0 || spec.keySize === 0 || spec.valueSize === 0) return 'EINVAL'
  if (spec.keySize + spec.valueSize >= hashElementBytes) return 'E2BIG'
  return spec.type.includes('percpu') && spec.valueSize > perCpuUnitBytes ? 'E2BIG' : undefined
}

/** trie_alloc() */
function refusedLpm(spec: MapSpec): ErrnoName | undefined {
  const fits = spec.keySize > 4 && spec.keySize <= 4 + lpmDataBytesMax && spec.valueSize > 0
  if (spec.maxEntries === 0 || !fits || ((spec.flags ?? 0) & BPF_F_NO_PREALLOC) === 0) return 'EINVAL'
  return undefined
}

/** fd_array_map_alloc_check(): keys are indexes, values are file descriptors. */
function refusedFdArray(spec: MapSpec): ErrnoName | undefined {
  return spec.maxEntries === 0 || spec.keySize !== 4 || spec.valueSize !== 4 ? 'EINVAL' : undefined
}

/** bpf_map_meta_alloc(): an inner map may be neither a map of maps nor one that has no notion of being equal. */
function refusedMapOfMaps(spec: MapSpec): ErrnoName | undefined {
  const { inner } = spec
  if (inner === undefined) return 'EINVAL'
  if (inner.type === 'array_of_maps' || inner.type === 'hash_of_maps') return 'EINVAL'
  if (inner.type === 'prog_array') return 'ENOTSUPP'
  if (spec.valueSize !== 4) return 'EINVAL'
  return spec.type === 'array_of_maps' ? refusedFdArray(spec) : refusedHash(spec)
}

/** dev_map_alloc_check() */
function refusedDevMap(spec: MapSpec): ErrnoName | undefined {
  const sizes = spec.keySize === 4 && (spec.valueSize === 4 || spec.valueSize === 8)
  return spec.maxEntries === 0 || !sizes ? 'EINVAL' : undefined
}

/** ringbuf_map_alloc(): a power of two of whole pages. */
function refusedRing(spec: MapSpec): ErrnoName | undefined {
  const bytes = spec.maxEntries
  const sizes = spec.keySize === 0 && spec.valueSize === 0
  return sizes && bytes >= pageBytes && (bytes & (bytes - 1)) === 0 ? undefined : 'EINVAL'
}

function refused(spec: MapSpec): ErrnoName | undefined {
  switch (spec.type) {
    case 'array':
    case 'percpu_array':
      return refusedArray(spec)
    case 'hash':
    case 'percpu_hash':
    case 'lru_hash':
    case 'lru_percpu_hash':
      return refusedHash(spec)
    case 'lpm_trie':
      return refusedLpm(spec)
    case 'prog_array':
    case 'perf_event_array':
      return refusedFdArray(spec)
    case 'array_of_maps':
    case 'hash_of_maps':
      return refusedMapOfMaps(spec)
    case 'devmap':
    case 'devmap_hash':
      return refusedDevMap(spec)
    case 'ringbuf':
      return refusedRing(spec)
  }
}

function make(spec: MapSpec, cpus: number): AnyMap {
  switch (spec.type) {
    case 'array':
    case 'percpu_array':
      return new ArrayMap(spec, cpus)
    case 'hash':
    case 'percpu_hash':
    case 'lru_hash':
    case 'lru_percpu_hash':
      return new HashMap(spec, cpus)
    case 'lpm_trie':
      return new LpmTrie(spec)
    case 'prog_array':
      return new ProgArray(spec)
    case 'array_of_maps':
    case 'hash_of_maps':
      return new MapOfMaps(spec)
    case 'devmap':
    case 'devmap_hash':
      return new DevMap(spec)
    case 'perf_event_array':
      return new PerfEventArray(spec)
    case 'ringbuf':
      return new RingBuf(spec)
  }
}

/**
 * Makes a map. The caller has a file descriptor of it: `closeObject(map)` gives it back. A perf event array declared with 0 entries gets one for each CPU, as libbpf does.
 * `cpus` is the number of possible CPUs: how many values a per-CPU entry has.
 */
export function createMap<Spec extends MapSpec>(
  spec: Spec,
  options: { readonly cpus: number },
): CreatedMap<MapOf<Spec['type']>> {
  const filled: MapSpec =
    spec.type === 'perf_event_array' && spec.maxEntries === 0 ? { ...spec, maxEntries: options.cpus } : spec
  const reason = refusedFlags(filled) ?? refused(filled)
  if (reason !== undefined) return { kind: 'refused', errno: reason }
  const map = make(filled, options.cpus)
  map.references.holdUser()
  // `make` and MapOf name the same class for each type; the compiler cannot follow a switch into a conditional type
  return { kind: 'made', map: map as MapOf<Spec['type']> }
}
