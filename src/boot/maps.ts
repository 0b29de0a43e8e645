// The maps of a program in one namespace: made as declared, filled with what the file says.
import { assert, present } from '../base/assert.ts'
import { type AnyMap, createMap } from '../bpf/maps/create.ts'
import { type FieldType, type Layout, layoutOf } from '../bpf/maps/layout.ts'
import { type MapType as KernelMapType, type MapSpec, mapFlag } from '../bpf/maps/map.ts'
import { mapUpdate } from '../bpf/user.ts'
import type { MapModel } from '../model/program.ts'
import type { InitialEntry, MapDeclaration, MapType } from '../syntax/ast.ts'
import { type AddressesByName, layoutBytes, valueOfWord, type WordValue } from './values.ts'

/** Possible CPUs of the simulated machine; per-CPU maps have a value for each. */
export const cpus = 1

const kernelTypes: Readonly<Record<MapType, KernelMapType | undefined>> = {
  array: 'array',
  hash: 'hash',
  'lru-hash': 'lru_hash',
  'lpm-trie': 'lpm_trie',
  'percpu-array': 'percpu_array',
  'percpu-hash': 'percpu_hash',
  'lru-percpu-hash': 'lru_percpu_hash',
  devmap: 'devmap',
  'devmap-hash': 'devmap_hash',
  cpumap: undefined,
  'prog-array': 'prog_array',
  'perf-event-array': 'perf_event_array',
  ringbuf: 'ringbuf',
}

const fieldTypes: Readonly<Record<string, FieldType>> = {
  u8: 'u8',
  u16: 'u16',
  u32: 'u32',
  u64: 'u64',
  ipv4: 'ip4',
  ipv6: 'ip6',
  mac: 'mac',
  port: 'u16',
  ifindex: 'u32',
  prog: 'u32',
  cpu: 'u32',
}

/** How traces print a key or value of a named layout. */
function traceLayout(name: string): Layout | undefined {
  if (name === 'prefix' || name === 'prefix6') {
    const address: FieldType = name === 'prefix' ? 'ip4' : 'ip6'
    return [
      { name: '', type: address, offset: 4 },
      { name: 'length', type: 'u32', offset: 0 },
    ]
  }
  const type = fieldTypes[name]
  return type === undefined ? undefined : layoutOf(type)
}

/** Maps that the programs of one node pinned, by the name of the pin. */
export type PinnedMaps = Map<string, AnyMap>

/** A declared map, translated: what `makeMap` needs, the same in all cases of a world. */
export interface MapPlan {
  readonly model: MapModel
  readonly spec: MapSpec
  /** Declared entries as bytes. */
  readonly entries: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]
  /** Slots of a program array, by the names of the programs. */
  readonly programs: readonly { readonly slot: number; readonly program: string }[]
}

/** Translates a map's declaration. Devices of a devmap are resolved by the caller's `deviceIndex`. */
export function planMap(
  model: MapModel,
  declaration: MapDeclaration,
  names: AddressesByName,
  deviceIndex: (name: string) => number,
): MapPlan {
  const entries = declaration.entries.flatMap((entry) => entryOf(model, entry, names, deviceIndex))
  const programs = declaration.entries.flatMap(({ key, value }) =>
    model.type === 'prog-array' && key.kind === 'word' && value?.kind === 'word'
      ? [{ slot: Number(key.text), program: value.text }]
      : [],
  )
  return { model, spec: specOf(model), entries, programs }
}

/** Makes a map, or takes the one that another program of the node pinned, and puts its declared entries in. */
export function makeMap({ model, spec, entries }: MapPlan, pins: PinnedMaps): AnyMap {
  const map = (model.pinned === undefined ? undefined : pins.get(model.pinned)) ?? createOf(spec)
  if (model.pinned !== undefined) pins.set(model.pinned, map)
  for (const { key, value } of entries) mapUpdate(map, key, value, { cpus })
  return map
}

function createOf(spec: MapSpec): AnyMap {
  const made = createMap(spec, { cpus })
  assert(made.kind === 'made', `the kernel accepts map ${spec.name}`)
  return made.map
}

function specOf(model: MapModel): MapSpec {
  const type = present(kernelTypes[model.type], `map type ${model.type} has an engine`)
  const keyLayout = traceLayout(model.keyType)
  const valueLayout = traceLayout(model.valueType)
  return {
    name: model.name,
    type,
    keySize: model.keyBytes,
    valueSize: type === 'perf_event_array' || type === 'prog_array' ? 4 : model.valueBytes,
    maxEntries: model.maxEntries,
    flags: (model.flags ?? 0) | (type === 'lpm_trie' ? mapFlag.BPF_F_NO_PREALLOC : 0),
    ...(keyLayout === undefined ? {} : { keyLayout }),
    ...(valueLayout === undefined ? {} : { valueLayout }),
  }
}

function entryOf(
  model: MapModel,
  entry: InitialEntry,
  names: AddressesByName,
  deviceIndex: (name: string) => number,
): MapPlan['entries'] {
  if (model.valueType === 'prog' || entry.key.kind !== 'word') return []
  const key = valueOfWord(entry.key.text, names)
  const value: WordValue =
    entry.value === null
      ? { kind: 'number', value: 1 }
      : model.valueType === 'ifindex' && entry.value.kind === 'word'
        ? { kind: 'number', value: deviceIndex(entry.value.text) }
        : valueOfWord(entry.value.kind === 'word' ? entry.value.text : '0', names)
  return [
    {
      key: layoutBytes(key, model.keyType, model.keyBytes),
      value: layoutBytes(value, model.valueType, model.valueBytes),
    },
  ]
}
