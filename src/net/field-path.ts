// `tcp.dport`, `outer.src`, `outer.udp.dport`, `inner.src`: which header of a packet a path speaks of.
//
//   eth ip udp vxlan | eth ip tcp          plain names speak of the innermost packet: ip.src is the pod's address
//   ^--- outer.* ---^ ^- plain names -^    vxlan.* and geneve.* are found wherever they are
//
// A packet that is not encapsulated has neither outer nor inner headers, so `outer.*` and `inner.*` are absent there, and a
// test on them is false.

import type { FieldSpec, FieldValue } from './field-spec.ts'
import { fieldLayers, fieldNamed, layerFields } from './fields.ts'
import { type Dissection, type FieldLayer, ipLayerAt, type Layer, layerAt } from './layer.ts'

/** A checked path. `layer` is undefined for `outer.src`, which is a field of whichever IP version is outside. */
export interface FieldPath {
  readonly text: string
  /** `any`: the innermost packet, encapsulated or not */
  readonly where: 'outer' | 'inner' | 'any'
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

/** `layer.field`, or `outer.` or `inner.` with `layer.field` or a field of IP; undefined when there is no such field. */
export function parseFieldPath(text: string): FieldPath | undefined {
  const prefix = /^(outer|inner)\./.exec(text)?.[1]
  const where = prefix === 'outer' || prefix === 'inner' ? prefix : 'any'
  const rest = where === 'any' ? text : text.slice('outer.'.length)
  const dot = rest.indexOf('.')
  const layer = fieldLayers.find((known) => known === rest.slice(0, dot))
  if (layer !== undefined) {
    const name = rest.slice(dot + 1)
    return fieldNamed(layer, name) === undefined ? undefined : { text, where, layer, name }
  }
  const known = where !== 'any' && fieldNamed('ip', rest) !== undefined
  return known ? { text, where, layer: undefined, name: rest } : undefined
}

/** Every path that `parseFieldPath` accepts, for completion and for the grammar. */
export function allFieldPaths(): readonly string[] {
  const plain = fieldLayers.flatMap((layer) => layerFields[layer].map((name) => `${layer}.${name}`))
  const prefixed = ['outer', 'inner'].flatMap((where) =>
    [...layerFields.ip, ...plain].map((path) => `${where}.${path}`),
  )
  return [...plain, ...prefixed]
}

/** The type of a path's values; an `outer.*` address takes the type of IPv4, although the packet may answer with IPv6. */
export function specOfPath(path: FieldPath): FieldSpec | undefined {
  return fieldNamed(path.layer ?? 'ip', path.name)
}

/** The header that a path speaks of in this packet. */
function layerOf(path: FieldPath, dissection: Dissection): Layer | undefined {
  const { layer, where } = path
  if (where !== 'any' && dissection.depth === 0) return undefined
  const depth = where === 'outer' ? 0 : dissection.depth
  if (layer === undefined) return ipLayerAt(dissection, depth)
  if (where !== 'any') return layerAt(dissection, layer, depth)
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
