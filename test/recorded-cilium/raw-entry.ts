// Map entries that a scenario sets by the fields of Cilium's own structs. Numbers are the machine's (little endian); what stands
// in network order is given as `ip:` or `hex:`. A map, a field or a form that is not known here is an error.
import { writeLe32 } from '../../src/bpf/context/byte-order.ts'
import type { BpfMap } from '../../src/bpf/maps/map.ts'
import type { NodeMaps } from '../../src/cilium/datapath/ctx.ts'
import type { ScenarioMap } from './case.ts'
import { versionOf } from './era.ts'
import { addressBytes, type FilledNode } from './fill.ts'
import { type Fields, layoutOf, policyEndpoint } from './raw-layouts.ts'
import { must } from './topology.ts'

/** Fields in network order: a bare number says not in which order its bytes are. */
const networkOrder = new Set(['dport', 'sport', 'port', 'proxy_port', 'nat_port', 'to_sport', 'to_dport'])

function fieldBytes(name: string, size: number, value: string | number): Uint8Array {
  if (typeof value === 'number') {
    if (networkOrder.has(name) && value !== 0)
      throw new Error(`the order of the bytes of ${name} is not said`)
    const whole = new Uint8Array(Math.max(8, size))
    writeLe32(whole, 0, value)
    writeLe32(whole, 4, Math.floor(value / 0x1_0000_0000))
    return whole.subarray(0, size)
  }
  const [form, ...rest] = value.split(':')
  const text = rest.join(':')
  const bytes = form === 'ip' ? addressBytes(text) : form === 'hex' ? Buffer.from(text, 'hex') : undefined
  const known = must(bytes, `form of ${name}: ${value}`)
  return must(known.length <= size ? known : undefined, `${name} has ${size} bytes: ${value}`)
}

function rawBytes(
  where: string,
  size: number,
  layout: Fields,
  fields: ScenarioMap['key'] | number | string,
): Uint8Array {
  const bytes = new Uint8Array(size)
  if (typeof fields !== 'object') {
    bytes.set(fieldBytes(where, size, fields))
    return bytes
  }
  for (const [name, value] of Object.entries(fields)) {
    if (value === 0 && fillers.test(name)) continue
    const [offset, length, shift, width] = must(layout[name], `${where}.${name}`)
    if (shift === undefined || width === undefined) bytes.set(fieldBytes(name, length, value), offset)
    else setBits(bytes.subarray(offset, offset + length), shift, width, Number(value))
  }
  return bytes
}

/** What is there to fill a struct. */
const fillers = /^(pad|unused|reserved)/

/** A bit field of a little-endian word of at most two bytes. */
function setBits(word: Uint8Array, shift: number, width: number, value: number): void {
  if (!(value >= 0 && value < 1 << width)) throw new Error(`${value} has more than ${width} bits`)
  for (const at of word.keys()) word[at] = (word[at] ?? 0) | ((value << shift) >> (8 * at))
}

/** One raw map entry of a scenario. */
export function applyMap(nodes: readonly FilledNode[], entry: ScenarioMap): void {
  const node = must(
    nodes.find(({ number }) => number === entry.node),
    `node ${entry.node}`,
  )
  const endpoint = policyEndpoint(entry.map)
  const found = endpoint === undefined ? node.maps[entry.map as keyof NodeMaps] : node.policies.get(endpoint)
  const map = must(found as BpfMap | undefined, `map ${entry.map}`)
  const layout = layoutOf(entry.map, versionOf(node.maps))
  const { keySize, valueSize } = map.spec
  const key = rawBytes(`${entry.map} key`, keySize, layout.key, entry.key)
  const value = rawBytes(`${entry.map} value`, valueSize, layout.value, entry.value)
  const result = map.update(key, value, 0, 0)
  if (result !== 0) throw new Error(`map ${entry.map}: ${result}`)
}
