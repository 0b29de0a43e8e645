// The programs in front of a pod in Cilium 1.10: the one that others deliver through by a tail call, and that on its device for
// packets that come through the stack. bpf_lxc.c handle_policy(), tail_ipv4_policy(), handle_to_container(),
// tail_ipv4_to_endpoint()
import { type Ctx, isError, PACKET_HOST } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { enabledFamily, type Family, ipv4, ipv6 } from '../../datapath/family.ts'
import { ethernetLength, hasHeader } from '../../datapath/headers.ts'
import { identity } from '../../datapath/identity.ts'
import { metricDirection, metricReason } from '../../datapath/metrics.ts'
import type { ObjectProgram } from '../../datapath/object.ts'
import { tracePoint } from '../../datapath/trace-point.ts'
import { isDualStack } from '../../lxc/settings.ts'
import { validEtherType } from '../ethernet.ts'
import { inheritIdentity, resolveSource } from '../identity.ts'
import { redirectEndpoint, tailCallPolicy } from '../l3.ts'
import { count, sendDrop, sendTrace } from '../notify.ts'
import { proxyRedirect, redirectToProxy, redirectToProxyHairpin } from '../proxy.ts'
import { call, cb } from '../slots.ts'
import { ingressPolicy } from './ingress.ts'

const arpType = 0x0806

/** A drop on the way to this pod. */
function dropIngress(ctx: Ctx, source: number, reason: number): number {
  const { security_label: destination, endpoint_id: endpoint } = ctx.object
  return sendDrop(ctx, reason, { source, destination, endpoint, direction: metricDirection.INGRESS })
}

/** What a packet that policy lets through does next: into the pod, where the caller has named its device, or on. */
function enter(ctx: Ctx, fromHost: boolean): number {
  const { ENABLE_ROUTING, HAVE_ENCAP, ENABLE_NODEPORT } = ctx.node
  if (!ENABLE_ROUTING && HAVE_ENCAP && !ENABLE_NODEPORT) {
    ctx.changeType(PACKET_HOST)
    return ctx.act.OK
  }
  const ifindex = ctx.meta(cb.IFINDEX)
  return ifindex === 0 ? ctx.act.OK : redirectEndpoint(ctx, ifindex, fromHost)
}

function policyAndDelivery(ctx: Ctx, family: Family, source: number, fromHost: boolean): number {
  const { result, proxyPort, tuple } = ingressPolicy(ctx, family, source, ctx.meta(cb.IFINDEX))
  if (result === ctx.act.OK) return enter(ctx, fromHost)
  if (result !== proxyRedirect || tuple === undefined) return result
  return redirectToProxy(ctx, tuple, proxyPort, fromHost)
}

/** tail_ipv4_policy(), tail_ipv6_policy(): slot TO_LXC_POLICY_ONLY in dual stack, inline otherwise. */
export function tailPolicy(family: Family): ObjectProgram {
  return {
    symbol: `tail_ipv${family.version}_policy`,
    run: (ctx) => {
      const source = ctx.takeMeta(cb.SRC_LABEL)
      const fromHost = ctx.takeMeta(cb.FROM_HOST) !== 0
      const result = policyAndDelivery(ctx, family, source, fromHost)
      if (isError(ctx, result)) return dropIngress(ctx, source, result)
      // bpf_host marks what a proxy is to get by this word
      ctx.setMeta(cb.PROXY_MAGIC, ctx.mark)
      return result
    },
  }
}

const policyOnly = {
  4: { slot: call.IPV4_TO_LXC_POLICY_ONLY, program: tailPolicy(ipv4) },
  6: { slot: call.IPV6_TO_LXC_POLICY_ONLY, program: tailPolicy(ipv6) },
} as const

/** A program by its slot in dual stack, inline otherwise. What comes back below 0 has not been told yet. */
function invoke(ctx: Ctx, next: { readonly slot: number; readonly program: ObjectProgram }): number {
  return isDualStack(ctx.node) ? ctx.tailCall(next.slot) : next.program.run(ctx)
}

