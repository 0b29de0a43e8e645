// Claims about how a packet ended and which way it went: delivered, dropped, outcome, reason, reaches, path, event,
// verdict, effect, place-reached, icmp.
import type { ClaimBody, PlaceRef } from '../../model/claim.ts'
import type { Given } from '../../model/model.ts'
import { icmpKinds } from '../../model/words/icmp-kinds.ts'
import type { HookEvent, Outcome, PacketTrace } from '../../trace/event.ts'
import { type Answer, expectedActual, missAt } from './answer.ts'
import type { ClaimContext } from './context.ts'
import {
  boundPlace,
  eventsAt,
  everyEvent,
  finalEvent,
  followsPath,
  hopsOf,
  matches,
  names,
  outcomeText,
  placeText,
} from './places.ts'

type Body<Kind extends ClaimBody['kind']> = Extract<ClaimBody, { readonly kind: Kind }>

const outcomeWords: readonly string[] = ['delivered', 'dropped', 'consumed', 'looped', 'unfinished']

/** What happened to a packet, in one phrase per copy: `dropped at host/eth0/xdp (XDP_DROP)`. */
export function fateText(packet: PacketTrace): string {
  if (packet.outcomes.length === 0) return 'unfinished'
  const phrases = packet.outcomes.map((outcome) => {
    const place = outcomeText(outcome)
    const reason = outcome.reason === undefined ? '' : ` (${outcome.reason})`
    return outcome.kind === 'delivered' ? `delivered to ${place}` : `${outcome.kind} at ${place}${reason}`
  })
  return [...new Set(phrases)].join(', ')
}

/** Where a packet ended and who decided it there, for the line under a failure. */
function endOf(packet: PacketTrace): {
  readonly packet: string
  readonly place: string
  readonly actor: string
} {
  const event = finalEvent(packet)
  return event === undefined
    ? { packet: packet.name, place: '', actor: '' }
    : { packet: packet.name, place: placeText(event), actor: event.actor }
}

function fate(packet: PacketTrace, given: Given<unknown>, expected: string): Answer {
  return missAt(given, expectedActual(expected, fateText(packet)), endOf(packet))
}

const endedAt = (packet: PacketTrace, kind: Outcome['kind'], place: PlaceRef): boolean =>
  packet.outcomes.some((outcome) => outcome.kind === kind && names(place, outcome))

export function delivered(packet: PacketTrace, body: Body<'delivered'>): Answer {
  if (endedAt(packet, 'delivered', body.to.value)) return undefined
  return fate(packet, body.to, `delivered to ${body.to.value.text}`)
}

export function dropped(packet: PacketTrace, body: Body<'dropped'>): Answer {
  if (!endedAt(packet, 'dropped', body.at.value))
    return fate(packet, body.at, `dropped at ${body.at.value.text}`)
  return body.reason === undefined ? undefined : reason(packet, { kind: 'reason', reason: body.reason })
}

export function reason(packet: PacketTrace, body: Body<'reason'>): Answer {
  const reasons = packet.outcomes.flatMap((outcome) => (outcome.reason === undefined ? [] : [outcome.reason]))
  if (body.reason.value === '-' ? reasons.length === 0 : reasons.includes(body.reason.value)) return undefined
  const actual = reasons.length === 0 ? 'no drop reason' : [...new Set(reasons)].join(', ')
  return missAt(body.reason, expectedActual(body.reason.value, actual), endOf(packet))
}

export function outcome(packet: PacketTrace, body: Body<'outcome'>): Answer {
  const kind = body.outcome.value
  const known = outcomeWords.includes(kind)
  const kinds = packet.outcomes.map((each) => each.kind)
  const unfinished = kind === 'unfinished' && packet.outcomes.length === 0
  if (!unfinished && (!known || !kinds.some((each) => each === kind))) {
    return missAt(body.outcome, expectedActual(kind, fateText(packet)), endOf(packet))
  }
  const place = body.place
  if (place === undefined || unfinished) return undefined
  const there = packet.outcomes.some((each) => each.kind === kind && names(place.value, each))
  return there ? undefined : fate(packet, place, `${kind} at ${place.value.text}`)
}

/** `request` of `f1.upstream.request2`: what a packet is in its conversation. */
function wordOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1).replace(/\d+$/, '')
}

/** A proxy read the packet: it is no end, the message goes on in what the proxy sent in its place, or nowhere. */
function passedOn(packet: PacketTrace, context: ClaimContext): readonly PacketTrace[] | undefined {
  if (!packet.events.some(({ stage }) => stage === 'proxy')) return undefined
  return context.trace.packets.filter(
    ({ name, cause }) => cause === packet.name && wordOf(name) === wordOf(packet.name),
  )
}

/** Where a packet was delivered, with what proxies sent on in its place. */
function deliveries(packet: PacketTrace, context: ClaimContext): readonly Outcome[] {
  const on = passedOn(packet, context)
  if (on !== undefined) return on.flatMap((each) => deliveries(each, context))
  return packet.outcomes.filter(({ kind }) => kind === 'delivered')
}

export function reaches(packet: PacketTrace, body: Body<'reaches'>, context: ClaimContext): Answer {
  const place = body.target.value
  const all = deliveries(packet, context)
  if (place.nothing) return all.length === 0 ? undefined : fate(packet, body.target, 'delivered nowhere')
  return all.some((outcome) => names(place, outcome))
    ? undefined
    : fate(packet, body.target, `delivered to ${place.text}`)
}

