// `bpftool net show`, `prog show` and `map show|dump`, as bpftool prints them (7.1; tcx lines as from 7.3 on).

import { hexText, type Layout, type LayoutField } from '../../bpf/maps/layout.ts'
import type { BpfMap } from '../../bpf/maps/map.ts'
import { mapGet, mapKeys } from '../../bpf/user.ts'
import type { NetDevice } from '../device/device.ts'
import { netkitDetail, netkitPrograms } from '../device/netkit.ts'
import type { TcDirection } from '../tc/hook.ts'
import {
  type BpfObjects,
  type LoadedMap,
  linkWord,
  objectName,
  printedName,
  programId,
  programTag,
} from './bpf-objects.ts'

const xdpWords = { native: 'driver', generic: 'generic', offload: 'offload' } as const

function tcLines(dev: NetDevice, direction: TcDirection, objects: BpfObjects): readonly string[] {
  const hook = direction === 'ingress' ? dev.tcIngress : dev.tcEgress
  const place = `${dev.name}(${dev.ifindex})`
  return [
    ...(hook?.tcx ?? []).map(
      ({ program }) =>
        `${place} tcx/${direction} ${printedName(objects, program)} prog_id ${programId(objects, program)} ${linkWord(objects, program)}`,
    ),
    ...(hook?.filters ?? []).map(({ program, name, actions }) => {
      const gact = actions
        .map((each) => (each.kind === 'mirred' ? '' : each.kind))
        .filter((word) => word !== '')
      const act = actions.length === 0 ? '' : ` act [${gact.join(' ')}] `
      return `${place} clsact/${direction} ${name ?? program.name} id ${programId(objects, program)}${act}`
    }),
  ]
}

/** Programs of a netkit pair, at its primary device. */
function netkitLines(dev: NetDevice, objects: BpfObjects): readonly string[] {
  if (dev.kind !== 'netkit' || !netkitDetail(dev).primary) return []
  const lines = (end: NetDevice | undefined, which: 'primary' | 'peer'): readonly string[] =>
    (end === undefined ? [] : netkitPrograms(end)).map(
      ({ program }) =>
        `${dev.name}(${dev.ifindex}) netkit/${which} ${printedName(objects, program)} prog_id ${programId(objects, program)} ${linkWord(objects, program)}`,
    )
  return [...lines(dev, 'primary'), ...lines(dev.peer, 'peer')]
}

/** `bpftool net show [dev DEV]`. */
export function showNetPrograms(devices: readonly NetDevice[], objects: BpfObjects): string {
  const xdp = devices.flatMap((dev) =>
    dev.xdp === undefined
      ? []
      : [`${dev.name}(${dev.ifindex}) ${xdpWords[dev.xdp.mode]} id ${programId(objects, dev.xdp.program)}`],
  )
  const tc = devices.flatMap((dev) => [
    ...tcLines(dev, 'ingress', objects),
    ...tcLines(dev, 'egress', objects),
    ...netkitLines(dev, objects),
  ])
  return ['xdp:', ...xdp, '', 'tc:', ...tc, '', 'flow_dissector:', '', ''].join('\n')
}

function nameWords(name: string): string {
  return name === '' ? '' : `  name ${name}`
}

/** `bpftool prog show`. The clock starts at 1970; a program without instructions has no size. */
export function showPrograms(objects: BpfObjects): string {
  return objects.programs
    .map(({ id, program, mapIds }) => {
      const maps = mapIds.length === 0 ? '' : `  map_ids ${mapIds.join(',')}`
      return [
        `${id}: ${program.type}${nameWords(printedName(objects, program))}  tag ${programTag(program)}  gpl`,
        '\tloaded_at 1970-01-01T00:00:00+0000  uid 0',
        `\txlated 0B  not jited  memlock 4096B${maps}`,
        '',
      ].join('\n')
    })
    .join('')
}

/** `bpftool map show`. */
export function showMaps(objects: BpfObjects): string {
  return objects.maps
    .map(({ id, map: { spec } }) => {
      const flags = (spec.flags ?? 0).toString(16)
      return `${id}: ${spec.type}  name ${objectName(spec.name)}  flags 0x${flags}\n\tkey ${spec.keySize}B  value ${spec.valueSize}B  max_entries ${spec.maxEntries}\n`
    })
    .join('')
}

