// Maps as user space sees them: the commands of bpf(2) on a map's file descriptor. kernel/bpf/syscall.c
//
// A per-CPU map's value is all CPUs' values one after the other, each padded to 8 bytes.
import type { Program } from './contract.ts'
import { errno } from './errno.ts'
import type { AnyMap } from './maps/create.ts'
import { type BpfMap, isPerCpu, mapFlag } from './maps/map.ts'
import { MapOfMaps } from './maps/map-of-maps.ts'
import { ProgArray } from './maps/prog-array.ts'
import { PerfEventArray, RingBuf } from './maps/record-maps.ts'

type Get =
  | { readonly kind: 'value'; readonly value: Uint8Array }
  | { readonly kind: 'error'; readonly errno: number }

function failed(number: number): Get {
  return { kind: 'error', errno: -number }
}

function isValueMap(map: AnyMap): map is BpfMap {
  return !(
    map instanceof ProgArray ||
    map instanceof MapOfMaps ||
    map instanceof PerfEventArray ||
    map instanceof RingBuf
  )
}

/** bytes of one CPU's value in what user space sees */
function stride(map: BpfMap): number {
  return Math.ceil(map.spec.valueSize / 8) * 8
}

/** What user space may not do at all: -EPERM for a map made with BPF_F_RDONLY or BPF_F_WRONLY, or a frozen one. */
function writeRefused(map: AnyMap): boolean {
  return map.frozen || ((map.spec.flags ?? 0) & mapFlag.BPF_F_RDONLY) !== 0
}

/** An LPM trie answers the longest prefix to user space too; an LRU map does not count the look as a use. */
function look(map: BpfMap, key: Uint8Array, cpu: number): Uint8Array | undefined {
  return map.spec.type === 'lpm_trie' ? map.lookup(key, cpu) : map.peek(key, cpu)
}

/** BPF_MAP_LOOKUP_ELEM: a copy of the value, or -EPERM, -ENOENT, -ENOTSUPP (program arrays, rings). */
export function mapGet(map: AnyMap, key: Uint8Array, options: { readonly cpus: number }): Get {
  if (((map.spec.flags ?? 0) & mapFlag.BPF_F_WRONLY) !== 0) return failed(errno.EPERM)
  if (!isValueMap(map)) return failed(errno.ENOTSUPP)
  if (!isPerCpu(map.spec.type)) {
    const value = look(map, key, 0)
    return value === undefined ? failed(errno.ENOENT) : { kind: 'value', value: value.slice() }
  }
  const whole = new Uint8Array(stride(map) * options.cpus)
  for (let cpu = 0; cpu < options.cpus; cpu += 1) {
    const value = look(map, key, cpu)
    if (value === undefined) return failed(errno.ENOENT)
    whole.set(value, cpu * stride(map))
  }
  return { kind: 'value', value: whole }
}

/** BPF_MAP_UPDATE_ELEM: 0 or a negative errno. A per-CPU value holds all CPUs' parts. */
export function mapUpdate(
  map: AnyMap,
  key: Uint8Array,
  value: Uint8Array,
  options: { readonly cpus: number; readonly flags?: number },
): number {
  if (writeRefused(map)) return -errno.EPERM
  if (!isValueMap(map)) return -errno.ENOTSUPP
  const flags = options.flags ?? 0
  if (!isPerCpu(map.spec.type)) return map.update(key, value, flags, 0)
  const result = map.update(key, value, flags, 0)
  if (result !== 0) return result
  for (let cpu = 1; cpu < options.cpus; cpu += 1) {
    map.peek(key, cpu)?.set(value.subarray(cpu * stride(map), cpu * stride(map) + map.spec.valueSize))
  }
  return 0
}

/** BPF_MAP_UPDATE_ELEM on a program array: 0, -EPERM, -EINVAL for a program of another type, -E2BIG past the end. */
export function progArrayUpdate(map: ProgArray, index: number, program: Program): number {
  return writeRefused(map) ? -errno.EPERM : map.set(index, program, 0)
}

/** BPF_MAP_DELETE_ELEM: 0 or a negative errno. */
export function mapDelete(map: AnyMap, key: Uint8Array): number {
  if (writeRefused(map)) return -errno.EPERM
  if (map instanceof ProgArray) return map.remove(new DataView(key.buffer, key.byteOffset).getUint32(0, true))
  return map instanceof MapOfMaps || isValueMap(map) ? map.delete(key) : -errno.ENOTSUPP
}

/** All keys of a map of values, in the order of BPF_MAP_GET_NEXT_KEY. */
export function mapKeys(map: BpfMap): Uint8Array[] {
  const keys: Uint8Array[] = []
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) keys.push(key)
  return keys
}

/** BPF_MAP_FREEZE: user space can no longer write; programs can. 0, or -EPERM for a map that user space may not write any more. */
export function mapFreeze(map: AnyMap): number {
  if (writeRefused(map)) return -errno.EPERM
  map.frozen = true
  return 0
}
