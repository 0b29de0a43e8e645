// The bandwidth manager's map: departure times of what pods send, a token bucket for what they receive. lib/edt.h,
// lib/token_bucket.h
import { readLe32, readLe64, writeLe32, writeLe64 } from '../../bpf/context/byte-order.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { ipv4, ipv6 } from './family.ts'

const second = 1e9
const keyBytes = 8
const directionAt = 4
const throttleDirection = { EGRESS: 0, INGRESS: 1 } as const

/** struct edt_info; the third word is the drop horizon for egress, the tokens for ingress. */
const at = { bps: 0, t_last: 8, horizonOrTokens: 16, prio: 24 } as const

function lookupThrottle(ctx: Ctx, id: number, direction: number): Uint8Array | undefined {
  const key = new Uint8Array(keyBytes)
  writeLe32(key, 0, id)
  key[directionAt] = direction
  return ctx.lookup(ctx.maps.cilium_throttle, key)
}

function isOn(ctx: Ctx): boolean {
  return ctx.node.ENABLE_BANDWIDTH_MANAGER && !ctx.isXdp
}

/** Bytes that a rate lets through in a time, in 64-bit arithmetic, which wraps. */
function bytesIn(bps: number, elapsed: number): number {
  const product = bps * elapsed
  if (product <= Number.MAX_SAFE_INTEGER) return Math.floor(product / second)
  return Number(BigInt.asUintN(64, BigInt(bps) * BigInt(elapsed)) / BigInt(second))
}

/** edt_set_aggregate(): the endpoint that a packet counts for, 0 for none. */
export function edtSetAggregate(ctx: Ctx, aggregate: number): void {
  if (isOn(ctx)) ctx.queueMapping = aggregate
}

/** edt_get_aggregate(): takes it. */
function edtGetAggregate(ctx: Ctx): number {
  const aggregate = ctx.queueMapping
  ctx.queueMapping = 0
  return aggregate
}

/** edt_sched_departure(): gives the packet the time at which it may leave. CTX_ACT_OK or DROP_EDT_HORIZON. */
export function edtSchedDeparture(ctx: Ctx, etherType: number): number {
  if (!isOn(ctx)) return ctx.act.OK
  if (etherType !== ipv4.etherType && etherType !== ipv6.etherType) return ctx.act.OK
  const aggregate = edtGetAggregate(ctx)
  if (aggregate === 0) return ctx.act.OK
  const info = lookupThrottle(ctx, aggregate, throttleDirection.EGRESS)
  if (info === undefined) return ctx.act.OK
  const bps = readLe64(info, at.bps)
  if (bps !== 0) {
    const now = ctx.nowNs()
    const earliest = Math.max(ctx.tstamp, now)
    const next = readLe64(info, at.t_last) + Math.floor((ctx.wireLength * second) / bps)
    if (next <= earliest) {
      writeLe64(info, at.t_last, earliest)
      return ctx.act.OK
    }
    if (next - now >= readLe64(info, at.horizonOrTokens)) return drop.EDT_HORIZON
    writeLe64(info, at.t_last, next)
    ctx.tstamp = next
  }
  const priority = readLe32(info, at.prio)
  if (priority !== 0) ctx.priority = priority - 1
  return ctx.act.OK
}

/** accept(): takes the packet's bytes out of the endpoint's bucket; CTX_ACT_DROP where it has not that many. */
export function acceptIngress(ctx: Ctx, endpointId: number): number {
  if (!isOn(ctx) || endpointId === 0) return ctx.act.OK
  const info = lookupThrottle(ctx, endpointId, throttleDirection.INGRESS)
  if (info === undefined) return ctx.act.OK
  const bps = readLe64(info, at.bps)
  if (bps === 0) return ctx.act.OK
  const now = ctx.nowNs()
  const elapsed = now - readLe64(info, at.t_last)
  let tokens = readLe64(info, at.horizonOrTokens)
  if (elapsed > 0) tokens = Math.min(bps, tokens + bytesIn(bps, elapsed))
  const enough = tokens >= ctx.wireLength
  if (enough) tokens -= ctx.wireLength
  writeLe64(info, at.t_last, now)
  writeLe64(info, at.horizonOrTokens, tokens)
  return enough ? ctx.act.OK : ctx.act.DROP
}
