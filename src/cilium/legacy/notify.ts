// Notifications of Cilium 1.10: shorter records, without source line, flags of the packet's kind or extended errors.
// bpf/lib/trace.h, drop.h, policy_log.h
import { writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import type { Ctx } from '../datapath/ctx.ts'
import type { Where } from '../datapath/drop-reason.ts'
import type { Address } from '../datapath/family.ts'
import { type MetricDirection, metricDirection, metricReason, updateMetrics } from '../datapath/metrics.ts'
import { isEmitted, leavingPoints, notifyHeader, notifyType } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { type TracePoint, tracePoint, traceReason } from '../datapath/trace-point.ts'
import { call } from './slots.ts'

export const traceNotifyBytes = 48
export const dropNotifyBytes = 32
export const verdictNotifyBytes = 32

/** NOTIFY_CAPTURE_VER */
const captureVersion = 1

/** 1.10 counts without file and line. */
export const noWhere: Where = { file: 0, line: 0 }

const fromWire: ReadonlySet<number> = new Set([tracePoint.FROM_OVERLAY, tracePoint.FROM_NETWORK])

/** update_metrics(): counts one packet. */
export function count(ctx: Ctx, direction: number, reason: number): void {
  updateMetrics(ctx, ctx.length, direction, reason, noWhere)
}

/** update_trace_metrics() */
function traceMetrics(ctx: Ctx, point: number, reason: number): void {
  const { INGRESS, EGRESS } = metricDirection
  if (point === tracePoint.TO_LXC) count(ctx, INGRESS, metricReason.FORWARDED)
  else if (leavingPoints.has(point)) count(ctx, EGRESS, metricReason.FORWARDED)
  else if (fromWire.has(point)) {
    const encrypted = (reason & traceReason.ENCRYPTED) !== 0
    count(ctx, INGRESS, encrypted ? metricReason.DECRYPT : metricReason.PLAINTEXT)
  }
}

/** What a trace event of 1.10 says; what is left out is 0. */
export interface TraceEvent {
  readonly point: TracePoint
  readonly source: number
  readonly destination?: number
  readonly endpoint?: number
  readonly ifindex?: number
  readonly reason?: number
  /** Bytes to capture, 0 for the default. */
  readonly monitor: number
  /** The address before translation (send_trace_notify4, send_trace_notify6). */
  readonly original?: Address
}

/** send_trace_notify(), send_trace_notify4(), send_trace_notify6() */
export function sendTrace(ctx: Ctx, event: TraceEvent): void {
  const { point, monitor, original, reason = 0 } = event
  traceMetrics(ctx, point, reason)
  if (!ctx.node.TRACE_NOTIFY || !isEmitted(ctx, point, monitor)) return
  const captured = Math.min(monitor === 0 ? ctx.node.trace_payload_len : monitor, ctx.length)
  const record = new Uint8Array(traceNotifyBytes)
  notifyHeader(ctx, record, notifyType.TRACE, point, captured, captureVersion)
  writeLe32(record, 16, event.source)
  writeLe32(record, 20, event.destination ?? 0)
  writeLe16(record, 24, event.endpoint ?? 0)
  record[26] = reason
  record[27] = original?.length === 16 ? 1 : 0
  writeLe32(record, 28, event.ifindex ?? 0)
  if (original !== undefined) record.set(original, 32)
  ctx.emit(record, captured)
}

/** What a drop event says besides its reason. */
export interface DropEvent {
  readonly source: number
  readonly destination?: number
  readonly endpoint?: number
  readonly direction: MetricDirection
  /** What the program returns afterwards; CTX_ACT_DROP by default. */
  readonly exitCode?: number
}

/** send_drop_notify(): counts, then a tail call emits the event and returns the exit code. */
export function sendDrop(ctx: Ctx, reason: number, event: DropEvent): number {
  const exitCode = event.exitCode ?? ctx.act.DROP
  const { DROP_NOTIFY } = ctx.node
  if (DROP_NOTIFY) {
    ctx.setMeta(0, event.source)
    ctx.setMeta(1, event.destination ?? 0)
    ctx.setMeta(2, reason)
    ctx.setMeta(3, event.endpoint ?? 0)
    ctx.setMeta(4, exitCode)
  }
  count(ctx, event.direction, -reason & 0xff)
  if (DROP_NOTIFY) ctx.tailCall(call.DROP_NOTIFY)
  return exitCode
}

/** __send_drop_notify() */
function tailDropNotify(ctx: Ctx): number {
  const error = ctx.meta(2) | 0
  const captured = Math.min(ctx.node.trace_payload_len, ctx.length)
  const record = new Uint8Array(dropNotifyBytes)
  notifyHeader(ctx, record, notifyType.DROP, Math.abs(error) & 0xff, captured, captureVersion)
  writeLe32(record, 16, ctx.meta(0))
  writeLe32(record, 20, ctx.meta(1))
  writeLe32(record, 24, ctx.meta(3))
  ctx.emit(record, captured)
  return ctx.meta(4)
}

/** Slot DROP_NOTIFY of every object. */
export const dropNotifyTail: [number, ObjectProgram] = [
  call.DROP_NOTIFY,
  { symbol: '__send_drop_notify', run: tailDropNotify },
]

/** What a policy verdict event says. */
export interface VerdictEvent {
  readonly remote: number
  /** Host order. */
  readonly port: number
  readonly protocol: number
  readonly direction: 1 | 2
  readonly isIpv6: boolean
  /** 0, a drop reason, or a proxy's port as a __be16 reads on a little-endian machine. */
  readonly verdict: number
  readonly match: number
  readonly audited: boolean
}

/** send_policy_verdict_notify() */
export function sendPolicyVerdict(ctx: Ctx, event: VerdictEvent): void {
  if (!ctx.node.POLICY_VERDICT_NOTIFY) return
  if ((ctx.object.policy_verdict_log_filter & event.direction) === 0) return
  const captured = Math.min(ctx.node.trace_payload_len, ctx.length)
  const record = new Uint8Array(verdictNotifyBytes)
  notifyHeader(ctx, record, notifyType.POLICY_VERDICT, 0, captured, captureVersion)
  writeLe32(record, 16, event.remote)
  writeLe32(record, 20, event.verdict >>> 0)
  writeLe16(record, 24, event.port)
  record[26] = event.protocol
  record[27] = event.direction | (event.isIpv6 ? 4 : 0) | (event.match << 3) | (event.audited ? 1 << 6 : 0)
  ctx.emit(record, captured)
}
