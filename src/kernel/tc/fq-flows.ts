// The flows of fq and the rounds in which they are served: three bands, in each new flows before old ones, and the flows
// that wait for a time. net/sched/sch_fq.c fq_flow_add_tail(), fq_flow_set_throttled(), fq_pband_head_select().
import type { Nanoseconds } from '../clock.ts'
import type { Skb } from '../skb.ts'

/** struct fq_flow. */
export interface FqFlow {
  /** Packets by departure, in the order of arrival where that is equal. */
  readonly packets: { readonly skb: Skb; readonly at: Nanoseconds; readonly bytes: number }[]
  /** Bytes that it may send in this round. */
  credit: number
  band: number
  /** Nothing leaves before this. */
  nextPacket: Nanoseconds
  /** When it was found empty (fq_flow_set_detached). */
  emptied: Nanoseconds
  /** In a round, waiting for a time, or neither. */
  place: 'round' | 'delayed' | 'detached'
}

/** A flow that is in no round yet. */
export function newFlow(credit: number): FqFlow {
  return { packets: [], credit, band: 1, nextPacket: 0, emptied: 0, place: 'detached' }
}

/** flow_queue_add(): behind every packet that leaves no later. */
export function addPacket(flow: FqFlow, packet: FqFlow['packets'][number]): void {
  const { packets } = flow
  let at = packets.length
  while (at > 0 && (packets[at - 1]?.at ?? 0) > packet.at) at -= 1
  packets.splice(at, 0, packet)
}

interface Band {
  readonly fresh: FqFlow[]
  readonly old: FqFlow[]
  credit: number
  /** Bytes in one round of the bands: nine, three and one times 64 KiB. */
  readonly quantum: number
}

/** Who is served next. */
export class FqRounds {
  /** Flows that wait for a time, the earliest first. */
  readonly delayed: FqFlow[] = []
  private readonly quantum: number
  private readonly bands: readonly Band[] = [9, 3, 1].map((weight) => ({
    fresh: [],
    old: [],
    credit: 0,
    quantum: weight << 16,
  }))
  private at = 0

  constructor(quantum: number) {
    this.quantum = quantum
  }

  /** fq_flow_add_tail() */
  add(flow: FqFlow, how: 'fresh' | 'old'): void {
    flow.place = 'round'
    this.bands[flow.band]?.[how].push(flow)
  }

  /** The flow whose turn it is; undefined when no flow is in a round. */
  next(): FqFlow | undefined {
    for (let empty = 0; empty < 3; ) {
      const band = this.bands[this.at]
      if (band === undefined) return undefined
      const list = band.fresh.length > 0 ? band.fresh : band.old
      const [flow] = list
      if (band.credit <= 0 || flow === undefined) {
        this.at = (this.at + 1) % 3
        const other = this.bands[this.at]
        if (other !== undefined) other.credit = Math.min(other.credit + other.quantum, other.quantum)
        empty = flow === undefined ? empty + 1 : 0
        continue
      }
      if (flow.credit > 0) return flow
      flow.credit += this.quantum
      list.shift()
      band.old.push(flow)
      empty = 0
    }
    return undefined
  }

  /** Takes the flow that `next` answered out of its list; whether it was a new one. */
  private leave(flow: FqFlow): boolean {
    const band = this.bands[flow.band]
    const fresh = band?.fresh[0] === flow
    if (fresh) band?.fresh.shift()
    else band?.old.shift()
    return fresh
  }

  /** It has nothing: a new flow goes through the old ones once before it leaves. */
  retire(flow: FqFlow, now: Nanoseconds): void {
    if (this.leave(flow)) this.add(flow, 'old')
    else {
      flow.place = 'detached'
      flow.emptied = now
    }
  }

  /** fq_flow_set_throttled(): not before `until`. */
  delay(flow: FqFlow, until: Nanoseconds): void {
    this.leave(flow)
    flow.place = 'delayed'
    flow.nextPacket = until
    let at = this.delayed.length
    while (at > 0 && (this.delayed[at - 1]?.nextPacket ?? 0) > until) at -= 1
    this.delayed.splice(at, 0, flow)
  }

  /** fq_check_throttled(): who has waited long enough is an old flow. */
  wakeDelayed(now: Nanoseconds): void {
    for (let [flow] = this.delayed; flow !== undefined && flow.nextPacket <= now; [flow] = this.delayed) {
      this.delayed.shift()
      this.add(flow, 'old')
    }
  }

  /** When the first of them may send; `Infinity` when none waits. */
  nextDelayed(): Nanoseconds {
    return this.delayed[0]?.nextPacket ?? Number.POSITIVE_INFINITY
  }

  /** A packet of this flow left. */
  charge(flow: FqFlow, bytes: number): void {
    flow.credit -= bytes
    const band = this.bands[flow.band]
    if (band !== undefined) band.credit -= bytes
  }

  clear(): void {
    this.delayed.length = 0
    for (const { fresh, old } of this.bands) {
      fresh.length = 0
      old.length = 0
    }
  }
}
