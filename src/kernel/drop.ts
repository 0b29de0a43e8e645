// The ends of packets: every path ends in one of these functions, so that no packet vanishes without an outcome.

import type { KernelDropReason } from '../trace/drop-reason.ts'
import type { Fact, OutcomeKind, Stage } from '../trace/event.ts'
import type { NetDevice } from './device/device.ts'
import type { Skb } from './skb.ts'

/** Where a packet ends. Without `node` it is the namespace of the packet's device; `device` '' is the stack itself. */
export interface End {
  readonly node?: string
  readonly device: string
  readonly stage: Stage
}

/** Says how a packet ended without an event of its own: the event that ended it is already written. */
export function endPacket(
  skb: Skb,
  end: End & { readonly kind: OutcomeKind; readonly reason?: KernelDropReason },
): void {
  const { trace } = skb.dev.ns.machine
  if (trace === undefined) return
  const place = { kind: end.kind, node: end.node ?? skb.dev.ns.name, device: end.device, stage: end.stage }
  trace.outcome(skb, end.reason === undefined ? place : { ...place, reason: end.reason })
}

/** kfree_skb_reason: writes the kernel's drop and the outcome. Counters are the caller's business. */
export function drop(
  skb: Skb,
  what: End & {
    readonly reason: KernelDropReason
    readonly chain?: string
    readonly facts?: readonly Fact[]
  },
): void {
  const { trace } = skb.dev.ns.machine
  if (trace === undefined) return
  const site = { node: what.node ?? skb.dev.ns.name, device: what.device, stage: what.stage }
  trace.note(skb, what.chain === undefined ? site : { ...site, chain: what.chain }, {
    actor: 'kernel',
    decision: { code: 'DROP' },
    facts: [{ kind: 'drop', reason: what.reason }, ...(what.facts ?? [])],
  })
  endPacket(skb, { ...site, kind: 'dropped', reason: what.reason })
}

/** The packet reached who it was for; `target` is what received it (`tcp/80`). */
export function deliverOutcome(
  skb: Skb,
  what: End & { readonly actor: string; readonly target: string },
): void {
  const { trace } = skb.dev.ns.machine
  if (trace === undefined) return
  const site = { node: what.node ?? skb.dev.ns.name, device: what.device, stage: what.stage }
  trace.note(skb, site, { actor: what.actor, decision: { code: 'DELIVER', target: what.target } })
  endPacket(skb, { ...site, kind: 'delivered' })
}

/** Counts a hop of this copy. True when the packet has been going round, or multiplying, too long: it ended as `looped`. */
export function hopLimitReached(skb: Skb, dev: NetDevice, stage: Stage): boolean {
  skb.hops += 1
  const { machine } = dev.ns
  const { journey } = skb
  if (journey !== undefined) journey.hops += 1
  const alone = skb.hops > machine.limits.hopsMax
  const together = journey !== undefined && journey.hops > machine.limits.journeyHopsMax
  if (!alone && !together) return false
  machine.reached.add(alone ? 'hopsMax' : 'journeyHopsMax')
  if (journey?.over !== true) endPacket(skb, { node: dev.ns.name, device: dev.name, stage, kind: 'looped' })
  if (together) journey.over = true
  return true
}
