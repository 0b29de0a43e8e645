// Replies of services and of translated connections that arrive at a node: the source translation is undone, then the
// service's address comes back, and the packet goes on to the client. lib/nodeport.h nodeport_rev_dnat_ipv4(),
// tail_nodeport_nat_ingress_ipv4() and their IPv6 siblings
import type { Tuple } from '../maps/tuple.ts'
import { ctLazyLookup, ctMapOf } from './conntrack.ts'
import { ctDirection, ctEntryType, ctScope, ctStatus, newCtState } from './ct-state.ts'
import { type Ctx, cb, isError } from './ctx.ts'
import { drop, type Where, where } from './drop-reason.ts'
import { egressGatewayReplyTarget } from './egress-gateway.ts'
import { type Address, type Family, ipv4 } from './family.ts'
import { fibParams, fibRedirect, noMacs } from './fib.ts'
import { ethernetLength, hasHeader, walkHeaders } from './headers.ts'
import { hostPolicyIngress } from './host-firewall.ts'
import { identity } from './identity.ts'
import { lookupRemoteEndpoint, type RemoteEndpoint } from './ipcache.ts'
import { l3 } from './l3.ts'
import { lbExtractTuple, lbTuple, reverseNatByIndex } from './lb.ts'
import { metricDirection } from './metrics.ts'
import { snatRevNat } from './nat.ts'
import { NAT_PUNT_TO_STACK } from './nat-embedded.ts'
import { newNatTarget, type PacketPlace } from './nat-mapping.ts'
import { addTunnelEncap, leadsSomewhere, sourceOfTunnel } from './nodeport-encap.ts'
import { sendDrop, type TraceContext } from './notify.ts'
import type { ObjectProgram } from './object.ts'
import { skipHostFirewallSet, skipNodeportSet, snatDoneSet } from './overloadable.ts'
import { call } from './tail-calls.ts'
import { edtSetAggregate } from './throttle.ts'
import { traceReason } from './trace-point.ts'

/** The places of one family in Cilium's source. */
const places: Readonly<Record<4 | 6, { readonly revNatDrop: Where; readonly natIngressDrop: Where }>> = {
  4: { revNatDrop: where('nodeport.h', 2516), natIngressDrop: where('nodeport.h', 2606) },
  6: { revNatDrop: where('nodeport.h', 1130), natIngressDrop: where('nodeport.h', 1225) },
}

const fromNetdev = { 4: call.IPV4_FROM_NETDEV, 6: call.IPV6_FROM_NETDEV } as const
const revNat = { 4: call.IPV4_NODEPORT_REVNAT, 6: call.IPV6_NODEPORT_REVNAT_INGRESS } as const

/** Where a reply goes after its translation. */
interface Redirect {
  /** Through the tunnel to this endpoint, or by the routing table. */
  readonly tunnel: RemoteEndpoint | undefined
  /** The identity that the tunnel carries. */
  readonly source: number
}

/** Whether an egress gateway's replies are steered here. */
function steersEgressGateway(ctx: Ctx): boolean {
  const { kind } = ctx.object
  return ctx.node.ENABLE_EGRESS_GATEWAY_COMMON && (kind === 'bpf_xdp' || kind === 'bpf_host')
}

/** The tunnel to the client of a service, where that is a pod of another node. */
function tunnelToClient(ctx: Ctx, family: Family, l3Offset: number): RemoteEndpoint | undefined {
  if (!ctx.node.TUNNEL_MODE) return undefined
  const client = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const remote = lookupRemoteEndpoint(ctx, family, client)
  return remote?.hasTunnelEndpoint === true && !remote.skipTunnel ? remote : undefined
}

/** The reply of a service: where it goes, undefined where the packet is none, or what ends the program. */
function translateReply(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  trace: TraceContext,
): Redirect | number | undefined {
  const { family } = tuple
  const state = newCtState()
  const found = ctLazyLookup(ctx, ctMapOf(ctx, tuple), tuple, {
    ...place,
    direction: ctDirection.INGRESS,
    scope: ctScope.REVERSE,
    entryTypes: ctEntryType.NODEPORT,
    state,
  })
  if (found.status !== ctStatus.REPLY) return undefined
  trace.reason = traceReason.CT_REPLY
  trace.monitor = found.monitor
  if (family.version === 6) {
    const hop = l3(ctx, family, place.l3Offset, noMacs, metricDirection.EGRESS)
    if (hop !== 0) return hop
  }
  const translated = reverseNatByIndex(ctx, tuple, place, {
    revNatIndex: state.revNatIndex,
    loopback: false,
  })
  if (isError(ctx, translated)) return translated
  snatDoneSet(ctx)
  return { tunnel: tunnelToClient(ctx, family, place.l3Offset), source: identity.REMOTE_NODE_ID }
}

