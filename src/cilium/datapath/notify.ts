// Trace, drop and policy-verdict notifications, byte for byte as Cilium 1.19 sends them through cilium_events.
// lib/notify.h, lib/trace.h, lib/drop.h, lib/policy_log.h
import { swap16, writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { captureLength, classify } from './classifiers.ts'
import { eventSourceOf } from './config.ts'
import type { Ctx } from './ctx.ts'
import type { Where } from './drop-reason.ts'
import { type Address, ipv4, ipv6 } from './family.ts'
import { type MetricDirection, metricDirection, metricReason, updateMetrics } from './metrics.ts'
import { call } from './tail-calls.ts'
import { type TracePoint, tracePoint, traceReason } from './trace-point.ts'

export const notifyType = { DROP: 1, TRACE: 4, POLICY_VERDICT: 5 } as const

export const dropNotifyBytes = 48
export const traceNotifyBytes = 56
export const verdictNotifyBytes = 40

/** Length and version of a kind of record, as one release of Cilium has it. */
export interface RecordForm {
  readonly bytes: number
  readonly version: number
}

const dropForm: RecordForm = { bytes: dropNotifyBytes, version: 3 }
const traceForm: RecordForm = { bytes: traceNotifyBytes, version: 2 }
const verdictForm: RecordForm = { bytes: verdictNotifyBytes, version: 1 }

/** What the conntrack lookup said about how a packet is to be reported. struct trace_ctx */
export interface TraceContext {
  reason: number
  /** Bytes to capture; 0: conntrack did not ask for a report. */
  monitor: number
}

/** NOTIFY_CAPTURE_HDR: a record of zeros behind what all records begin with. */
function newRecord(ctx: Ctx, type: number, subtype: number, captured: number, form: RecordForm): Uint8Array {
  const record = new Uint8Array(form.bytes)
  record[0] = type
  record[1] = subtype
  writeLe16(record, 2, eventSourceOf(ctx.object))
  writeLe32(record, 4, ctx.hash)
  writeLe32(record, 8, ctx.length)
  writeLe16(record, 12, captured)
  record[14] = form.version
  return record
}

/** Points behind which a packet leaves the node or its programs. */
export const leavingPoints: ReadonlySet<number> = new Set([
  tracePoint.TO_HOST,
  tracePoint.TO_STACK,
  tracePoint.TO_OVERLAY,
  tracePoint.TO_NETWORK,
])
const received: ReadonlySet<number> = new Set([
  tracePoint.FROM_HOST,
  tracePoint.FROM_STACK,
  tracePoint.FROM_OVERLAY,
  tracePoint.FROM_NETWORK,
])
const hiddenOnReceive: ReadonlySet<number> = new Set([
  ...received,
  tracePoint.FROM_LXC,
  tracePoint.FROM_PROXY,
  tracePoint.FROM_CRYPTO,
])

/** update_trace_metrics() */
function traceMetrics(ctx: Ctx, point: number, reason: number, where: Where): void {
  const { INGRESS, EGRESS } = metricDirection
  if (point === tracePoint.TO_LXC) updateMetrics(ctx, ctx.length, INGRESS, metricReason.FORWARDED, where)
  else if (leavingPoints.has(point)) updateMetrics(ctx, ctx.length, EGRESS, metricReason.FORWARDED, where)
  else if (received.has(point)) {
    const encrypted = (reason & traceReason.ENCRYPTED) !== 0
    updateMetrics(ctx, ctx.length, INGRESS, encrypted ? metricReason.DECRYPT : metricReason.PLAINTEXT, where)
  } else if (point === tracePoint.TO_CRYPTO)
    updateMetrics(ctx, ctx.length, EGRESS, metricReason.ENCRYPTING, where)
  else if (point === tracePoint.FROM_CRYPTO)
    updateMetrics(ctx, ctx.length, INGRESS, metricReason.DECRYPTING, where)
}

const aggregateReceive = 1
const aggregateActive = 3

/** emit_trace_notify(): what monitor aggregation lets through. */
export function isEmitted(ctx: Ctx, point: number, monitor: number): boolean {
  const { MONITOR_AGGREGATION } = ctx.node
  if (MONITOR_AGGREGATION >= aggregateReceive && hiddenOnReceive.has(point)) return false
  return MONITOR_AGGREGATION < aggregateActive || monitor !== 0
}

/** What a trace event says. Identities, endpoint and interface are 0 where unknown. */
export interface TraceEvent {
  readonly point: TracePoint
  readonly source: number
  readonly destination: number
  /** Endpoint id; the proxy's port for TO_PROXY. */
  readonly endpoint: number
  readonly ifindex: number
  readonly reason: number
  readonly monitor: number
  /** Ethertype, 0: the packet's. */
  readonly etherType: number
  /** The address before translation (send_trace_notify4, send_trace_notify6). */
  readonly original?: Address
}

/** What stands in a trace record of every release; what is left out is 0. */
export interface TraceFields {
  readonly point: TracePoint
  readonly source: number
  readonly destination?: number
  readonly endpoint?: number
  readonly ifindex?: number
  readonly reason?: number
  /** The address before translation (send_trace_notify4, send_trace_notify6). */
  readonly original?: Address
}

/** struct trace_notify, as far as the releases agree. */
export function traceRecord(
  ctx: Ctx,
  fields: TraceFields,
  captured: number,
  flags: number,
  form: RecordForm,
): Uint8Array {
  const { point, source, destination = 0, endpoint = 0, ifindex = 0, reason = 0, original } = fields
  const record = newRecord(ctx, notifyType.TRACE, point, captured, form)
  writeLe32(record, 16, source)
  writeLe32(record, 20, destination)
  writeLe16(record, 24, endpoint)
  record[26] = reason
  record[27] = flags
  writeLe32(record, 28, ifindex)
  if (original !== undefined) record.set(original, 32)
  return record
}

/** send_trace_notify(): counts the packet and emits a trace event where aggregation lets it through. */
export function sendTrace(ctx: Ctx, event: TraceEvent, where: Where): void {
  const { point, reason, monitor, original } = event
  traceMetrics(ctx, point, reason, where)
  if (!ctx.node.TRACE_NOTIFY || !isEmitted(ctx, point, monitor)) return
  const etherType =
    original === undefined ? event.etherType : original.length === 4 ? ipv4.etherType : ipv6.etherType
  const flags = classify(ctx, etherType, point)
  const captured = captureLength(ctx, monitor, flags, point)
  ctx.emit(traceRecord(ctx, event, captured, flags, traceForm), captured)
}

/** What a drop event says besides its reason. */
export interface DropEvent {
  readonly source: number
  readonly destination?: number
  /** Endpoint id; only for ingress. */
  readonly endpoint?: number
  readonly direction: MetricDirection
  /** What the program returns afterwards; CTX_ACT_DROP by default. */
  readonly exitCode?: number
}

/** __DROP_REASON(): the reason as a byte. CTX_ACT_DROP itself stays 2. */
function reasonByte(reason: number): number {
  return Math.abs(reason) & 0xff
}

/**
 * send_drop_notify_ext() and its siblings: counts the drop, then a tail call emits the event and ends the run with the
 * exit code. Without that program in the map the code is returned. `ctx.extErr` goes into the event when `extended`.
 */
export function sendDrop(ctx: Ctx, reason: number, event: DropEvent, where: Where, extended = true): number {
  const exitCode = event.exitCode ?? ctx.act.DROP
  const byte = reasonByte(reason)
  const ext = extended ? ctx.extErr & 0xff : 0
  if (!ctx.node.DROP_NOTIFY) {
    updateMetrics(ctx, ctx.length, event.direction, byte, where)
    return exitCode
  }
  ctx.setMeta(0, event.source)
  ctx.setMeta(1, event.destination ?? 0)
  ctx.setMeta(2, byte | (ext << 8))
  ctx.setMeta(3, event.endpoint ?? 0)
  ctx.setMeta(4, exitCode | (where.file << 8) | (where.line << 16))
  updateMetrics(ctx, ctx.length, event.direction, byte, where)
  ctx.tailCall(call.DROP_NOTIFY)
  return exitCode
}

/** struct drop_notify, as far as the releases agree: what send_drop_notify() left in the packet's metadata. */
export function dropRecord(ctx: Ctx, reason: number, captured: number, form: RecordForm): Uint8Array {
  const record = newRecord(ctx, notifyType.DROP, reason, captured, form)
  writeLe32(record, 16, ctx.meta(0))
  writeLe32(record, 20, ctx.meta(1))
  writeLe32(record, 24, ctx.meta(3))
  return record
}

/** tail_drop_notify(): slot DROP_NOTIFY of every object. */
export function tailDropNotify(ctx: Ctx): number {
  const error = ctx.meta(2)
  const last = ctx.meta(4)
  const flags = classify(ctx, 0, tracePoint.UNKNOWN)
  const captured = captureLength(ctx, 0, flags, tracePoint.UNKNOWN)
  const record = dropRecord(ctx, error & 0xff, captured, dropForm)
  writeLe16(record, 28, last >>> 16)
  record[30] = (last >>> 8) & 0xff
  record[31] = (error >>> 8) & 0xff
  writeLe32(record, 32, ctx.ifindex)
  record[36] = flags
  ctx.emit(record, captured)
  return last & 0xff
}

/** Directions of a policy verdict. */
export const policyDirection = { INGRESS: 1, EGRESS: 2 } as const

/** enum policy_match_type */
export const policyMatch = {
  NONE: 0,
  L3_ONLY: 1,
  L3_L4: 2,
  L4_ONLY: 3,
  ALL: 4,
  L3_PROTO: 5,
  PROTO_ONLY: 6,
} as const

/** What stands in a policy verdict record of every release. */
export interface VerdictFields {
  readonly remote: number
  /** Host order. */
  readonly port: number
  readonly protocol: number
  readonly direction: 1 | 2
  readonly isIpv6: boolean
  readonly match: number
  readonly audited: boolean
}

/** struct policy_verdict_notify, as far as the releases agree. */
export function verdictRecord(
  ctx: Ctx,
  fields: VerdictFields,
  verdict: number,
  captured: number,
  form: RecordForm,
): Uint8Array {
  const { direction, isIpv6, match, audited } = fields
  const record = newRecord(ctx, notifyType.POLICY_VERDICT, 0, captured, form)
  writeLe32(record, 16, fields.remote)
  writeLe32(record, 20, verdict >>> 0)
  writeLe16(record, 24, fields.port)
  record[26] = fields.protocol
  record[27] = direction | (isIpv6 ? 4 : 0) | (match << 3) | (audited ? 1 << 6 : 0)
  return record
}

/** What a policy verdict event says. */
export interface VerdictEvent extends VerdictFields {
  /** A code or a drop reason; where it is 0 the event carries the proxy's port instead (host order here). */
  readonly verdict: number
  readonly proxyPort: number
  readonly authType: number
  readonly cookie: number
}

/** send_policy_verdict_notify(): emitted where the endpoint enforces policy in that direction. */
export function sendPolicyVerdict(ctx: Ctx, event: VerdictEvent): void {
  if (!ctx.node.POLICY_VERDICT_NOTIFY) return
  if (ctx.object.kind === 'bpf_host') {
    // the filter is not set for hosts; what an allow-all rule lets through is not worth an event
    if (event.match === policyMatch.ALL && event.verdict === ctx.act.OK) return
  } else if ((ctx.object.policy_verdict_log_filter & event.direction) === 0) return
  const captured = Math.min(ctx.node.trace_payload_len, ctx.length)
  // the port is a __be16 that the program does not convert
  const verdict = event.verdict === 0 ? swap16(event.proxyPort) : event.verdict
  const record = verdictRecord(ctx, event, verdict, captured, verdictForm)
  if (ctx.object.eth_header_length === 0) record[27] = (record[27] ?? 0) | (1 << 7)
  record[28] = event.authType
  writeLe32(record, 32, event.cookie)
  ctx.emit(record, captured)
}
