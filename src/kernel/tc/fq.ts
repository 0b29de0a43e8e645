// The fair queue scheduler (net/sched/sch_fq.c): packets leave at their departure time (skb->tstamp) or at once, flow after
// flow. A flow is a socket, or a hash for packets that have none. Flows are never collected, weights and the map of
// priorities are the kernel's defaults, and there is no ce_threshold: a virtual clock is never late.
import { ipProtocol } from '../../net/protocol.ts'
import { type Nanoseconds, second } from '../clock.ts'
import { flowHash } from '../flow-hash.ts'
import { wireLength } from '../gso.ts'
import type { Skb } from '../skb.ts'
import { type Socket, socketState } from '../socket/socket.ts'
import { addPacket, type FqFlow, FqRounds, newFlow } from './fq-flows.ts'
import { type Place, type Qdisc, type QueueRefusal, qdiscCounters } from './qdisc.ts'

/** What `tc qdisc add ... fq` sets. Rates in bytes a second, `Infinity` for none; times in nanoseconds. */
export interface FqOptions {
  /** Packets of one band that may wait. */
  readonly limit: number
  /** Packets of one flow that may wait. */
  readonly flowLimit: number
  /** Bytes of credit that a flow gets in each round, and at its start. */
  readonly quantum: number
  readonly initialQuantum: number
  /** Largest rate of a flow. */
  readonly maxRate: number
  /** How far in the future a departure may lie; beyond it the packet is dropped, or leaves at the horizon. */
  readonly horizon: Nanoseconds
  readonly horizonDrop: boolean
  /** Whether the rates of sockets (SO_MAX_PACING_RATE, TCP) are obeyed. */
  readonly pacing: boolean
}

/** fq_init(): the kernel's defaults for a device. */
export function fqDefaults(mtu: number, headerBytes: number): FqOptions {
  const full = mtu + headerBytes
  return {
    limit: 10_000,
    flowLimit: 100,
    quantum: 2 * full,
    initialQuantum: 10 * full,
    maxRate: Number.POSITIVE_INFINITY,
    horizon: 10 * second,
    horizonDrop: true,
    pacing: true,
  }
}

const orphanMask = 1023
/** flow_refill_delay */
const refillDelay = 40_000_000
/** low_rate_threshold: 550 kbit/s, below which a flow sends one packet at a time. */
const lowRate = 550_000 / 8
/** sch_default_prio2band: which of the three bands a priority (skb->priority & 15) belongs to. */
const bandOf = [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1] as const
const fastPathMax = 8

/** What `tc -s` prints of fq alone. */
export interface FqCounters {
  throttled: number
  fastPath: number
  horizonDrops: number
  horizonCaps: number
  flowsLimit: number
  tooLong: number
  readonly bandDrops: [number, number, number]
}

/** struct fq_sched_data. */
export class Fq implements Qdisc {
  readonly kind = 'fq'
  readonly counters = qdiscCounters()
  readonly own: FqCounters = {
    throttled: 0,
    fastPath: 0,
    horizonDrops: 0,
    horizonCaps: 0,
    flowsLimit: 0,
    tooLong: 0,
    bandDrops: [0, 0, 0],
  }
  readonly settings: FqOptions
  readonly flows = new Map<Socket | number, FqFlow>()
  /** The queue of those that need not wait for anybody (the fast path). */
  readonly internal = newFlow(0)
  readonly bandPackets: [number, number, number] = [0, 0, 0]
  readonly rounds: FqRounds
  /** Flows that have packets. */
  active = 0

  constructor(settings: FqOptions) {
    this.settings = settings
    this.rounds = new FqRounds(settings.quantum)
  }

  enqueue(skb: Skb, now: Nanoseconds): Place | QueueRefusal {
    const { settings, own, counters } = this
    const band = bandOf[skb.priority & 15] ?? 1
    if (this.bandPackets[band] >= settings.limit) {
      own.bandDrops[band] += 1
      return 'SKB_DROP_REASON_FQ_BAND_LIMIT'
    }
    if (skb.tstamp > now + settings.horizon) {
      if (settings.horizonDrop) {
        own.horizonDrops += 1
        return 'SKB_DROP_REASON_FQ_HORIZON_LIMIT'
      }
      own.horizonCaps += 1
      skb.tstamp = now + settings.horizon
    }
    const at = skb.tstamp === 0 ? now : skb.tstamp
    const flow = this.classify(skb, at, now)
    if (flow !== this.internal) {
      if (flow.packets.length >= settings.flowLimit) {
        own.flowsLimit += 1
        return 'SKB_DROP_REASON_FQ_FLOW_LIMIT'
      }
      this.join(flow, band, now)
    }
    const bytes = skb.gsoSize === 0 ? skb.length : wireLength(skb)
    addPacket(flow, { skb, at, bytes })
    counters.queued += 1
    counters.backlogBytes += bytes
    // a flow with a rate says when the next one leaves, and only then when the one behind it does
    const ahead = flow.packets.length - 1
    const rated = flow.nextPacket > at || this.isRated(skb)
    return { until: Math.max(at, flow.nextPacket), behind: rated ? ahead : 0 }
  }

  private isRated({ sk, tstamp }: Skb): boolean {
    const { maxRate, pacing } = this.settings
    return (
      pacing && (maxRate !== Number.POSITIVE_INFINITY || (tstamp === 0 && sk !== undefined && hasRate(sk)))
    )
  }

