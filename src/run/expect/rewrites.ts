// Claims about rewrites: dnat, snat, unchanged, encap. All of them are differences of bytes between two snapshots.

import type { Span } from '../../base/text.ts'
import type { ClaimBody, PlaceRef, Value } from '../../model/claim.ts'
import type { Given } from '../../model/model.ts'
import { formatIp, type IpAddress, sameIp } from '../../net/address.ts'
import { type Dissection, dissect, ipLayerAt, transportLayerAt } from '../../net/dissect.ts'
import { sameFieldValue } from '../../net/field-spec.ts'
import { sealedLayer } from '../../net/layer.ts'
import type { HookEvent, PacketTrace, Snapshot } from '../../trace/event.ts'
import { type Answer, missAt, missHere } from './answer.ts'
import type { ClaimContext } from './context.ts'
import { textOf } from './field-text.ts'
import { fieldOf, readPath, type Sight } from './fields.ts'
import { eventsAt, everyEvent, finalEvent, placeText } from './places.ts'

type Body<Kind extends ClaimBody['kind']> = Extract<ClaimBody, { readonly kind: Kind }>

/** One end of a packet: an address and, where there is one, a port. */
interface End {
  readonly address: IpAddress
  readonly port: number | undefined
}

interface Rewrite {
  readonly event: HookEvent
  readonly from: End
  readonly to: End
}

/** Source or destination of the innermost packet. */
function endOf(dissection: Dissection, side: 'src' | 'dst'): End | undefined {
  const ip = ipLayerAt(dissection, dissection.depth)
  if (ip === undefined) return undefined
  const address = readPath(`${ip.kind}.${side}`, dissection)
  if (address === undefined || (address.kind !== 'ipv4' && address.kind !== 'ipv6')) return undefined
  const transport = transportLayerAt(dissection, dissection.depth)
  const port =
    transport === undefined
      ? undefined
      : readPath(`${transport.kind}.${side === 'src' ? 'sport' : 'dport'}`, dissection)
  return { address: address.value, port: port?.kind === 'number' ? port.value : undefined }
}

const end = (snapshot: Snapshot, side: 'src' | 'dst'): End | undefined =>
  endOf(dissect(snapshot.bytes, snapshot.start), side)

const sameEnd = (left: End, right: End): boolean =>
  sameIp(left.address, right.address) && left.port === right.port

/** Every event that changed the packet's destination (`dst`) or source (`src`). */
function rewritesOf(packet: PacketTrace, side: 'src' | 'dst', place: PlaceRef | undefined): Rewrite[] {
  const events = place === undefined ? [...everyEvent(packet.events)] : eventsAt(packet, place)
  return events.flatMap((event) => {
    if (event.before === event.after) return []
    const from = end(event.before, side)
    const to = end(event.after, side)
    return from === undefined || to === undefined || sameEnd(from, to) ? [] : [{ event, from, to }]
  })
}

function isEnd(end: End, wanted: Value): boolean {
  switch (wanted.kind) {
    case 'endpoint':
      return (
        (wanted.port === undefined || wanted.port === end.port) &&
        wanted.addresses.some((each) => sameIp(each, end.address))
      )
    case 'addresses':
      return wanted.addresses.some((each) => sameIp(each, end.address))
    default:
      return false
  }
}

function endText(end: End, context: ClaimContext): string {
  const name = context.nameOf(end.address)
  const host =
    name === formatIp(end.address) && typeof end.address !== 'number' && end.port !== undefined
      ? `[${name}]`
      : name
  return end.port === undefined ? host : `${host}:${end.port}`
}

/** `dnat A -> B`, `snat none`, and `never dnat`. */
export function translated(
  packet: PacketTrace,
  body: Body<'dnat' | 'snat'>,
  span: Span,
  context: ClaimContext,
): Answer {
  const rewrites = rewritesOf(packet, body.kind === 'dnat' ? 'dst' : 'src', body.place?.value)
  const told = rewrites.map(
    ({ from, to, event }) => `${endText(from, context)} -> ${endText(to, context)} at ${placeText(event)}`,
  )
  const first = rewrites[0]?.event
  const evidence = {
    packet: packet.name,
    place: first === undefined ? '' : placeText(first),
    actor: first?.actor ?? '',
  }
  if (body.form === 'none')
    return rewrites.length === 0
      ? undefined
      : missHere(span, `expected no ${body.kind}, actual ${told.join(', ')}`, evidence)
  if (body.form === 'any')
    return rewrites.length > 0 ? undefined : missHere(span, `there was no ${body.kind}`, evidence)
  const { from, to } = body
  const right = rewrites.some(
    (each) =>
      (from === undefined || isEnd(each.from, from.value)) && (to === undefined || isEnd(each.to, to.value)),
  )
  if (right) return undefined
  const wrongFrom = from !== undefined && !rewrites.some((each) => isEnd(each.from, from.value))
  const culprit: Given<unknown> | undefined = wrongFrom || to === undefined ? from : to
  const message = told.length === 0 ? `there was no ${body.kind}` : `the rewrites were ${told.join(', ')}`
  return culprit === undefined ? missHere(span, message, evidence) : missAt(culprit, message, evidence)
}

