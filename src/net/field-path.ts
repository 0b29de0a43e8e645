// `tcp.dport`, `outer.src`, `outer.udp.dport`: which header of a packet a path speaks of.
//
//   eth ip udp vxlan | eth ip tcp          plain names speak of the innermost packet: ip.src is the pod's address
//   ^--- outer.* ---^ ^- plain names -^    vxlan.* and geneve.* are found wherever they are
//
// A packet that is not encapsulated has no outer headers, so every `outer.*` is absent there, and a test on it is false.

import type { FieldSpec, FieldValue } from './field-spec.ts'
import { fieldLayers, fieldNamed, layerFields } from './fields.ts'
import { type Dissection, type FieldLayer, ipLayerAt, type Layer, layerAt } from './layer.ts'

/** A checked path. `layer` is undefined for `outer.src`, which is a field of whichever IP version is outside. */
export interface FieldPath {
  readonly text: string
  readonly outer: boolean
  readonly layer: FieldLayer | undefined
  readonly name: string
}

/** A field of one packet. */
export interface ResolvedField {
  readonly layer: Layer
  readonly spec: FieldSpec
  /** undefined where the header has no such field (`tcp.mss` without the option) */
  readonly value: FieldValue | undefined
}

/** Names of the IPv6 header for what IPv4 calls otherwise, so that `outer.ttl` needs no family. */
const ipv6Names: Readonly<Record<string, string>> = { ttl: 'hoplimit', tos: 'tc', proto: 'next' }

/** Layers that belong to the outer packet but are spoken of without `outer`. */
const tunnels: readonly FieldLayer[] = ['vxlan', 'geneve']

/** `layer.field`, `outer.field` or `outer.layer.field`; undefined when the layer or the field is unknown. */
export function parseFieldPath(text: string): FieldPath | undefined {
  const outer = text.startsWith('outer.')
  const rest = outer ? text.slice('outer.'.length) : text
  const dot = rest.indexOf('.')
  const layer = fieldLayers.find((known) => known === rest.slice(0, dot))
  if (layer !== undefined) {
    const name = rest.slice(dot + 1)
    return fieldNamed(layer, name) === undefined ? undefined : { text, outer, layer, name }
  }
  return outer && fieldNamed('ip', rest) !== undefined
    ? { text, outer, layer: undefined, name: rest }
    : undefined
}

/** Every path that `parseFieldPath` accepts, for completion and for the grammar. */
export function allFieldPaths(): readonly string[] {
  const plain = fieldLayers.flatMap((layer) => layerFields[layer].map((name) => `${layer}.${name}`))
  const outerIp = layerFields.ip.map((name) => `outer.${name}`)
  return [...plain, ...outerIp, ...plain.map((path) => `outer.${path}`)]
}

/** The type of a path's values; an `outer.*` address takes the type of IPv4, although the packet may answer with IPv6. */
export function specOfPath(path: FieldPath): FieldSpec | undefined {
  return fieldNamed(path.layer ?? 'ip', path.name)
}

/** The header that a path speaks of in this packet. */
function layerOf(path: FieldPath, dissection: Dissection): Layer | undefined {
  const { layer, outer } = path
  if (outer) {
    if (dissection.depth === 0) return undefined
    return layer === undefined ? ipLayerAt(dissection, 0) : layerAt(dissection, layer, 0)
  }
  if (layer === undefined) return undefined
  if (tunnels.includes(layer)) return dissection.layers.findLast((each) => each.kind === layer)
  // An inner packet without a frame of its own (IPIP) is still inside one.
  if (layer === 'eth' || layer === 'vlan') return lastFrameLayer(dissection, layer)
  return layerAt(dissection, layer, dissection.depth)
}

/** The first header of a kind in the innermost frame; with two VLAN tags that is the outer tag. */
function lastFrameLayer(dissection: Dissection, kind: 'eth' | 'vlan'): Layer | undefined {
  const frame = dissection.layers.findLast((each) => each.kind === 'eth')
  return frame === undefined ? undefined : layerAt(dissection, kind, frame.depth)
}

/** The field of a packet that a path speaks of, or undefined when the packet has no such header. */
export function resolveField(path: FieldPath, dissection: Dissection): ResolvedField | undefined {
  const layer = layerOf(path, dissection)
  if (layer === undefined || layer.kind === 'ext') return undefined
  const name =
    layer.kind === 'ip6' && path.layer === undefined ? (ipv6Names[path.name] ?? path.name) : path.name
  const spec = fieldNamed(layer.kind, name)
  return spec === undefined ? undefined : { layer, spec, value: spec.read(dissection.bytes, layer) }
}

/** The value at a path, or undefined when the header or the field is absent. */
export function readField(path: FieldPath, dissection: Dissection): FieldValue | undefined {
  return resolveField(path, dissection)?.value
}
