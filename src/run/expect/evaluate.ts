// Asks one expectation of a finished (or, for state, a paused) run. Enters: a resolved claim and the trace; leaves: a
// Failure with its place in the file, or nothing.
import type { Span } from '../../base/text.ts'
import type { Claim, ClaimBody } from '../../model/claim.ts'
import type { Expectation } from '../../model/model.ts'
import type { PacketTrace } from '../../trace/event.ts'
import type { Failure } from '../verdict.ts'
import { type Answer, missAt, missHere } from './answer.ts'
import { chainAnswer } from './chains.ts'
import type { ClaimContext } from './context.ts'
import * as datapath from './datapath.ts'
import * as fate from './fate.ts'
import { fieldOf, fieldTest, type Sight } from './fields.ts'
import { flowAnswer } from './flows.ts'
import { boundPlace, eventsAt, finalEvent, placeText } from './places.ts'
import { changesDepth, encapsulated, translated, unchanged } from './rewrites.ts'
import { counterClaim, mapClaim, stateClaim } from './state.ts'

/** Codes of failed claims; each has a page in `scn explain`. */
export const failureCode = { claim: 'E001', noPacket: 'E002', noFlow: 'E003', forbidden: 'E004' } as const

/** Evaluates an expectation; undefined when it holds. */
export function evaluate(expectation: Expectation, context: ClaimContext): Failure | undefined {
  const { subject, claim } = expectation
  switch (subject.kind) {
    case 'state':
      return asFailure(settle(claim, stateAnswer(claim, context)), claim, failureCode.claim)
    case 'flow':
      return flowFailure(expectation, context)
    case 'scenario':
      return invariantFailure(claim, context)
    case 'packet':
      return packetFailure(expectation, context)
  }
}

/** Turns a `never` around: a claim that holds where it must not is the miss. */
function settle(claim: Claim, answer: Answer): Answer {
  if (!claim.never) return answer
  return answer === undefined ? missHere(claim.span, 'this must never be true, but it is') : undefined
}

function asFailure(answer: Answer, claim: Claim, code: string): Failure | undefined {
  if (answer === undefined) return undefined
  return {
    code,
    span: answer.cell ?? answer.span,
    claim: claim.span,
    ...(answer.cell === undefined ? {} : { usedAt: answer.span }),
    message: answer.message,
    evidence: answer.evidence,
  }
}

function packetFailure({ subject, claim }: Expectation, context: ClaimContext): Failure | undefined {
  const packets = subject.all
    ? context.trace.packets.filter(
        (each) => each.name === subject.name || each.name.startsWith(`${subject.name}[`),
      )
    : [context.packets.get(subject.name)].filter((each) => each !== undefined)
  if (packets.length === 0) {
    if (claim.never || claim.body.kind === 'icmp') return undefined
    const seen = context.trace.packets.map((each) => each.name)
    const told =
      seen.length === 0
        ? 'no packet was seen'
        : `the packets were ${seen.slice(0, 8).join(', ')}${seen.length > 8 ? ' ...' : ''}`
    return {
      code: failureCode.noPacket,
      span: subject.span,
      claim: claim.span,
      message: `there was no packet ${subject.name}; ${told}`,
      evidence: undefined,
    }
  }
  for (const packet of packets) {
    const answer = settle(claim, packetAnswer(packet, claim, context))
    if (answer !== undefined)
      return asFailure(answer, claim, claim.never ? failureCode.forbidden : failureCode.claim)
  }
  return undefined
}

function invariantFailure(claim: Claim, context: ClaimContext): Failure | undefined {
  for (const packet of context.trace.packets) {
    const answer = packetAnswer(packet, claim, context)
    const wrong = claim.never ? answer === undefined : answer !== undefined
    if (!wrong) continue
    const evidence = {
      packet: packet.name,
      place: placeText(finalEvent(packet) ?? nowhere),
      actor: finalEvent(packet)?.actor ?? '',
    }
    const miss = claim.never
      ? missHere(claim.span, `this must never be true, but it is of ${packet.name}`, evidence)
      : answer
    return asFailure(miss, claim, failureCode.forbidden)
  }
  return undefined
}

const nowhere = { node: '', device: '', stage: 'rx' } as const

/** The packet as the claim wants to see it: at a place, or where it ended. */
function sightOf(packet: PacketTrace, claim: Claim, { cilium, captured }: ClaimContext): Sight | Answer {
  if (claim.at === undefined) {
    const last = finalEvent(packet)
    if (last === undefined) return { packet, cilium, snapshot: packet.first, place: '', actor: '' }
    const end = packet.outcomes.find((outcome) => outcome.kind === 'delivered')
    const deliveredTo = end?.node === last.node ? { deliveredTo: end.node } : {}
    return {
      packet,
      cilium,
      snapshot: last.after,
      place: placeText(last),
      actor: last.actor,
      time: last.time,
      ...deliveredTo,
    }
  }
  const event = eventsAt(packet, boundPlace(claim.at.value, captured)).at(-1)
  if (event === undefined) return missAt(claim.at, `${packet.name} was not seen at ${claim.at.value.text}`)
  return {
    packet,
    cilium,
    snapshot: event.after,
    place: placeText(event),
    actor: event.actor,
    time: event.time,
  }
}

function packetAnswer(packet: PacketTrace, claim: Claim, context: ClaimContext): Answer {
  return bodyAnswer(packet, claim, claim.body, context)
}