  /** A flow that was in no round gets a turn, with fresh credit after a pause. */
  private join(flow: FqFlow, band: 0 | 1 | 2, now: Nanoseconds): void {
    if (flow.packets.length === 0) this.active += 1
    if (flow.place === 'detached') {
      flow.band = band
      this.rounds.add(flow, 'fresh')
      if (now > flow.emptied + refillDelay) flow.credit = Math.max(flow.credit, this.settings.quantum)
    }
    this.bandPackets[band] += 1
  }

  /** fq_classify() */
  private classify(skb: Skb, at: Nanoseconds, now: Nanoseconds): FqFlow {
    const { sk } = skb
    // the SYN-ACK of a half-open request belongs to no flow yet; neither do the packets of a listener or of TIME_WAIT
    if (sk !== undefined && isUnborn(sk)) skb.sk = undefined
    const owner = skb.sk === undefined || skb.sk.state === socketState.close ? undefined : skb.sk
    if (this.mayPass(skb, at, now)) {
      this.own.fastPath += 1
      if (owner !== undefined && this.settings.pacing) owner.pacing = 'fq'
      return this.internal
    }
    const key = owner ?? flowHash(skb) & orphanMask
    const known = this.flows.get(key)
    if (known !== undefined) return known
    if (owner !== undefined && this.settings.pacing) owner.pacing = 'fq'
    const flow = newFlow(this.settings.initialQuantum)
    this.flows.set(key, flow)
    return flow
  }

  /** fq_fastpath_check(): nothing else is ready, and no rate is to be kept. */
  private mayPass({ sk }: Skb, at: Nanoseconds, now: Nanoseconds): boolean {
    if (at > now) return false
    if (this.counters.queued > 0) {
      if (this.active > this.rounds.delayed.length) return false
      if (this.internal.packets.length >= fastPathMax) return false
      if (this.rounds.nextDelayed() <= now) return false
    }
    const ownRate = sk !== undefined && sk.protocol !== ipProtocol.tcp && hasRate(sk)
    return !ownRate && this.settings.maxRate === Number.POSITIVE_INFINITY
  }

  dequeue(now: Nanoseconds): Skb | undefined {
    const { internal, rounds } = this
    if (this.counters.queued === 0) return undefined
    if (internal.packets.length > 0) return this.take(internal)
    rounds.wakeDelayed(now)
    for (let flow = rounds.next(); flow !== undefined; flow = rounds.next()) {
      const [first] = flow.packets
      if (first === undefined) {
        rounds.retire(flow, now)
        continue
      }
      const departure = Math.max(first.at, flow.nextPacket)
      if (now < departure) {
        this.own.throttled += 1
        rounds.delay(flow, departure)
        continue
      }
      const band = bandOf[first.skb.priority & 15] ?? 1
      this.bandPackets[band] -= 1
      const skb = this.take(flow)
      if (flow.packets.length === 0) this.active -= 1
      rounds.charge(flow, first.bytes)
      this.pace(flow, first, now)
      return skb
    }
    return undefined
  }

  private take(flow: FqFlow): Skb | undefined {
    const { counters } = this
    const packet = flow.packets.shift()
    if (packet === undefined) return undefined
    counters.queued -= 1
    counters.backlogBytes -= packet.bytes
    counters.packets += Math.max(1, packet.skb.gsoSegs)
    counters.bytes += packet.bytes
    return packet.skb
  }

  /** The end of fq_dequeue(): when the flow's next packet may leave. A socket's rate holds where no time was given. */
  private pace(
    flow: FqFlow,
    { skb, bytes }: { readonly skb: Skb; readonly bytes: number },
    now: Nanoseconds,
  ): void {
    const { settings } = this
    if (!settings.pacing) return
    let rate = settings.maxRate
    let charged = bytes
    if (skb.tstamp === 0) {
      if (skb.sk !== undefined) rate = Math.min(skb.sk.options.maxPacingRate, rate)
      if (rate <= lowRate) flow.credit = 0
      else {
        charged = Math.max(bytes, settings.quantum)
        if (flow.credit > 0) return
      }
    }
    if (rate === Number.POSITIVE_INFINITY) return
    let wait = Math.floor((charged * second) / rate)
    if (wait > second) {
      wait = second
      this.own.tooLong += 1
    }
    if (flow.nextPacket > 0) wait -= Math.min(Math.floor(wait / 2), now - flow.nextPacket)
    flow.nextPacket = now + wait
  }

  nextDeparture(): Nanoseconds | undefined {
    const next = this.rounds.nextDelayed()
    return next === Number.POSITIVE_INFINITY ? undefined : next
  }

  reset(): readonly Skb[] {
    const all = [this.internal, ...this.flows.values()].flatMap(({ packets }) =>
      packets.splice(0).map(({ skb }) => skb),
    )
    this.flows.clear()
    this.rounds.clear()
    this.active = 0
    this.bandPackets.fill(0)
    this.counters.queued = 0
    this.counters.backlogBytes = 0
    return all
  }
}

function isUnborn({ state, protocol }: Socket): boolean {
  if (protocol !== ipProtocol.tcp) return false
  return state === socketState.listen || state === socketState.timeWait || state === socketState.synReceived
}

function hasRate({ options }: Socket): boolean {
  return options.maxPacingRate !== Number.POSITIVE_INFINITY
}