/** `unchanged ip.src ip.dst`: equal where the packet was born and where it ended. */
export function unchanged(packet: PacketTrace, body: Body<'unchanged'>, context: ClaimContext): Answer {
  const last = finalEvent(packet)
  if (last === undefined) return undefined
  const born: Sight = { packet, snapshot: packet.first, place: '', actor: '' }
  const ended: Sight = { packet, snapshot: last.after, place: placeText(last), actor: last.actor }
  for (const field of body.fields) {
    const before = fieldOf(field.value, born)
    const after = fieldOf(field.value, ended)
    if (before === undefined && after === undefined) continue
    if (before !== undefined && after !== undefined && sameFieldValue(before, after)) continue
    const changed = [...everyEvent(packet.events)].find((event) => differs(event, field.value, packet))
    const where = changed === undefined ? last : changed
    const text = (value: typeof before): string => (value === undefined ? 'absent' : textOf(value, context))
    return missAt(field, `${field.value} changed from ${text(before)} to ${text(after)}`, {
      packet: packet.name,
      place: placeText(where),
      actor: where.actor,
    })
  }
  return undefined
}

function differs(event: HookEvent, field: string, packet: PacketTrace): boolean {
  if (event.before === event.after) return false
  const sight = (snapshot: Snapshot): Sight => ({ packet, snapshot, place: '', actor: '' })
  const before = fieldOf(field, sight(event.before))
  const after = fieldOf(field, sight(event.after))
  if (before === undefined || after === undefined) return before !== after
  return !sameFieldValue(before, after)
}

/** Whether an event put the packet into a tunnel (its depth of encapsulation grew) or took it out. */
export function changesDepth(event: HookEvent, direction: 'encap' | 'decap'): boolean {
  if (event.before === event.after) return false
  const before = depthOf(event.before)
  const after = depthOf(event.after)
  if (before.sealed !== after.sealed) return (direction === 'encap') === after.sealed
  return depthsDiffer(before.depth, after.depth, direction)
}

/** How many packets are in one another, and whether the outermost of them is encrypted. */
function depthOf({ bytes, start }: Snapshot): { readonly depth: number; readonly sealed: boolean } {
  const dissection = dissect(bytes, start)
  return { depth: dissection.depth, sealed: sealedLayer(dissection) !== undefined }
}

function depthsDiffer(before: number, after: number, direction: 'encap' | 'decap'): boolean {
  return direction === 'encap' ? after > before : after < before
}

const tunnelKinds = ['wireguard', 'esp', 'vxlan', 'geneve'] as const
type TunnelProtocol = (typeof tunnelKinds)[number] | 'ipip'

/** The outermost tunnel of a packet: behind an encrypted header nothing else is seen. */
function tunnelOf({ bytes, start }: Snapshot): TunnelProtocol {
  const kinds = dissect(bytes, start).layers.map(({ kind }) => kind)
  return tunnelKinds.find((each) => kinds.includes(each)) ?? 'ipip'
}

function isSealed(protocol: TunnelProtocol): boolean {
  return protocol === 'wireguard' || protocol === 'esp'
}

/** `encap vxlan n1 > n2 vni 7`. */
export function encapsulated(
  packet: PacketTrace,
  body: Body<'encap'>,
  span: Span,
  context: ClaimContext,
): Answer {
  const events =
    body.place === undefined ? [...everyEvent(packet.events)] : eventsAt(packet, body.place.value)
  const tunnels = events.filter((event) => changesDepth(event, 'encap'))
  const { protocol: asked } = body
  const first = tunnels.find((event) => tunnelOf(event.after) === asked) ?? tunnels[0]
  if (first === undefined) return missHere(span, 'the packet was not encapsulated')
  const evidence = { packet: packet.name, place: placeText(first), actor: first.actor }
  const protocol = tunnelOf(first.after)
  if (body.protocol !== undefined && body.protocol !== protocol)
    return missHere(span, `the tunnel was ${protocol}`, evidence)
  const checks: readonly (readonly [Given<Value> | undefined, string])[] = [
    [body.from, isSealed(protocol) ? 'ip.src' : 'outer.src'],
    [body.to, isSealed(protocol) ? 'ip.dst' : 'outer.dst'],
    [body.vni, `${protocol}.vni`],
  ]
  const sight: Sight = { packet, snapshot: first.after, place: placeText(first), actor: first.actor }
  for (const [wanted, field] of checks) {
    if (wanted === undefined) continue
    const actual = fieldOf(field, sight)
    const end: End | undefined =
      actual?.kind === 'ipv4' || actual?.kind === 'ipv6'
        ? { address: actual.value, port: undefined }
        : undefined
    const same =
      end === undefined
        ? actual?.kind === 'number' && wanted.value.kind === 'number' && actual.value === wanted.value.number
        : isEnd(end, wanted.value)
    if (!same)
      return missAt(
        wanted,
        `${field} was ${actual === undefined ? 'absent' : textOf(actual, context)}`,
        evidence,
      )
  }
  return undefined
}
