// Helpers on maps and tail calls. kernel/bpf/helpers.c; what a type of map allows a program to do is decided by
// check_map_func_compatibility() and the map's own flags in kernel/bpf/verifier.c.
import type { Program, RunContext } from '../contract.ts'
import { errno } from '../errno.ts'
import { fault } from '../fault.ts'
import type { AnyMap } from '../maps/create.ts'
import { HashMap } from '../maps/hash-map.ts'
import { describeBytes } from '../maps/layout.ts'
import { LpmTrie } from '../maps/lpm-trie.ts'
import { type BpfMap, mapFlag, mapTypeNumber } from '../maps/map.ts'
import { MapOfMaps } from '../maps/map-of-maps.ts'
import { ProgArray } from '../maps/prog-array.ts'

/** MAX_TAIL_CALL_CNT: so a chain has at most 34 programs. */
const tailCallsMax = 33

const readable = new Set([
  'hash',
  'array',
  'percpu_hash',
  'percpu_array',
  'lru_hash',
  'lru_percpu_hash',
  'lpm_trie',
  'devmap',
  'devmap_hash',
])

function isDataMap(map: AnyMap): map is BpfMap {
  return readable.has(map.spec.type)
}

function refuse(map: AnyMap, helper: string): never {
  return fault(`cannot pass map_type ${mapTypeNumber[map.spec.type]} (${map.spec.type}) into func ${helper}`)
}

/** The map itself, when a program may use it so. */
function writable(map: AnyMap, helper: string): BpfMap {
  if (!isDataMap(map) || map.spec.type === 'devmap' || map.spec.type === 'devmap_hash') refuse(map, helper)
  if (((map.spec.flags ?? 0) & mapFlag.BPF_F_RDONLY_PROG) !== 0) {
    fault(`write into map forbidden: ${map.spec.name} is read-only for programs`)
  }
  return map
}

function checkKey(map: BpfMap, key: Uint8Array): void {
  if (key.length < map.spec.keySize) {
    fault(`invalid read of ${map.spec.keySize} bytes: key of map ${map.spec.name} has ${key.length}`)
  }
}

function noteLookup(context: RunContext, map: BpfMap, key: Uint8Array, value: Uint8Array | undefined): void {
  context.trace?.fact({
    kind: 'lookup',
    map: map.spec.name,
    keyText: describeBytes(map.spec.keyLayout, key.subarray(0, map.spec.keySize)),
    ...(value === undefined ? {} : { valueText: describeBytes(map.spec.valueLayout, value) }),
  })
}

function lookupOn(context: RunContext, map: BpfMap, key: Uint8Array, cpu: number): Uint8Array | undefined {
  checkKey(map, key)
  if (((map.spec.flags ?? 0) & mapFlag.BPF_F_WRONLY_PROG) !== 0) {
    fault(`read from map forbidden: ${map.spec.name} is write-only for programs`)
  }
  if (context.journal !== undefined) {
    const entry = map instanceof LpmTrie ? map.entryKey(key) : key.subarray(0, map.spec.keySize)
    if (entry !== undefined) context.journal.touch(map, entry)
  }
  const value = map.lookup(key, cpu)
  if (context.trace?.full) noteLookup(context, map, key, value)
  return value
}

/** What a lookup in a map of this class answers. */
export type LookedUp<M extends AnyMap> = (M extends MapOfMaps ? BpfMap : Uint8Array) | undefined

/** bpf_map_lookup_elem: the live value on this CPU, an inner map, or undefined. */
export function lookupElem<M extends AnyMap>(context: RunContext, map: M, key: Uint8Array): LookedUp<M> {
  const found = map instanceof MapOfMaps ? map.lookup(key) : lookupValue(context, map, key)
  return found as LookedUp<M>
}

/** bpf_map_lookup_elem on a map of values: the live value on this CPU, or undefined. */
export function lookupValue(context: RunContext, map: AnyMap, key: Uint8Array): Uint8Array | undefined {
  if (!isDataMap(map)) refuse(map, 'bpf_map_lookup_elem#1')
  return lookupOn(context, map, key, context.kernel.cpu)
}

/** bpf_map_lookup_percpu_elem: another CPU's value; undefined for a CPU that does not exist. */
export function lookupPerCpu(
  context: RunContext,
  map: AnyMap,
  key: Uint8Array,
  cpu: number,
): Uint8Array | undefined {
  const perCpu = map.spec.type.includes('percpu')
  if (!isDataMap(map) || !perCpu) refuse(map, 'bpf_map_lookup_percpu_elem#195')
  return lookupOn(context, map, key, cpu)
}

/** bpf_map_update_elem: 0 or a negative errno (-EEXIST, -ENOENT, -E2BIG, -ENOSPC, -EINVAL). */
export function updateElem(
  context: RunContext,
  map: AnyMap,
  key: Uint8Array,
  value: Uint8Array,
  flags = 0,
): number {
  const target = writable(map, 'bpf_map_update_elem#2')
  checkKey(target, key)
  if (value.length < target.spec.valueSize) {
    fault(
      `invalid read of ${target.spec.valueSize} bytes: value for map ${map.spec.name} has ${value.length}`,
    )
  }
  if (context.journal !== undefined) {
    const victim = target instanceof HashMap ? target.victimFor(key) : undefined
    if (victim !== undefined) context.journal.touch(target, victim)
    context.journal.touch(target, key.subarray(0, target.spec.keySize))
  }
  return target.update(key, value, flags, context.kernel.cpu)
}

/** bpf_map_delete_elem: 0 or a negative errno (-ENOENT, -EINVAL for arrays). */
export function deleteElem(context: RunContext, map: AnyMap, key: Uint8Array): number {
  const target = writable(map, 'bpf_map_delete_elem#3')
  checkKey(target, key)
  context.journal?.touch(target, key.subarray(0, target.spec.keySize))
  return target.delete(key)
}

/** What bpf_for_each_map_elem calls: 0 goes on, 1 stops. */
export type ElementCallback = (key: Uint8Array, value: Uint8Array) => number

/** bpf_for_each_map_elem over hash and array maps: how many elements were visited, or -EINVAL. */
export function forEachElem(context: RunContext, map: AnyMap, callback: ElementCallback, flags = 0): number {
  if (!isDataMap(map) || map.spec.type === 'lpm_trie') refuse(map, 'bpf_for_each_map_elem#164')
  if (flags !== 0) return -errno.EINVAL
  let visited = 0
  // the keys are taken first, as the callback may delete the element that it is called with
  const keys: Uint8Array[] = []
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) keys.push(key)
  for (const key of keys) {
    context.journal?.touch(map, key)
    const value = map.peek(key, context.kernel.cpu)
    if (value === undefined) continue
    visited += 1
    if (callback(key, value) !== 0) break
  }
  return visited
}

/**
 * bpf_tail_call: the program that must run instead of the rest of this one; undefined when the call falls through
 * (index past the end, 33 calls made, empty slot). Only populated slots count towards the limit.
 */
export function resolveTailCall(context: RunContext, map: AnyMap, index: number): Program | undefined {
  if (!(map instanceof ProgArray)) refuse(map, 'bpf_tail_call#12')
  const program = index < map.spec.maxEntries ? map.get(index) : undefined
  const target = context.tailCalls < tailCallsMax ? program : undefined
  context.trace?.fact({
    kind: 'tail-call',
    map: map.spec.name,
    index,
    ...(target === undefined ? {} : { program: target.name }),
  })
  if (target === undefined) return undefined
  context.tailCalls += 1
  context.nextDevice = map.deviceOf?.(index)
  return target
}
