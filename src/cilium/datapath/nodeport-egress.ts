// What bpf_host, bpf_overlay and bpf_wireguard do with a packet that leaves: replies of services get the service's address
// back, everything else may be masqueraded. lib/nodeport_egress.h
import { assert } from '../../base/assert.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import { routerAddress } from './config.ts'
import { ctExtractPorts, ctMapOf } from './conntrack.ts'
import { ctIsReply } from './ct-entries.ts'
import { ctDirection } from './ct-state.ts'
import { type Ctx, cb, isError } from './ctx.ts'
import { drop, type Where, where } from './drop-reason.ts'
import { egressGatewayFibRedirect } from './egress-gateway.ts'
import { lookupEndpoint } from './endpoints.ts'
import { type Address, enabledFamily, type Family, sameAddress } from './family.ts'
import { identity } from './identity.ts'
import { isServiceProtocol } from './l4.ts'
import { needsMasquerade } from './masquerade.ts'
import { metricDirection } from './metrics.ts'
import { natTuple, snatNat } from './nat.ts'
import { NAT_PUNT_TO_STACK } from './nat-embedded.ts'
import { type NatTarget, newNatTarget, type PacketPlace } from './nat-mapping.ts'
import { placeOf, revDnatForward } from './nodeport-rev-dnat.ts'
import { sendDrop, sendTrace, type TraceContext } from './notify.ts'
import type { ObjectProgram } from './object.ts'
import { snatDoneSet } from './overloadable.ts'
import { call } from './tail-calls.ts'
import { type TracePoint, tracePoint, traceReason } from './trace-point.ts'

/** The places of one family in Cilium's source. */
interface Places {
  readonly snatDrop: Where
  readonly snatTrace: Where
  readonly fwdDrop: Where
  readonly fwdTrace: Where
}

const places: Readonly<Record<4 | 6, Places>> = {
  4: {
    snatDrop: where('nodeport_egress.h', 445),
    snatTrace: where('nodeport_egress.h', 455),
    fwdDrop: where('nodeport_egress.h', 590),
    fwdTrace: where('nodeport_egress.h', 595),
  },
  6: {
    snatDrop: where('nodeport_egress.h', 152),
    snatTrace: where('nodeport_egress.h', 162),
    fwdDrop: where('nodeport_egress.h', 289),
    fwdTrace: where('nodeport_egress.h', 294),
  },
}

/** CB_NAT_FLAGS_REVDNAT_ONLY */
const revDnatOnlyFlag = 1 << 0

const calls = {
  4: { natFwd: call.IPV4_NODEPORT_NAT_FWD, snatFwd: call.IPV4_NODEPORT_SNAT_FWD },
  6: { natFwd: call.IPV6_NODEPORT_NAT_FWD, snatFwd: call.IPV6_NODEPORT_SNAT_FWD },
} as const

/** NODEPORT_OBS_POINT_EGRESS */
function observationPoint(ctx: Ctx): TracePoint {
  const { kind } = ctx.object
  if (kind === 'bpf_overlay') return tracePoint.TO_OVERLAY
  return kind === 'bpf_wireguard' ? tracePoint.TO_CRYPTO : tracePoint.TO_NETWORK
}

function directRoutingAddress(ctx: Ctx, family: Family): Address | undefined {
  return family.version === 4 ? ctx.node.IPV4_DIRECT_ROUTING : ctx.node.IPV6_DIRECT_ROUTING
}

/** nodeport_has_nat_conflict_ipv4(): the node's own address, whose connections must not collide with translated ones. */
function conflictingAddress(ctx: Ctx, family: Family, source: Address): Address | undefined {
  const { node, object } = ctx
  if (node.TUNNEL_MODE && object.kind === 'bpf_overlay') {
    const router = routerAddress(node, family.version)
    if (sameAddress(source, router)) return router
  }
  if (object.kind !== 'bpf_host') return undefined
  const direct = directRoutingAddress(ctx, family)
  const here = node.direct_routing_dev_ifindex === object.interface_ifindex
  return here && direct !== undefined && sameAddress(source, direct) ? direct : undefined
}

/**
 * A reply of an endpoint that belongs to another device goes out there. The code of that redirect, a drop reason, or
 * undefined to go on. IPv4 only.
 */
function redirectToParent(ctx: Ctx, tuple: Tuple, place: PacketPlace): number | undefined {
  if (tuple.family.version !== 4 || ctx.object.kind !== 'bpf_host' || !ctx.node.ENABLE_MASQUERADE_IPV4) {
    return undefined
  }
  const endpoint = lookupEndpoint(ctx, tuple.family, tuple.saddr)
  if (endpoint === undefined || endpoint.parentIfindex === 0) return undefined
  if (endpoint.parentIfindex === ctx.object.interface_ifindex) return undefined
  const ports = ctExtractPorts(ctx, tuple, { ...place, direction: ctDirection.EGRESS })
  if (ports === drop.CT_UNKNOWN_PROTO) return undefined
  if (ports < 0) return ports
  if (!ctIsReply(ctx, ctMapOf(ctx, tuple), tuple)) return undefined
  return ctx.redirectNeigh(endpoint.parentIfindex, undefined)
}

