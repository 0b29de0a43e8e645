// A root queueing discipline that keeps packets: what an administrator attaches with `tc qdisc`. Devices without one send at
// once. net/core/dev.c __dev_xmit_skb(), net/sched/sch_generic.c __qdisc_run(), sch_api.c qdisc_watchdog_schedule_ns().

import { durationText } from '../../base/duration.ts'
import { cancel, monotonic, type Nanoseconds, ofMonotonic, type Timer } from '../clock.ts'
import type { NetDevice } from '../device/device.ts'
import { transmitDropped, transmitted } from '../device/device.ts'
import { drop } from '../drop.ts'
import type { Skb } from '../skb.ts'
import { chargeSend, releaseSend } from '../socket/send-memory.ts'

/** Why a discipline would not take a packet. */
export type QueueRefusal =
  | 'SKB_DROP_REASON_FQ_BAND_LIMIT'
  | 'SKB_DROP_REASON_FQ_HORIZON_LIMIT'
  | 'SKB_DROP_REASON_FQ_FLOW_LIMIT'

/** Counters that every discipline has (`tc -s qdisc`). */
export interface QdiscCounters {
  bytes: number
  packets: number
  drops: number
  backlogBytes: number
  /** Packets that are kept now. */
  queued: number
}

/** Where a packet stands: the time at which it may leave, and how many must leave before it because a rate is kept. */
export interface Place {
  readonly until: Nanoseconds
  readonly behind: number
}

/** struct Qdisc: the order in which packets leave, and when. Times are virtual nanoseconds. */
export interface Qdisc {
  readonly kind: string
  readonly counters: QdiscCounters
  /** Takes a packet, or says why it would not have it. */
  enqueue(skb: Skb, now: Nanoseconds): Place | QueueRefusal
  /** The packet that leaves now; undefined when there is none, or none yet. */
  dequeue(now: Nanoseconds): Skb | undefined
  /** When to ask again, after `dequeue` had nothing; undefined when nothing waits. */
  nextDeparture(): Nanoseconds | undefined
  /** qdisc_reset(): everything that waits is let go. */
  reset(): readonly Skb[]
}

/** New counters. */
export function qdiscCounters(): QdiscCounters {
  return { bytes: 0, packets: 0, drops: 0, backlogBytes: 0, queued: 0 }
}

/** The root of a device with what runs it: one watchdog, and whether a dequeue is under way (__QDISC_STATE_RUNNING). */
export interface RootQdisc {
  readonly discipline: Qdisc
  /** Hands a packet to the taps and the driver. */
  readonly send: (dev: NetDevice, skb: Skb) => number
  watchdog: Timer | undefined
  running: boolean
  /** Packets that the trace has seen waiting, and since when. */
  readonly held: Map<Skb, Nanoseconds>
}

/** qdisc_graft(): a device gets its discipline; what the old one kept is lost. */
export function attachQdisc(dev: NetDevice, discipline: Qdisc, send: RootQdisc['send']): void {
  if (dev.qdisc !== undefined) resetQdisc(dev, dev.qdisc)
  dev.qdisc = { discipline, send, watchdog: undefined, running: false, held: new Map() }
}

/** dev_deactivate(): the device goes down, what waits is dropped. */
export function resetQdisc(dev: NetDevice, root: RootQdisc): void {
  cancel(root.watchdog)
  root.watchdog = undefined
  root.held.clear()
  for (const skb of root.discipline.reset()) {
    const site = { node: dev.ns.name, device: dev.name, stage: 'qdisc' } as const
    drop(skb, { ...site, reason: 'SKB_DROP_REASON_NOT_SPECIFIED' })
    releaseSend(skb)
  }
}

/**
 * __dev_xmit_skb(): gives a packet to the discipline and sends what may leave. Answers NET_XMIT_DROP when the discipline
 * would not have it; a packet that waits is a success for the sender.
 */
export function throughQdisc(dev: NetDevice, root: RootQdisc, skb: Skb): number {
  const { discipline } = root
  const { clock, trace } = dev.ns.machine
  const answer = discipline.enqueue(skb, monotonic(clock.now))
  if (typeof answer === 'string') {
    discipline.counters.drops += 1
    drop(skb, { node: dev.ns.name, device: dev.name, stage: 'qdisc', reason: answer })
    return transmitDropped
  }
  chargeSend(skb)
  const waits = answer.until > monotonic(clock.now) || answer.behind > 0
  if (trace !== undefined && waits) noteHeld(dev, root, skb, answer)
  runQdisc(dev, root)
  return transmitted
}

function noteHeld(dev: NetDevice, root: RootQdisc, skb: Skb, { until, behind }: Place): void {
  const { clock, trace } = dev.ns.machine
  root.held.set(skb, clock.now)
  const target = behind > 0 ? `behind ${behind}` : `until ${durationText(ofMonotonic(until))}`
  trace?.note(
    skb,
    { node: dev.ns.name, device: dev.name, stage: 'qdisc' },
    { actor: root.discipline.kind, decision: { code: 'QUEUED', target } },
  )
}

function noteSent(dev: NetDevice, root: RootQdisc, skb: Skb): void {
  const { clock, trace } = dev.ns.machine
  const since = root.held.get(skb)
  root.held.delete(skb)
  const site = { node: dev.ns.name, device: dev.name, stage: 'qdisc' } as const
  if (since === undefined) {
    if (trace?.full) trace.note(skb, site, { actor: 'kernel' })
    return
  }
  const target = `after ${durationText(clock.now - since)}`
  trace?.note(skb, site, { actor: root.discipline.kind, decision: { code: 'SENT', target } })
}

/** __qdisc_run(): sends until there is nothing to send now, and sets the watchdog for what has to wait. */
function runQdisc(dev: NetDevice, root: RootQdisc): void {
  if (root.running) return
  const { clock, trace } = dev.ns.machine
  root.running = true
  for (;;) {
    const skb = root.discipline.dequeue(monotonic(clock.now))
    if (skb === undefined) break
    if (trace !== undefined) noteSent(dev, root, skb)
    releaseSend(skb)
    root.send(dev, skb)
  }
  root.running = false
  const departure = root.discipline.nextDeparture()
  const next = departure === undefined ? undefined : ofMonotonic(departure)
  if (root.watchdog?.run !== undefined && root.watchdog.at === next) return
  cancel(root.watchdog)
  root.watchdog =
    next === undefined ? undefined : clock.after(Math.max(0, next - clock.now), () => runQdisc(dev, root))
}
