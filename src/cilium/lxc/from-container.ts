// What a pod sends: the program on its device, and the first program of each family. bpf_lxc.c cil_from_container(),
// tail_handle_ipv4(), tail_handle_ipv6(), cil_lxc_policy_egress()
import { ctDirection } from '../datapath/ct-state.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import { validEtherType } from '../datapath/ethernet.ts'
import { enabledFamily, type Family, ipv4, ipv6, sameAddress } from '../datapath/family.ts'
import { ethernetLength, fragmentInfo, pullHeader } from '../datapath/headers.ts'
import { handleNdp, isNdp } from '../datapath/icmp6-ndp.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { sendDrop, sendTrace } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { call } from '../datapath/tail-calls.ts'
import { edtSetAggregate } from '../datapath/throttle.ts'
import { type TracePoint, tracePoint, traceReason } from '../datapath/trace-point.ts'
import { ctLookupTail } from './ct-lookup-tail.ts'
import { tailHandleCont } from './egress.ts'
import { isFromL7Lb, setFromL7Lb } from './lb-state.ts'
import { perPacketLb } from './per-packet-lb.ts'
import { hasPerPacketLb } from './settings.ts'

const fromLxc = where('bpf_lxc.c', 1792)
const droppedByEntry = where('bpf_lxc.c', 1831)
const fromProxy = where('bpf_lxc.c', 2547)
const droppedByProxyEntry = where('bpf_lxc.c', 2571)
const droppedBy = { 4: where('bpf_lxc.c', 1721), 6: where('bpf_lxc.c', 1120) } as const

const arpType = 0x0806

/** tail_ipv4_ct_egress(), tail_ipv6_ct_egress(): slot CT_EGRESS. */
export function tailCtEgress(family: Family): ObjectProgram {
  return ctLookupTail({
    symbol: `tail_ipv${family.version}_ct_egress`,
    family,
    direction: ctDirection.EGRESS,
    next: {
      slot: family.version === 4 ? call.IPV4_FROM_LXC_CONT : call.IPV6_FROM_LXC_CONT,
      program: tailHandleCont(family),
      isTailCall: hasPerPacketLb,
    },
  })
}

const ctEgress = { 4: tailCtEgress(ipv4), 6: tailCtEgress(ipv6) } as const

/** is_valid_lxc_src_ipv4(), is_valid_lxc_src_ip() */
export function hasOwnSource(ctx: Ctx, family: Family, l3Offset: number): boolean {
  if (!ctx.node.ENABLE_SIP_VERIFICATION) return true
  const { endpoint_ipv4, endpoint_ipv6 } = ctx.object
  const own = family.version === 4 ? endpoint_ipv4 : endpoint_ipv6
  const source = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  return sameAddress(source, own ?? new Uint8Array(family.addressBytes))
}

/** A fragment where fragments are not tracked, or a bad chain of headers: a drop reason; else 0. */
function fragmentFailure(ctx: Ctx, family: Family, l3Offset: number): number {
  const { ENABLE_IPV4_FRAGMENTS, ENABLE_IPV6_FRAGMENTS } = ctx.node
  if (family.version === 4 ? ENABLE_IPV4_FRAGMENTS : ENABLE_IPV6_FRAGMENTS) return 0
  const fragment = fragmentInfo(ctx, family, l3Offset)
  if (typeof fragment === 'number') return fragment
  return fragment.isFragment ? drop.FRAG_NOSUPPORT : 0
}

/** __tail_handle_ipv4(), __tail_handle_ipv6() */
function handle(ctx: Ctx, family: Family): number {
  const l3Offset = ethernetLength(ctx)
  if (!pullHeader(ctx, family, l3Offset)) return drop.INVALID
  const failed = fragmentFailure(ctx, family, l3Offset)
  if (failed !== 0) return failed
  if (family === ipv6 && isNdp(ctx, l3Offset)) return handleNdp(ctx, l3Offset, metricDirection.EGRESS)
  if (!isFromL7Lb(ctx) && !hasOwnSource(ctx, family, l3Offset)) return drop.INVALID_SIP
  return hasPerPacketLb(ctx.node) ? perPacketLb(ctx, family) : ctEgress[family.version].run(ctx)
}

