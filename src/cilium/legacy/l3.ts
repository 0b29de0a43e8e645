// One routing hop, and delivery to a pod of this node, in Cilium 1.10. bpf/lib/l3.h, bpf/lib/common.h redirect_ep()
import { type Ctx, PACKET_HOST } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import type { EndpointInfo } from '../datapath/endpoints.ts'
import type { Family } from '../datapath/family.ts'
import { ethernetLength } from '../datapath/headers.ts'
import { l3 as hop } from '../datapath/l3.ts'
import { mark } from '../datapath/mark.ts'
import { type MetricDirection, metricReason } from '../datapath/metrics.ts'
import { count } from './notify.ts'
import { cb, withIdentity } from './slots.ts'

/** MACs to write; undefined leaves what is there. Six bytes each. */
export interface Macs {
  readonly source: Uint8Array | undefined
  readonly destination: Uint8Array | undefined
}

/** ipv4_l3(), ipv6_l3(): CTX_ACT_OK or what ends the program. An IPv4 packet at its end is DROP_INVALID. */
export function l3(ctx: Ctx, family: Family, macs: Macs, direction: MetricDirection): number {
  const result = hop(ctx, family, ethernetLength(ctx), macs, direction)
  return result === drop.TTL_EXCEEDED ? drop.INVALID : result
}

/** redirect_ep(): straight into the pod's namespace where routing in BPF is on and the packet does not come from the host. */
export function redirectEndpoint(ctx: Ctx, ifindex: number, needsBacklog: boolean): number {
  const { ENABLE_HOST_ROUTING, HAVE_ENCAP } = ctx.node
  if (needsBacklog || !ENABLE_HOST_ROUTING) return ctx.redirect(ifindex, 0)
  if (HAVE_ENCAP) ctx.changeType(PACKET_HOST)
  return ctx.redirectPeer(ifindex)
}

/** `ctx->mark |= MARK_MAGIC_IDENTITY; set_identity_mark()` */
export function setIdentityMark(ctx: Ctx, identity: number): void {
  ctx.mark = withIdentity(ctx.mark | mark.IDENTITY, identity)
}

/** tail_call_dynamic() into POLICY_CALL_MAP: comes back only where the endpoint has no program. */
export function tailCallPolicy(ctx: Ctx, endpointId: number): number {
  ctx.tailCallInto(ctx.maps.cilium_call_policy, endpointId)
  return drop.MISSED_TAIL_CALL
}

/** What a delivery is told. */
export interface Delivery {
  /** Identity of the sender. */
  readonly source: number
  readonly endpoint: EndpointInfo
  readonly direction: MetricDirection
  readonly fromHost: boolean
}

/** ipv4_local_delivery(), ipv6_local_delivery(): a hop, then the endpoint's policy, by a tail call or at its device. */
export function localDelivery(ctx: Ctx, family: Family, delivery: Delivery): number {
  const { source, endpoint, direction, fromHost } = delivery
  const macs = { source: endpoint.nodeMac, destination: endpoint.mac }
  const result = l3(ctx, family, macs, direction)
  if (result !== ctx.act.OK) return result
  // the agent asks for it in the settings of endpoints, which those of the tunnel device are not
  const counts = ctx.node.LOCAL_DELIVERY_METRICS && ctx.object.kind !== 'bpf_overlay'
  if (counts) count(ctx, direction, metricReason.FORWARDED)
  if (ctx.node.USE_BPF_PROG_FOR_INGRESS_POLICY) {
    setIdentityMark(ctx, source)
    return redirectEndpoint(ctx, endpoint.ifindex, fromHost)
  }
  ctx.setMeta(cb.SRC_LABEL, source)
  ctx.setMeta(cb.IFINDEX, endpoint.ifindex)
  ctx.setMeta(cb.FROM_HOST, fromHost ? 1 : 0)
  return tailCallPolicy(ctx, endpoint.lxcId)
}