type Json = string | number | readonly Json[] | { readonly [key: string]: Json }

function fieldValue(field: LayoutField, bytes: Uint8Array): Json {
  const size = {
    u8: 1,
    u16: 2,
    be16: 2,
    u32: 4,
    be32: 4,
    ip4: 4,
    u64: 8,
    ip6: 16,
    mac: 6,
    bytes: field.length ?? 0,
  }
  const part = bytes.subarray(field.offset, field.offset + size[field.type])
  if (part.length > 8 || field.type === 'mac' || field.type === 'bytes') return [...part]
  const value = part.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
}

/** What BTF makes of bytes: a number for a plain type, an object for a struct; numbers are of the host's order. */
function typed(layout: Layout, bytes: Uint8Array): Json {
  const [only] = layout
  if (layout.length === 1 && only !== undefined && only.name === '') return fieldValue(only, bytes)
  const fields = layout.toSorted((left, right) => left.offset - right.offset)
  return Object.fromEntries(
    fields.map((field) => [field.name === '' ? 'data' : field.name, fieldValue(field, bytes)]),
  )
}

function valueJson({ spec }: BpfMap, layout: Layout, bytes: Uint8Array): readonly [string, Json] {
  if (!spec.type.includes('percpu')) return ['value', typed(layout, bytes)]
  const stride = Math.ceil(spec.valueSize / 8) * 8
  const cpus = Math.floor(bytes.length / stride)
  const values = Array.from({ length: cpus }, (_, cpu) => ({
    cpu,
    value: typed(layout, bytes.subarray(cpu * stride, cpu * stride + spec.valueSize)),
  }))
  return ['values', values]
}

/** jsonw's pretty form: arrays of objects open and close on the line of their brackets. */
function pretty(value: Json, indent: number): string {
  const pad = ' '.repeat(indent)
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') return String(value)
  if (Array.isArray(value))
    return `[${value.map((each: Json) => pretty(each, indent + 4)).join(',')}\n${pad}]`
  const entries = Object.entries(value as Readonly<Record<string, Json>>)
  const lines = entries.map(([key, each]) => `${pad}    ${JSON.stringify(key)}: ${pretty(each, indent + 4)}`)
  return `{\n${lines.join(',\n')}\n${pad}}`
}

interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

function entriesOf(map: BpfMap): readonly Entry[] {
  return mapKeys(map).flatMap((key) => {
    const got = mapGet(map, key, { cpus: 1 })
    return got.kind === 'value' ? [{ key, value: got.value }] : []
  })
}

const spaced = (bytes: Uint8Array): string => hexText(bytes).replace(/(..)(?!$)/g, '$1 ')

function dumpHex(map: BpfMap, entries: readonly Entry[]): string {
  const lines = entries.map(
    ({ key, value }) => `key: ${spaced(key)}  value: ${spaced(value.subarray(0, map.spec.valueSize))}\n`,
  )
  return `${lines.join('')}Found ${entries.length} element${entries.length === 1 ? '' : 's'}\n`
}

function elements(map: BpfMap, keys: Layout, values: Layout): readonly Json[] {
  return entriesOf(map).map(({ key, value }) =>
    Object.fromEntries([['key', typed(keys, key)], valueJson(map, values, value)]),
  )
}

/** `bpftool map dump name NAME | id N`: typed where the map has layouts (BTF), else hex. */
export function dumpMaps(found: readonly LoadedMap[]): string {
  const dumps: Json[] = []
  for (const { id, map } of found) {
    if (!('peek' in map)) return `Error: can't dump map of type ${map.spec.type}\n`
    const { keyLayout, valueLayout } = map.spec
    if (keyLayout === undefined || valueLayout === undefined) {
      if (found.length === 1) return dumpHex(map, entriesOf(map))
      continue
    }
    const { type, name, flags } = map.spec
    const list = elements(map, keyLayout, valueLayout)
    if (found.length === 1) return `${pretty(list, 0)}\n`
    dumps.push({ id, type, name, flags: flags ?? 0, elements: list })
  }
  return `${pretty(dumps, 0)}\n`
}