/** tail_handle_ipv4(), tail_handle_ipv6(): slot FROM_LXC. */
export function tailHandle(family: Family): ObjectProgram {
  return {
    symbol: `tail_handle_ipv${family.version}`,
    run: (ctx) => {
      const result = handle(ctx, family)
      if (!isError(ctx, result)) return result
      const event = { source: ctx.object.security_label, direction: metricDirection.EGRESS }
      return sendDrop(ctx, result, event, droppedBy[family.version])
    },
  }
}

function traceEntry(ctx: Ctx, point: TracePoint, etherType: number, place: ReturnType<typeof where>): void {
  const event = {
    point,
    source: ctx.object.security_label,
    destination: 0,
    endpoint: 0,
    ifindex: 0,
    reason: traceReason.UNKNOWN,
    monitor: ctx.node.trace_payload_len,
    etherType,
  }
  sendTrace(ctx, event, place)
}

/** A drop reason ends the run with an event; other codes pass. */
function finish(ctx: Ctx, result: number, place: ReturnType<typeof where>): number {
  if (!isError(ctx, result)) return result
  const event = { source: ctx.object.security_label, direction: metricDirection.EGRESS }
  return sendDrop(ctx, result, event, place)
}

function slotOf(family: Family): number {
  return family.version === 4 ? call.IPV4_FROM_LXC : call.IPV6_FROM_LXC
}

/** ARP and what is no IP. */
function notIp(ctx: Ctx, etherType: number): number {
  const { ENABLE_IPV4, ENABLE_ARP_PASSTHROUGH, ENABLE_ARP_RESPONDER } = ctx.node
  if (!ENABLE_IPV4 || etherType !== arpType) return drop.UNKNOWN_L3
  if (ENABLE_ARP_PASSTHROUGH) return ctx.act.OK
  return ENABLE_ARP_RESPONDER ? ctx.tailCall(call.ARP) : drop.UNKNOWN_L3
}

/** cil_from_container(): ingress of the pod's device on the host's side. */
export const fromContainer: ObjectProgram = {
  symbol: 'cil_from_container',
  run: (ctx) => {
    const etherType = validEtherType(ctx)
    ctx.clearMeta()
    ctx.queueMapping = 0
    traceEntry(ctx, tracePoint.FROM_LXC, etherType ?? 0, fromLxc)
    if (etherType === undefined) return finish(ctx, drop.UNSUPPORTED_L2, droppedByEntry)
    const family = enabledFamily(ctx, etherType)
    if (family === undefined) return finish(ctx, notIp(ctx, etherType), droppedByEntry)
    edtSetAggregate(ctx, ctx.object.endpoint_id)
    return finish(ctx, ctx.tailCall(slotOf(family)), droppedByEntry)
  },
}

/** cil_lxc_policy_egress(): in cilium_egresscall_policy; packets that a proxy sends for this endpoint. */
export const lxcPolicyEgress: ObjectProgram = {
  symbol: 'cil_lxc_policy_egress',
  run: (ctx) => {
    if (!ctx.node.ENABLE_L7_LB) return 0
    const etherType = validEtherType(ctx)
    if (etherType === undefined) return finish(ctx, drop.UNSUPPORTED_L2, droppedByProxyEntry)
    setFromL7Lb(ctx)
    edtSetAggregate(ctx, 0)
    traceEntry(ctx, tracePoint.FROM_PROXY, etherType, fromProxy)
    const family = enabledFamily(ctx, etherType)
    const result = family === undefined ? drop.UNKNOWN_L3 : ctx.tailCall(slotOf(family))
    return finish(ctx, result, droppedByProxyEntry)
  },
}