/** The reply to a pod whose connection left through this egress gateway. */
function egressGatewayReply(
  ctx: Ctx,
  family: Family,
  l3Offset: number,
  trace: TraceContext,
): Redirect | undefined {
  if (!steersEgressGateway(ctx)) return undefined
  const source = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const destination = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const tunnel = egressGatewayReplyTarget(ctx, family, source, destination)
  if (tunnel === undefined) return undefined
  trace.reason = traceReason.CT_REPLY
  return { tunnel, source: identity.WORLD_ID }
}

/** Sends the reply on. A code or a drop reason. */
function redirectReply(
  ctx: Ctx,
  tuple: Tuple,
  l3Offset: number,
  redirect: Redirect,
  trace: TraceContext,
): number {
  const { family } = tuple
  let params = fibParams(
    ctx,
    family,
    ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes),
    ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes),
  )
  if (family.version === 4) {
    const hop = l3(ctx, family, l3Offset, noMacs, metricDirection.EGRESS)
    if (hop !== 0) return hop
  }
  const { tunnel, source } = redirect
  if (tunnel === undefined || !leadsSomewhere(family, tunnel)) return fibRedirect(ctx, params, true)
  // for IPv4 its address alone is carried along, as one of IPv4
  const remote = family.version === 4 ? { ...tunnel, ipv6TunnelEndpoint: false } : tunnel
  const encapsulated = addTunnelEncap(ctx, tuple, { remote, source, trace })
  // in XDP the packet has its outer header now and is routed by that
  if (isError(ctx, encapsulated) || !ctx.isXdp) return encapsulated
  params = fibParams(ctx, ipv4, sourceOfTunnel(ctx), outerDestination(tunnel))
  return fibRedirect(ctx, params, false)
}

function outerDestination(tunnel: RemoteEndpoint): Address {
  return tunnel.tunnelEndpoint.subarray(0, ipv4.addressBytes)
}

/**
 * nodeport_rev_dnat_ipv4(), nodeport_rev_dnat_ipv6(): CTX_ACT_OK where the packet is no reply of a service, or the code of its
 * redirect, or a drop reason.
 */
export function revDnat(ctx: Ctx, family: Family, trace: TraceContext): number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const place: PacketPlace = { l3Offset, l4Offset: l3Offset + walk.length, fragment: walk.fragment }
  const tuple = lbTuple(family, walk.nexthdr)
  const extracted = lbExtractTuple(ctx, tuple, place)
  const other = extracted === drop.UNSUPP_SERVICE_PROTO || extracted === drop.UNKNOWN_L4
  if (extracted < 0 && !other) return extracted
  const reply = other ? undefined : translateReply(ctx, tuple, place, trace)
  if (typeof reply === 'number') return reply
  const redirect = reply ?? egressGatewayReply(ctx, family, l3Offset, trace)
  return redirect === undefined ? ctx.act.OK : redirectReply(ctx, tuple, l3Offset, redirect, trace)
}

/** tail_nodeport_rev_dnat_ipv4(), __nodeport_rev_dnat_ipv6() */
function tailRevDnat(ctx: Ctx, family: Family): number {
  const reason = family.version === 4 ? traceReason.UNKNOWN : traceReason.CT_REPLY
  const trace: TraceContext = { reason, monitor: ctx.node.trace_payload_len }
  const inPod = ctx.object.kind === 'bpf_lxc'
  let result = revDnat(ctx, family, trace)
  if (!isError(ctx, result) && result !== ctx.act.OK) {
    if (!inPod) edtSetAggregate(ctx, 0)
    return result
  }
  if (result === ctx.act.OK) {
    if (inPod) result = drop.NAT_NO_MAPPING
    else {
      skipNodeportSet(ctx)
      result = ctx.tailCall(fromNetdev[family.version])
    }
  }
  const event = { source: identity.UNKNOWN_ID, direction: metricDirection.EGRESS }
  return sendDrop(ctx, result, event, places[family.version].revNatDrop)
}