function bodyAnswer(packet: PacketTrace, claim: Claim, body: ClaimBody, context: ClaimContext): Answer {
  switch (body.kind) {
    case 'delivered':
      return fate.delivered(packet, body)
    case 'dropped':
      return fate.dropped(packet, body)
    case 'reason':
      return fate.reason(packet, body)
    case 'outcome':
      return fate.outcome(packet, body)
    case 'path':
      return fate.path(packet, body)
    case 'reaches':
      return fate.reaches(packet, body, context)
    case 'verdict':
      return fate.verdict(packet, body)
    case 'event':
      return fate.tracepoint(packet, body)
    case 'place-reached':
      return fate.placeReached(packet, body, context)
    case 'icmp':
      return fate.icmp(packet.name, body, context)
    case 'unchanged':
      return unchanged(packet, body, context)
    case 'dnat':
    case 'snat':
      return translated(packet, body, claim.span, context)
    case 'encap':
      return encapsulated(packet, body, claim.span, context)
    case 'effect':
      return effectAnswer(packet, body.effect, claim.span)
    case 'field':
    case 'capture':
      return sightAnswer(packet, claim, body, context)
    case 'reply':
      return replyAnswer(packet, claim, body.claim, context)
    case 'chain':
    case 'rule':
      return chainAnswer(packet, body)
    case 'policy':
      return datapath.policy(packet, body, claim.span, context)
    case 'to-proxy':
      return datapath.toProxy(packet, body, claim.span, context)
    case 'monitor':
      return datapath.monitor(packet, body, context)
    case 'flow-state':
    case 'errno':
    case 'error-queue':
    case 'socket-name':
      return missHere(claim.span, 'this is a claim about a flow, not about a packet')
    case 'counter':
    case 'state':
    case 'map':
    case 'metric':
      return stateAnswer(claim, context)
  }
}

/** Claims that read a field: `ip.ttl == 63`, `capture $x = tcp.sport`. */
function sightAnswer(
  packet: PacketTrace,
  claim: Claim,
  body: Extract<ClaimBody, { kind: 'field' | 'capture' }>,
  context: ClaimContext,
): Answer {
  const sight = sightOf(packet, claim, context)
  if (sight === undefined || !('snapshot' in sight)) return sight
  if (body.kind === 'field') return fieldTest(body.test, sight, context)
  const value = fieldOf(body.field, sight)
  if (value === undefined) return missHere(claim.span, `the packet has no ${body.field} there`)
  if (value.kind === 'number' || value.kind === 'flags')
    context.captured.set(body.variable, { kind: 'number', number: value.value })
  else if (value.kind === 'ipv4' || value.kind === 'ipv6')
    context.captured.set(body.variable, { kind: 'addresses', addresses: [value.value] })
  else if (value.kind === 'mac') context.captured.set(body.variable, { kind: 'mac', mac: value.value })
  return undefined
}

/** The packet that answers this one: the first that it caused. */
function replyAnswer(packet: PacketTrace, claim: Claim, body: ClaimBody, context: ClaimContext): Answer {
  const reply = context.trace.packets.find((each) => each.cause === packet.name)
  if (reply === undefined) return missHere(claim.span, `nothing answered ${packet.name}`)
  return bodyAnswer(reply, claim, body, context)
}

/** Whether an effect was seen at all (`never drop`, `never redirect`). */
function effectAnswer(packet: PacketTrace, effect: string, span: Span): Answer {
  const seen = effectSeen(packet, effect)
  return seen ? undefined : missHere(span, `${packet.name} shows no ${effect}`)
}

function effectSeen(packet: PacketTrace, effect: string): boolean {
  switch (effect) {
    case 'drop':
      return packet.outcomes.some((outcome) => outcome.kind === 'dropped')
    case 'loop':
      return packet.outcomes.some((outcome) => outcome.kind === 'looped')
    case 'redirect':
      return packet.events.some((event) => event.decision?.code === 'REDIRECT')
    case 'encap':
    case 'decap':
      return packet.events.some((event) => changesDepth(event, effect))
    case 'fragment':
      return packet.events.some((event) => event.decision?.code === 'FRAGMENT')
    case 'retransmit':
      return /\.retry\d+$/.test(packet.name)
    case 'icmp':
      return /\.icmp\d*$/.test(packet.name)
    default:
      return false
  }
}

function stateAnswer(claim: Claim, context: ClaimContext): Answer {
  const { body } = claim
  switch (body.kind) {
    case 'counter':
      return counterClaim(body, context)
    case 'state':
      return stateClaim(body, claim.span, context)
    case 'map':
      return mapClaim(body, claim.span, context)
    case 'metric':
      return datapath.metric(body, context)
    default:
      return missHere(claim.span, 'this claim does not speak of state')
  }
}

/** Claims about flows: how the calls of the sockets ended. */
function flowFailure({ subject, claim }: Expectation, context: ClaimContext): Failure | undefined {
  const flow = context.flows.get(subject.name)
  if (flow === undefined) {
    return {
      code: failureCode.noFlow,
      span: subject.span,
      claim: claim.span,
      message: `the flow ${subject.name} never started`,
      evidence: undefined,
    }
  }
  const ofState = claim.body.kind === 'counter' || claim.body.kind === 'state' || claim.body.kind === 'map'
  const answer = ofState ? stateAnswer(claim, context) : flowAnswer(flow, claim, context)
  return asFailure(settle(claim, answer), claim, failureCode.claim)
}