export function path(packet: PacketTrace, body: Body<'path'>): Answer {
  const hops = hopsOf(packet)
  const pattern = body.hops.map((hop) => (hop === 'gap' ? hop : hop.value))
  if (followsPath(hops, pattern)) return undefined
  const first = body.hops.find((hop) => hop !== 'gap')
  if (first === undefined) return undefined
  const last = body.hops.findLast((hop) => hop !== 'gap') ?? first
  const actual = hops.map((hop) => `${hop.node}/${hop.device}`).join(' > ')
  return {
    span: { source: first.span.source, start: first.span.start, end: last.span.end },
    message: `the path was ${actual === '' ? 'empty' : actual}`,
    evidence: endOf(packet),
  }
}

/** The last program that decided at a place: its code is the verdict of the whole hook. */
function verdictEvent(packet: PacketTrace, place: PlaceRef): HookEvent | undefined {
  return eventsAt(packet, place).findLast((event) => event.decision?.value !== undefined)
}

const codePrefixes: Readonly<Partial<Record<HookEvent['stage'], string>>> = {
  xdp: 'XDP_',
  'tc-in': 'TC_ACT_',
  'tc-out': 'TC_ACT_',
  'netkit-primary': 'NETKIT_',
  'netkit-peer': 'NETKIT_',
}

/** `XDP_DROP`, `TC_ACT_SHOT`: the name of a program's return code at its hook. */
export function codeName(event: HookEvent): string {
  const code = event.decision?.code ?? ''
  const prefix = codePrefixes[event.stage] ?? ''
  return /^[0-9-]/.test(code) ? code : `${prefix}${code}`
}

export function verdict(packet: PacketTrace, body: Body<'verdict'>): Answer {
  const event = verdictEvent(packet, body.place.value)
  const wanted = body.code.value
  const at = `at ${body.place.value.text}`
  if (wanted === '-') {
    if (event === undefined) return undefined
    const seen = { packet: packet.name, place: placeText(event), actor: event.actor }
    return missAt(body.code, `expected no verdict ${at}, actual ${codeName(event)}`, seen)
  }
  if (event === undefined)
    return missAt(body.code, `expected ${wanted}, but no program ran ${at}`, endOf(packet))
  const actual = codeName(event)
  const same =
    actual === wanted ||
    actual === wanted.replace(/^TCX_/, 'TC_ACT_') ||
    String(event.decision?.value) === wanted
  if (same === (body.operator === '==')) return undefined
  const seen = { packet: packet.name, place: placeText(event), actor: event.actor }
  return missAt(body.code, expectedActual(`${body.operator === '==' ? '' : 'not '}${wanted}`, actual), seen)
}

export function tracepoint(packet: PacketTrace, body: Body<'event'>): Answer {
  for (const event of everyEvent(packet.events)) {
    const here = body.on === undefined || matches(body.on.value, event)
    const fired = event.facts.some((fact) => fact.kind === 'tracepoint' && fact.name === body.event.value)
    if (here && fired) return undefined
  }
  return missAt(body.event, `the event ${body.event.value} did not fire`, endOf(packet))
}

export function placeReached(
  packet: PacketTrace,
  body: Body<'place-reached'>,
  { captured }: ClaimContext,
): Answer {
  if (eventsAt(packet, boundPlace(body.place.value, captured)).length > 0) return undefined
  return missAt(body.place, `the packet was not seen at ${body.place.value.text}`, endOf(packet))
}

/** Type and code of an ICMP or ICMPv6 packet in a snapshot that starts with Ethernet or IP; undefined for others. */
function icmpOf(event: PacketTrace['first']): readonly [4 | 6, number, number] | undefined {
  const bytes = event.bytes
  const ip = event.start === 'ethernet' ? 14 : 0
  const version = (bytes[ip] ?? 0) >> 4
  if (version === 4 && bytes[ip + 9] === 1) {
    const at = ip + ((bytes[ip] ?? 0) & 15) * 4
    return [4, bytes[at] ?? 0, bytes[at + 1] ?? 0]
  }
  if (version === 6 && bytes[ip + 6] === 58) return [6, bytes[ip + 40] ?? 0, bytes[ip + 41] ?? 0]
  return undefined
}

/** Packets that a packet or any packet of a flow caused. */
function causedBy(context: ClaimContext, name: string): PacketTrace[] {
  return context.trace.packets.filter((each) => each.cause === name || each.cause.startsWith(`${name}.`))
}

export function icmp(name: string, body: Body<'icmp'>, context: ClaimContext): Answer {
  const wanted =
    body.type.value === '-' ? Object.values(icmpKinds).flat() : (icmpKinds[body.type.value] ?? [])
  const answers = causedBy(context, name).flatMap((each) => {
    const found = icmpOf(each.first)
    return found === undefined ? [] : [{ each, found }]
  })
  const right = answers.filter(({ each, found }) => {
    const [version, type, code] = found
    if (!wanted.some((one) => one[0] === version && one[1] === type && (one[2] ?? code) === code))
      return false
    if (body.type.value === '-') return true
    const born = each.events[0]
    if (body.from !== undefined && (born === undefined || body.from.value.node !== born.node)) return false
    return body.withinNs === undefined || born === undefined || born.time <= body.withinNs
  })
  if (right.length > 0 !== (body.type.value === '-')) return undefined
  const actual = answers.map(
    ({ each, found }) =>
      `${each.name} (type ${found[1]} code ${found[2]} from ${each.events[0]?.node ?? 'nowhere'})`,
  )
  return missAt(
    body.type,
    actual.length === 0 ? `${name} caused no ICMP message` : `the ICMP messages were ${actual.join(', ')}`,
  )
}
