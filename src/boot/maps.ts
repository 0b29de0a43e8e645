// The maps of a program in one namespace: made as declared, filled with what the file says.
import { assert, present } from '../base/assert.ts'
import { type AnyMap, createMap } from '../bpf/maps/create.ts'
import { type FieldType, type Layout, layoutOf } from '../bpf/maps/layout.ts'
import { type MapType as KernelMapType, mapFlag } from '../bpf/maps/map.ts'
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

/**
 * Makes a map, or takes the one that another program of the node pinned, and puts its declared entries in. Devices of a
 * devmap are resolved by the caller's `deviceIndex`.
 */
export function bootMap(
  model: MapModel,
  declaration: MapDeclaration,
  names: AddressesByName,
  deviceIndex: (name: string) => number,
  pins: PinnedMaps,
): AnyMap {
  const map = (model.pinned === undefined ? undefined : pins.get(model.pinned)) ?? makeMap(model)
  if (model.pinned !== undefined) pins.set(model.pinned, map)
  for (const entry of declaration.entries) fill(map, model, entry, names, deviceIndex)
  return map
}

function makeMap(model: MapModel): AnyMap {
  const type = present(kernelTypes[model.type], `map type ${model.type} has an engine`)
  const keyLayout = traceLayout(model.keyType)
  const valueLayout = traceLayout(model.valueType)
  const made = createMap(
    {
      name: model.name,
      type,
      keySize: model.keyBytes,
      valueSize: type === 'perf_event_array' || type === 'prog_array' ? 4 : model.valueBytes,
      maxEntries: model.maxEntries,
      ...(type === 'lpm_trie' ? { flags: mapFlag.BPF_F_NO_PREALLOC } : {}),
      ...(keyLayout === undefined ? {} : { keyLayout }),
      ...(valueLayout === undefined ? {} : { valueLayout }),
    },
    { cpus },
  )
  assert(made.kind === 'made', `the kernel accepts map ${model.name}`)
  return made.map
}

function fill(
  map: AnyMap,
  model: MapModel,
  entry: InitialEntry,
  names: AddressesByName,
  deviceIndex: (name: string) => number,
): void {
  if (model.valueType === 'prog' || entry.key.kind !== 'word') return
  const key = valueOfWord(entry.key.text, names)
  const value: WordValue =
    entry.value === null
      ? { kind: 'number', value: 1 }
      : model.valueType === 'ifindex' && entry.value.kind === 'word'
        ? { kind: 'number', value: deviceIndex(entry.value.text) }
        : valueOfWord(entry.value.kind === 'word' ? entry.value.text : '0', names)
  const keyBytes = layoutBytes(key, model.keyType, model.keyBytes)
  mapUpdate(map, keyBytes, layoutBytes(value, model.valueType, model.valueBytes), { cpus })
}