/** handle_policy(): in cilium_call_policy under the endpoint's id. */
export const handlePolicy: ObjectProgram = {
  symbol: 'handle_policy',
  run: (ctx) => {
    const source = ctx.meta(cb.SRC_LABEL)
    const etherType = validEtherType(ctx)
    if (etherType === undefined) return dropIngress(ctx, source, drop.UNSUPPORTED_L2)
    const family = enabledFamily(ctx, etherType)
    const result = family === undefined ? drop.UNKNOWN_L3 : invoke(ctx, policyOnly[family.version])
    return result < 0 ? dropIngress(ctx, source, result) : result
  },
}

/** Policy for a packet from the stack, then the pod, or the proxy by way of cilium_net. */
function toEndpoint(ctx: Ctx, family: Family, source: number): number {
  if (ctx.node.LOCAL_DELIVERY_METRICS) count(ctx, metricDirection.INGRESS, metricReason.FORWARDED)
  ctx.setMeta(cb.SRC_LABEL, 0)
  const { result, proxyPort } = ingressPolicy(ctx, family, source, 0)
  if (result === proxyRedirect) return redirectToProxyHairpin(ctx, proxyPort)
  return result === ctx.act.OK ? enter(ctx, true) : result
}

/** tail_ipv4_to_endpoint(), tail_ipv6_to_endpoint(): slot TO_ENDPOINT in dual stack, inline otherwise. */
export function tailToEndpoint(family: Family): ObjectProgram {
  return {
    symbol: `tail_ipv${family.version}_to_endpoint`,
    run: (ctx) => {
      const inherited = ctx.meta(cb.SRC_LABEL)
      if (!hasHeader(ctx, family, ethernetLength(ctx))) return dropIngress(ctx, inherited, drop.INVALID)
      const source = resolveSource(ctx, family, inherited)
      const result = toEndpoint(ctx, family, source)
      return isError(ctx, result) ? dropIngress(ctx, source, result) : result
    },
  }
}

const endpointOnly = {
  4: { slot: call.IPV4_TO_ENDPOINT, program: tailToEndpoint(ipv4) },
  6: { slot: call.IPV6_TO_ENDPOINT, program: tailToEndpoint(ipv6) },
} as const

/** To the host firewall's program, which comes back to the policy program. */
function toHostPolicy(ctx: Ctx): number {
  ctx.setMeta(cb.FROM_HOST, 1)
  ctx.setMeta(cb.DST_ENDPOINT_ID, ctx.object.endpoint_id)
  // a missing program is not told
  return tailCallPolicy(ctx, ctx.object.host_ep_id)
}

/** By ethertype: ARP passes, IP goes on. */
function dispatch(ctx: Ctx, etherType: number, source: number): number {
  const { ENABLE_ARP_PASSTHROUGH, ENABLE_ARP_RESPONDER } = ctx.node
  ctx.setMeta(cb.SRC_LABEL, source)
  if (etherType === arpType && (ENABLE_ARP_PASSTHROUGH || ENABLE_ARP_RESPONDER)) return ctx.act.OK
  const family = enabledFamily(ctx, etherType)
  return family === undefined ? drop.UNKNOWN_L3 : invoke(ctx, endpointOnly[family.version])
}

/** handle_to_container(): egress of the pod's device on the host's side, with a route for each endpoint. */
export const toContainer: ObjectProgram = {
  symbol: 'to-container',
  run: (ctx) => {
    const { ENABLE_HOST_FIREWALL, ENABLE_ROUTING, trace_payload_len } = ctx.node
    const etherType = validEtherType(ctx)
    if (etherType === undefined) return dropIngress(ctx, 0, drop.UNSUPPORTED_L2)
    ctx.clearMeta()
    const { identity: source, fromProxy } = inheritIdentity(ctx)
    const point = fromProxy ? tracePoint.FROM_PROXY : tracePoint.FROM_STACK
    sendTrace(ctx, { point, source, ifindex: ctx.ingressIfindex, monitor: trace_payload_len })
    if (ENABLE_HOST_FIREWALL && !ENABLE_ROUTING && source === identity.HOST_ID) return toHostPolicy(ctx)
    const result = dispatch(ctx, etherType, source)
    return result < 0 ? dropIngress(ctx, source, result) : result
  },
}
