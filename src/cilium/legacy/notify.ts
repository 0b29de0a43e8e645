// Notifications of Cilium 1.10: shorter records, without source line, flags of the packet's kind or extended errors.
// bpf/lib/trace.h, drop.h, policy_log.h
import type { Ctx } from '../datapath/ctx.ts'
import type { Where } from '../datapath/drop-reason.ts'
import { metricDirection, metricReason, updateMetrics } from '../datapath/metrics.ts'
import {
  type DropEvent,
  dropRecord,
  isEmitted,
  leavingPoints,
  type RecordForm,
  type TraceFields,
  traceRecord,
  type VerdictFields,
  verdictRecord,
} from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { tracePoint, traceReason } from '../datapath/trace-point.ts'
import { call } from './slots.ts'

export const traceNotifyBytes = 48
export const dropNotifyBytes = 32
export const verdictNotifyBytes = 32

/** All with NOTIFY_CAPTURE_VER. */
const traceForm: RecordForm = { bytes: traceNotifyBytes, version: 1 }
const dropForm: RecordForm = { bytes: dropNotifyBytes, version: 1 }
const verdictForm: RecordForm = { bytes: verdictNotifyBytes, version: 1 }

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
export interface TraceEvent extends TraceFields {
  /** Bytes to capture, 0 for the default. */
  readonly monitor: number
}

/** send_trace_notify(), send_trace_notify4(), send_trace_notify6() */
export function sendTrace(ctx: Ctx, event: TraceEvent): void {
  const { point, monitor, original, reason = 0 } = event
  traceMetrics(ctx, point, reason)
  if (!ctx.node.TRACE_NOTIFY || !isEmitted(ctx, point, monitor)) return
  const captured = Math.min(monitor === 0 ? ctx.node.trace_payload_len : monitor, ctx.length)
  const isIpv6 = original?.length === 16 ? 1 : 0
  ctx.emit(traceRecord(ctx, event, captured, isIpv6, traceForm), captured)
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
  ctx.emit(dropRecord(ctx, Math.abs(error) & 0xff, captured, dropForm), captured)
  return ctx.meta(4)
}

/** Slot DROP_NOTIFY of every object. */
export const dropNotifyTail: [number, ObjectProgram] = [
  call.DROP_NOTIFY,
  { symbol: '__send_drop_notify', run: tailDropNotify },
]

/** What a policy verdict event says. */
export interface VerdictEvent extends VerdictFields {
  /** 0, a drop reason, or a proxy's port as a __be16 reads on a little-endian machine. */
  readonly verdict: number
}

/** send_policy_verdict_notify() */
export function sendPolicyVerdict(ctx: Ctx, event: VerdictEvent): void {
  if (!ctx.node.POLICY_VERDICT_NOTIFY) return
  if ((ctx.object.policy_verdict_log_filter & event.direction) === 0) return
  const captured = Math.min(ctx.node.trace_payload_len, ctx.length)
  ctx.emit(verdictRecord(ctx, event, event.verdict, captured, verdictForm), captured)
}
