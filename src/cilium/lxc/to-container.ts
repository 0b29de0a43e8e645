// Egress of a pod's device on the host's side, where packets come through the stack: per-endpoint routes, the health endpoint.
// bpf_lxc.c cil_to_container(), tail_ipv4_to_endpoint()
import { ctDirection } from '../datapath/ct-state.ts'
import { type Ctx, cb, isError } from '../datapath/ctx.ts'
import { drop, type Where, where } from '../datapath/drop-reason.ts'
import { validEtherType } from '../datapath/ethernet.ts'
import { enabledFamily, type Family, ipv6 } from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { isNdp } from '../datapath/icmp6-ndp.ts'
import { identity } from '../datapath/identity.ts'
import { inheritIdentity } from '../datapath/inherit-identity.ts'
import { tailCallEgressPolicy, tailCallPolicy } from '../datapath/local-delivery.ts'
import { magicOf, mark } from '../datapath/mark.ts'
import { metricDirection, metricReason, updateMetrics } from '../datapath/metrics.ts'
import { sendDrop, sendTrace } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { redirectToProxyHairpin } from '../datapath/proxy.ts'
import { resolveSource } from '../datapath/source-identity.ts'
import { call } from '../datapath/tail-calls.ts'
import { tracePoint, traceReason } from '../datapath/trace-point.ts'
import { ctLookupTail } from './ct-lookup-tail.ts'
import { ingressPolicy, proxyRedirect } from './ingress.ts'

const places = {
  4: { forwarded: where('bpf_lxc.c', 2425), dropped: where('bpf_lxc.c', 2448) },
  6: { forwarded: where('bpf_lxc.c', 2107), dropped: where('bpf_lxc.c', 2125) },
} as const
const noEgressProgram = where('bpf_lxc.c', 2607)
const fromStack = where('bpf_lxc.c', 2617)
const noHostProgram = where('bpf_lxc.c', 2634)
const dropped = where('bpf_lxc.c', 2667)

const arpType = 0x0806

/** A drop on the way to this pod. */
function dropIngress(ctx: Ctx, source: number, reason: number, place: Where, extended = true): number {
  const { security_label, endpoint_id } = ctx.object
  const event = {
    source,
    destination: security_label,
    endpoint: endpoint_id,
    direction: metricDirection.INGRESS,
  }
  return sendDrop(ctx, reason, event, place, extended)
}

/** Policy, then the pod or the proxy. */
function toEndpoint(ctx: Ctx, family: Family, source: number): number {
  if (ctx.node.LOCAL_DELIVERY_METRICS) {
    const { forwarded } = places[family.version]
    updateMetrics(ctx, ctx.length, metricDirection.INGRESS, metricReason.FORWARDED, forwarded)
  }
  const { result, proxyPort } = ingressPolicy(ctx, family, source, false)
  if (result !== proxyRedirect) return result
  if (family.version === 4 && !hasHeader(ctx, family, ethernetLength(ctx))) return drop.INVALID
  const redirected = redirectToProxyHairpin(ctx, family, proxyPort)
  ctx.mark = ctx.meta(cb.PROXY_MAGIC)
  return redirected
}

/** tail_ipv4_to_endpoint(), tail_ipv6_to_endpoint(): slot TO_ENDPOINT. */
export function tailToEndpoint(family: Family): ObjectProgram {
  return {
    symbol: `tail_ipv${family.version}_to_endpoint`,
    run: (ctx) => {
      const inherited = ctx.takeMeta(cb.SRC_LABEL)
      const { dropped: place } = places[family.version]
      const l3Offset = ethernetLength(ctx)
      if (!hasHeader(ctx, family, l3Offset)) return dropIngress(ctx, inherited, drop.INVALID, place)
      if (family === ipv6 && isNdp(ctx, l3Offset)) return ctx.act.OK
      const { source } = resolveSource(ctx, family, inherited)
      const result = toEndpoint(ctx, family, source)
      return isError(ctx, result) ? dropIngress(ctx, source, result, place) : result
    },
  }
}

/** tail_ipv4_ct_ingress(), tail_ipv6_ct_ingress(): slot CT_INGRESS. */
export function tailCtIngress(family: Family): ObjectProgram {
  return ctLookupTail({
    symbol: `tail_ipv${family.version}_ct_ingress`,
    family,
    direction: ctDirection.INGRESS,
    next: {
      slot: family.version === 4 ? call.IPV4_TO_ENDPOINT : call.IPV6_TO_ENDPOINT,
      program: tailToEndpoint(family),
      isTailCall: () => true,
    },
  })
}

/** A packet that a proxy sends for an endpoint: its mark carries the endpoint's id. */
function toEgressPolicy(ctx: Ctx): number {
  const endpoint = ctx.mark >>> 16
  ctx.mark = 0
  const missing = tailCallEgressPolicy(ctx, endpoint)
  return dropIngress(ctx, endpoint, missing, noEgressProgram, false)
}

/** To the host firewall's program, which comes back here. */
function toHostPolicy(ctx: Ctx): number {
  ctx.setMeta(cb.FROM_HOST, 1)
  ctx.setMeta(cb.DST_ENDPOINT_ID, ctx.object.endpoint_id)
  tailCallPolicy(ctx, ctx.object.host_ep_id)
  return dropIngress(ctx, identity.HOST_ID, drop.HOST_NOT_READY, noHostProgram, false)
}

/** By ethertype: ARP passes, IP asks conntrack. */
function dispatch(ctx: Ctx, etherType: number, source: number): number {
  const { ENABLE_ARP_PASSTHROUGH, ENABLE_ARP_RESPONDER } = ctx.node
  if (etherType === arpType && (ENABLE_ARP_PASSTHROUGH || ENABLE_ARP_RESPONDER)) return ctx.act.OK
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return drop.UNKNOWN_L3
  ctx.setMeta(cb.SRC_LABEL, source)
  return ctx.tailCall(family.version === 4 ? call.IPV4_CT_INGRESS : call.IPV6_CT_INGRESS)
}

/** cil_to_container() */
export const toContainer: ObjectProgram = {
  symbol: 'cil_to_container',
  run: (ctx) => {
    const { node, object } = ctx
    const etherType = validEtherType(ctx)
    if (etherType === undefined) return dropIngress(ctx, 0, drop.UNSUPPORTED_L2, dropped)
    ctx.clearMeta()
    if (node.ENABLE_L7_LB && magicOf(ctx.mark) === mark.PROXY_EGRESS_EPID) return toEgressPolicy(ctx)
    const { identity: source, magic } = inheritIdentity(ctx)
    const fromProxy = magic === mark.PROXY_INGRESS || magic === mark.PROXY_EGRESS
    const event = {
      point: fromProxy ? tracePoint.FROM_PROXY : tracePoint.FROM_STACK,
      source,
      destination: object.security_label,
      endpoint: object.endpoint_id,
      ifindex: ctx.ingressIfindex,
      reason: traceReason.UNKNOWN,
      monitor: node.trace_payload_len,
      etherType,
    }
    sendTrace(ctx, event, fromStack)
    if (node.ENABLE_HOST_FIREWALL && !node.ENABLE_ROUTING && source === identity.HOST_ID) {
      return toHostPolicy(ctx)
    }
    const result = dispatch(ctx, etherType, source)
    return isError(ctx, result) ? dropIngress(ctx, source, result, dropped) : result
  },
}