/** Whether the replies of services come back through this node at all: with DSR alone they do not. */
function mayPassReplies(ctx: Ctx): boolean {
  const { ENABLE_DSR, ENABLE_DSR_BYUSER } = ctx.node
  return !ENABLE_DSR || ENABLE_DSR_BYUSER || steersEgressGateway(ctx)
}

/** What came of a translated reply, and the identity of its source as far as it is known by then. */
interface AfterTranslation {
  /** CTX_ACT_OK: on to the main path. */
  readonly result: number
  readonly source: number
}

/** The part of tail_nodeport_nat_ingress_ipv4() behind a translation. */
function afterTranslation(ctx: Ctx, family: Family, source: number, trace: TraceContext): AfterTranslation {
  if (!mayPassReplies(ctx)) return { result: ctx.act.OK, source }
  const { node, object } = ctx
  if (node.ENABLE_HOST_FIREWALL && object.kind === 'bpf_host') {
    const host = hostPolicyIngress(ctx, family, source, trace)
    if (isError(ctx, host.verdict)) return { result: host.verdict, source: host.source }
    skipHostFirewallSet(ctx)
    return { result: ctx.tailCall(revNat[family.version]), source: host.source }
  }
  const inXdp6 = family.version === 6 && node.ENABLE_IPV6_FRAGMENTS && object.kind === 'bpf_xdp'
  const result = inXdp6 ? ctx.tailCall(revNat[family.version]) : revDnat(ctx, family, trace)
  return { result, source }
}

/** tail_nodeport_nat_ingress_ipv4(), tail_nodeport_nat_ingress_ipv6() */
function tailNatIngress(ctx: Ctx, family: Family): number {
  const { version } = family
  const reason = version === 4 ? traceReason.UNKNOWN : traceReason.CT_REPLY
  const trace: TraceContext = { reason, monitor: ctx.node.trace_payload_len }
  let source = ctx.meta(cb.SRC_LABEL)
  let result = snatRevNat(ctx, family, newNatTarget(ctx, family), trace)
  const untouched = result === NAT_PUNT_TO_STACK || result === drop.NAT_NO_MAPPING
  if (!untouched && !isError(ctx, result)) {
    snatDoneSet(ctx)
    const after = afterTranslation(ctx, family, source, trace)
    result = after.result
    source = after.source
    if (!isError(ctx, result) && result !== ctx.act.OK) {
      edtSetAggregate(ctx, 0)
      return result
    }
  }
  if (untouched || result === ctx.act.OK) {
    skipNodeportSet(ctx)
    result = ctx.tailCall(fromNetdev[version])
  }
  const event = { source, direction: metricDirection.INGRESS }
  return sendDrop(ctx, result, event, places[version].natIngressDrop)
}

/** Slot REVNAT of one family: bpf_lxc, too, sends replies of its pod there. */
export function revNatTails(family: Family): [number, ObjectProgram][] {
  const run = (ctx: Ctx): number => tailRevDnat(ctx, family)
  if (family.version === 4) {
    return [[call.IPV4_NODEPORT_REVNAT, { symbol: 'tail_nodeport_rev_dnat_ipv4', run }]]
  }
  return [
    [call.IPV6_NODEPORT_REVNAT_INGRESS, { symbol: 'tail_nodeport_rev_dnat_ingress_ipv6', run }],
    [call.IPV6_NODEPORT_REVNAT_EGRESS, { symbol: 'tail_nodeport_rev_dnat_egress_ipv6', run }],
  ]
}

/** Slot NAT_INGRESS of one family. */
export function natIngressTails(family: Family): [number, ObjectProgram][] {
  const slot = family.version === 4 ? call.IPV4_NODEPORT_NAT_INGRESS : call.IPV6_NODEPORT_NAT_INGRESS
  const symbol = `tail_nodeport_nat_ingress_ipv${family.version}`
  return [[slot, { symbol, run: (ctx) => tailNatIngress(ctx, family) }]]
}