/** What nodeport_snat_fwd_ipv4() comes to: a code or drop reason, and the source before it (zeros where nothing was tried). */
interface SnatForward {
  readonly result: number
  readonly source: Address
}

/** Chooses the target: NAT_PUNT_TO_STACK, a drop reason, the code of a redirect, or 0 to translate. */
function chooseTarget(ctx: Ctx, tuple: Tuple, place: PacketPlace, target: NatTarget): number {
  const { family } = tuple
  if (isServiceProtocol(ctx, tuple.nexthdr)) {
    const conflict = conflictingAddress(ctx, family, tuple.saddr)
    if (conflict !== undefined) {
      target.address = conflict
      target.needsCt = true
      return 0
    }
  }
  const needed = needsMasquerade(ctx, tuple, place, target)
  if (isError(ctx, needed)) return needed
  if (ctx.object.kind !== 'bpf_host' || !target.egressGateway) return 0
  if (target.ifindex !== 0 && target.ifindex === ctx.object.interface_ifindex) return 0
  return egressGatewayFibRedirect(ctx, family, target.address, tuple.daddr, target.ifindex)
}

/**
 * The tuple of IPv6 is one of a per-CPU map. Its ports are those of the packet before until this one's are read, which never
 * happens to an ICMPv6 error: there the stale source port counts as one to be changed to 0, and type and code become 0.
 */
function forwardTuple(ctx: Ctx, fresh: Tuple): Tuple {
  if (fresh.family.version === 4) return fresh
  const stored = ctx.lookup(ctx.maps.ctTuple6, new Uint8Array(4))
  assert(stored !== undefined, 'an array has its entry')
  const tuple = new Tuple(fresh.family, stored)
  fresh.dport = tuple.dport
  fresh.sport = tuple.sport
  stored.set(fresh.bytes)
  return tuple
}

/** nodeport_snat_fwd_ipv4(), nodeport_snat_fwd_ipv6() */
function snatForward(ctx: Ctx, family: Family, trace: TraceContext): SnatForward {
  const none = new Uint8Array(family.addressBytes)
  const parsed = placeOf(ctx, family)
  if (typeof parsed === 'number') return { result: parsed, source: none }
  const { place, nexthdr } = parsed
  const tuple = forwardTuple(ctx, natTuple(ctx, family, place.l3Offset, nexthdr, tupleFlag.OUT))
  const target = newNatTarget(ctx, family)
  const redirected = redirectToParent(ctx, tuple, place)
  if (redirected !== undefined) return { result: redirected, source: none }
  const chosen = chooseTarget(ctx, tuple, place, target)
  if (chosen === NAT_PUNT_TO_STACK) return { result: ctx.act.OK, source: none }
  if (chosen !== 0) return { result: chosen, source: none }
  const source = tuple.saddr.slice()
  const result = snatNat(ctx, tuple, place, target, trace)
  if (result === NAT_PUNT_TO_STACK) return { result: ctx.act.OK, source }
  if (!isError(ctx, result) && ctx.object.kind === 'bpf_host') snatDoneSet(ctx)
  return { result, source }
}

/** tail_handle_snat_fwd_ipv4(), tail_handle_snat_fwd_ipv6() */
function tailHandleSnatFwd(ctx: Ctx, family: Family): number {
  const source = ctx.takeMeta(cb.SRC_LABEL)
  if (family.version === 4) ctx.takeMeta(cb.CLUSTER_ID_EGRESS)
  const trace: TraceContext = { reason: traceReason.UNKNOWN, monitor: 0 }
  const { result, source: original } = snatForward(ctx, family, trace)
  const { snatDrop, snatTrace } = places[family.version]
  if (isError(ctx, result)) {
    return sendDrop(ctx, result, { source, direction: metricDirection.EGRESS }, snatDrop)
  }
  if (result === ctx.act.OK) {
    const event = traceEvent(ctx, family, source, trace)
    sendTrace(ctx, { ...event, original }, snatTrace)
  }
  return result
}

function traceEvent(ctx: Ctx, family: Family, source: number, trace: TraceContext) {
  return {
    point: observationPoint(ctx),
    source,
    destination: identity.UNKNOWN_ID,
    endpoint: 0,
    ifindex: ctx.object.interface_ifindex,
    reason: trace.reason,
    monitor: trace.monitor,
    etherType: family.etherType,
  }
}

