// What a hook did to a packet: headers that came or went, and fields that changed. A trace effect is computed from the
// bytes before and after, never claimed by whoever changed them.

import { type FieldSpec, type FieldValue, sameFieldValue } from './field-spec.ts'
import { fieldNamed, layerFields } from './fields.ts'
import type { Dissection, FieldLayer, Layer, LayerKind } from './layer.ts'

export type PacketChange =
  | {
      readonly kind: 'field'
      readonly layer: FieldLayer
      readonly name: string
      /** the depth in the packet after the change */
      readonly depth: number
      /** undefined where the field was not there (an option that was added) */
      readonly before: FieldValue | undefined
      readonly after: FieldValue | undefined
    }
  /** headers in front of the common rest that are new (encapsulation, a VLAN tag) */
  | { readonly kind: 'added'; readonly layers: readonly LayerKind[] }
  | { readonly kind: 'removed'; readonly layers: readonly LayerKind[] }
  | { readonly kind: 'payload'; readonly beforeBytes: number; readonly afterBytes: number }

/** Fields that follow from others and would only repeat them. */
const derived: Readonly<Partial<Record<FieldLayer, readonly string[]>>> = {
  ip: ['checksum', 'dscp', 'ecn', 'len', 'ihl'],
  ip6: ['dscp', 'ecn', 'len', 'next'],
  tcp: ['checksum', 'len', 'doff'],
  udp: ['checksum', 'len'],
  sctp: ['checksum'],
  icmp: ['checksum'],
  icmp6: ['checksum'],
}

interface ComparedField {
  readonly name: string
  readonly spec: FieldSpec
}

/** Which fields are worth comparing, worked out once. */
const compared = new Map<FieldLayer, readonly ComparedField[]>()

function comparedFields(layer: FieldLayer): readonly ComparedField[] {
  const known = compared.get(layer)
  if (known !== undefined) return known
  const found = layerFields[layer].flatMap((name) => {
    const spec = derived[layer]?.includes(name) ? undefined : fieldNamed(layer, name)
    return spec === undefined ? [] : [{ name, spec }]
  })
  compared.set(layer, found)
  return found
}

/**
 * The changes from one packet to another, outermost header first, in the order of the field table. Headers are paired from
 * the innermost outwards, then the rest from the outermost inwards, so an encapsulation or a tag is added headers and
 * nothing else. Derived fields (checksums, lengths) are
 * left out. An empty list means that the packets are equal but for those.
 */
export function diffPackets(before: Dissection, after: Dissection): readonly PacketChange[] {
  const changes: PacketChange[] = []
  const common = commonSuffix(before.layers, after.layers)
  const outside = commonPrefix(before.layers, after.layers, common)
  const removed = before.layers.slice(outside, before.layers.length - common)
  const added = after.layers.slice(outside, after.layers.length - common)
  if (removed.length > 0) changes.push({ kind: 'removed', layers: removed.map((layer) => layer.kind) })
  if (added.length > 0) changes.push({ kind: 'added', layers: added.map((layer) => layer.kind) })
  for (let index = 0; index < outside; index += 1) {
    diffHeader(before, before.layers[index], after, after.layers[index], changes)
  }
  for (let left = common; left > 0; left -= 1) {
    diffHeader(before, before.layers.at(-left), after, after.layers.at(-left), changes)
  }
  if (!samePayload(before, after)) {
    const length = ({ payload }: Dissection): number => payload.end - payload.start
    changes.push({ kind: 'payload', beforeBytes: length(before), afterBytes: length(after) })
  }
  return changes
}

/** How many headers at the end are of the same kinds. */
function commonSuffix(before: readonly Layer[], after: readonly Layer[]): number {
  const most = Math.min(before.length, after.length)
  let count = 0
  while (count < most && before[before.length - 1 - count]?.kind === after[after.length - 1 - count]?.kind)
    count += 1
  return count
}

/** How many headers in front of the common end are of the same kinds. */
function commonPrefix(before: readonly Layer[], after: readonly Layer[], suffix: number): number {
  const most = Math.min(before.length, after.length) - suffix
  let count = 0
  while (count < most && before[count]?.kind === after[count]?.kind) count += 1
  return count
}

function diffHeader(
  { bytes: oldBytes }: Dissection,
  old: Layer | undefined,
  { bytes: newBytes }: Dissection,
  now: Layer | undefined,
  changes: PacketChange[],
): void {
  if (old === undefined || now === undefined || now.kind === 'ext') return
  if (sameRange(oldBytes, old.start, old.payload, newBytes, now.start, now.payload)) return
  const layer = now.kind
  for (const { name, spec } of comparedFields(layer)) {
    const { span } = spec
    if (span !== undefined) {
      const from = old.start + span.at
      const to = now.start + span.at
      if (sameRange(oldBytes, from, from + span.lengthBytes, newBytes, to, to + span.lengthBytes)) continue
    }
    const before = spec.read(oldBytes, old)
    const after = spec.read(newBytes, now)
    const same =
      before === undefined || after === undefined ? before === after : sameFieldValue(before, after)
    if (!same) changes.push({ kind: 'field', layer, name, depth: now.depth, before, after })
  }
}

function samePayload(before: Dissection, after: Dissection): boolean {
  const { payload: old } = before
  const { payload: now } = after
  return sameRange(before.bytes, old.start, old.end, after.bytes, now.start, now.end)
}

function sameRange(
  left: Uint8Array,
  leftStart: number,
  leftEnd: number,
  right: Uint8Array,
  rightStart: number,
  rightEnd: number,
): boolean {
  const length = leftEnd - leftStart
  if (rightEnd - rightStart !== length) return false
  for (let i = 0; i < length; i += 1) if (left[leftStart + i] !== right[rightStart + i]) return false
  return true
}
