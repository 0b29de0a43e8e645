// Delivery to a pod of this node: by its policy program, which a tail call reaches, or by its device. lib/local_delivery.h
import { type Ctx, cb, isError, PACKET_HOST } from './ctx.ts'
import { drop, where } from './drop-reason.ts'
import type { EndpointInfo } from './endpoints.ts'
import type { Family } from './family.ts'
import { l3 } from './l3.ts'
import { identityMark } from './mark.ts'
import { type MetricDirection, metricDirection, metricReason, updateMetrics } from './metrics.ts'
import { acceptIngress } from './throttle.ts'

const forwarded = where('local_delivery.h', 130)

/** tail_call_egress_policy(): the program that acts for an endpoint's proxy. Comes back only where it is missing. */
export function tailCallEgressPolicy(ctx: Ctx, endpointId: number): number {
  ctx.tailCallInto(ctx.maps.cilium_egresscall_policy, endpointId)
  return drop.EP_NOT_READY
}

/** tail_call_policy(): the policy program of an endpoint. Comes back only where it is missing. */
export function tailCallPolicy(ctx: Ctx, endpointId: number): number {
  ctx.tailCallInto(ctx.maps.cilium_call_policy, endpointId)
  return drop.EP_NOT_READY
}

/** should_fast_redirect(): whether a packet can go straight into the pod's namespace. */
export function shouldFastRedirect(ctx: Ctx, fromHost: boolean): boolean {
  return ctx.node.ENABLE_HOST_ROUTING && !fromHost && ctx.ingressIfindex > 0
}

/** redirect_ep() */
export function redirectEndpoint(ctx: Ctx, ifindex: number, fast: boolean, fromTunnel: boolean): number {
  if (!fast) return ctx.redirect(ifindex, 0)
  if (fromTunnel) ctx.changeType(PACKET_HOST)
  return ctx.redirectPeer(ifindex)
}

/** What a delivery is told. */
export interface Delivery {
  readonly l3Offset: number
  /** Identity of the sender. */
  readonly source: number
  /** Magic of the mark that carries it to cil_to_container. */
  readonly magic: number
  readonly endpoint: EndpointInfo
  readonly direction: MetricDirection
  readonly fromHost: boolean
  readonly fromTunnel: boolean
  readonly clusterId: number
}

/** local_delivery_fill_meta(): the calling convention of a pod's policy program. */
export function fillDeliveryMeta(
  ctx: Ctx,
  source: number,
  options: {
    readonly redirect: boolean
    readonly fromHost: boolean
    readonly fromTunnel: boolean
    readonly clusterId: number
  },
): void {
  ctx.setMeta(cb.SRC_LABEL, source)
  ctx.setMeta(cb.DELIVERY_REDIRECT, options.redirect ? 1 : 0)
  ctx.setMeta(cb.FROM_HOST, options.fromHost ? 1 : 0)
  ctx.setMeta(cb.FROM_TUNNEL, options.fromTunnel ? 1 : 0)
  ctx.setMeta(cb.CLUSTER_ID_INGRESS, options.clusterId)
}

/** local_delivery() */
function deliver(ctx: Ctx, delivery: Delivery): number {
  const { source, endpoint, direction, fromHost, fromTunnel, clusterId } = delivery
  const { node } = ctx
  if (node.LOCAL_DELIVERY_METRICS) {
    updateMetrics(ctx, ctx.length, direction, metricReason.FORWARDED, forwarded)
  }
  if (direction === metricDirection.INGRESS && !fromHost) {
    const accepted = acceptIngress(ctx, endpoint.lxcId)
    if (isError(ctx, accepted)) return accepted
  }
  const fast = shouldFastRedirect(ctx, fromHost)
  const policyAtDevice = node.USE_BPF_PROG_FOR_INGRESS_POLICY && !fast
  if (policyAtDevice && (!node.enable_netkit || ctx.ingressIfindex > 0)) {
    ctx.mark = identityMark(source, delivery.magic)
    if (!node.ENABLE_NODEPORT && fromTunnel) {
      ctx.changeType(PACKET_HOST)
      return ctx.act.OK
    }
    return redirectEndpoint(ctx, endpoint.ifindex, fast, fromTunnel)
  }
  fillDeliveryMeta(ctx, source, { redirect: true, fromHost, fromTunnel, clusterId })
  return tailCallPolicy(ctx, endpoint.lxcId)
}

/** ipv4_local_delivery(), ipv6_local_delivery(): a routing hop to the pod, then its policy. */
export function localDelivery(ctx: Ctx, family: Family, delivery: Delivery): number {
  const { endpoint, direction } = delivery
  const macs = { source: endpoint.nodeMac, destination: endpoint.mac }
  const result = l3(ctx, family, delivery.l3Offset, macs, direction)
  if (result !== ctx.act.OK) return result
  return deliver(ctx, delivery)
}