/** Whether a packet that is no reply of a service can be masqueraded at all. */
function mayBeMasqueraded(ctx: Ctx, family: Family): boolean {
  const { node } = ctx
  if (!node.ENABLE_DSR || node.ENABLE_DSR_BYUSER) return true
  return family.version === 4 ? node.ENABLE_MASQUERADE_IPV4 : node.ENABLE_MASQUERADE_IPV6
}

/** __handle_nat_fwd_ipv4(), __handle_nat_fwd_ipv6() */
function natForward(
  ctx: Ctx,
  family: Family,
  source: number,
  revDnatOnly: boolean,
  trace: TraceContext,
): number {
  const { result, snatDone } = revDnatForward(ctx, family, revDnatOnly, trace)
  if (result !== ctx.act.OK || revDnatOnly) return result
  if (!snatDone && mayBeMasqueraded(ctx, family)) {
    if (family.version === 4) ctx.setMeta(cb.CLUSTER_ID_EGRESS, 0)
    ctx.setMeta(cb.SRC_LABEL, source)
    return ctx.tailCall(calls[family.version].snatFwd)
  }
  if (snatDone && ctx.object.kind === 'bpf_host') snatDoneSet(ctx)
  return result
}

/** tail_handle_nat_fwd_ipv4(), tail_handle_nat_fwd_ipv6() */
function tailHandleNatFwd(ctx: Ctx, family: Family): number {
  const flags = ctx.takeMeta(cb.NAT_FLAGS)
  if (family.version === 4) ctx.takeMeta(cb.CLUSTER_ID_EGRESS)
  const source = ctx.takeMeta(cb.SRC_LABEL)
  const trace: TraceContext = { reason: traceReason.UNKNOWN, monitor: ctx.node.trace_payload_len }
  const result = natForward(ctx, family, source, (flags & revDnatOnlyFlag) !== 0, trace)
  const { fwdDrop, fwdTrace } = places[family.version]
  if (isError(ctx, result)) {
    return sendDrop(ctx, result, { source, direction: metricDirection.EGRESS }, fwdDrop)
  }
  if (result === ctx.act.OK) sendTrace(ctx, traceEvent(ctx, family, source, trace), fwdTrace)
  return result
}

/**
 * Whether a tail call separates handle_nat_fwd() from its caller: programs have a limited size. Cilium asks for the egress gateway,
 * too, but by is_defined(), which holds only for what is defined as 1, and ENABLE_EGRESS_GATEWAY_COMMON has no value.
 */
function usesTailCall(ctx: Ctx): boolean {
  const { node, object } = ctx
  if (node.ENABLE_IPV4 && node.ENABLE_IPV6) return true
  if (node.ENABLE_CLUSTER_AWARE_ADDRESSING && node.ENABLE_INTER_CLUSTER_SNAT) return true
  return object.kind === 'bpf_host' && node.ENABLE_HOST_FIREWALL
}

/** What handle_nat_fwd() is told: the cluster id, 0, is always that of this cluster. */
export interface NatForward {
  readonly source: number
  readonly etherType: number
  /** Only replies of services are looked for: what is to be encrypted is not masqueraded. */
  readonly revDnatOnly: boolean
}

/**
 * handle_nat_fwd(): service replies, then masquerading; most of it behind a tail call, so that it does not come back. CTX_ACT_OK,
 * CTX_ACT_REDIRECT or a drop reason.
 */
export function handleNatFwd(ctx: Ctx, options: NatForward, trace: TraceContext): number {
  const { source, etherType, revDnatOnly } = options
  const tailCalls = usesTailCall(ctx)
  if (tailCalls) {
    ctx.setMeta(cb.NAT_FLAGS, revDnatOnly ? revDnatOnlyFlag : 0)
    ctx.setMeta(cb.CLUSTER_ID_EGRESS, 0)
    ctx.setMeta(cb.SRC_LABEL, source)
  }
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return ctx.act.OK
  if (tailCalls) return ctx.tailCall(calls[family.version].natFwd)
  return natForward(ctx, family, source, revDnatOnly, trace)
}

/** The tail calls of lib/nodeport_egress.h for one family: bpf_host, bpf_overlay and bpf_wireguard have them. */
export function nodeportEgressTails(family: Family): [number, ObjectProgram][] {
  const { version } = family
  return [
    [
      calls[version].natFwd,
      { symbol: `tail_handle_nat_fwd_ipv${version}`, run: (ctx) => tailHandleNatFwd(ctx, family) },
    ],
    [
      calls[version].snatFwd,
      { symbol: `tail_handle_snat_fwd_ipv${version}`, run: (ctx) => tailHandleSnatFwd(ctx, family) },
    ],
  ]
}
