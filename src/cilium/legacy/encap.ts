// Sending a packet through the tunnel device, in Cilium 1.10: to the endpoint that the ipcache names, else to that of the
// destination's prefix. bpf/lib/encap.h
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { setTunnelKey4 } from '../datapath/encap.ts'
import { type Address, type Family, ipv4 } from '../datapath/family.ts'
import { identity } from '../datapath/identity.ts'
import { tracePoint } from '../datapath/trace-point.ts'
import { isSet, lookupTunnel } from './ipcache.ts'
import { sendTrace } from './notify.ts'

/** Bits of the prefix that cilium_tunnel_map is asked with: 96 of IPv6. */
const prefixBytes6 = 12

/** The prefix of a destination: IPV4_MASK, which the agent makes from the node's pod CIDR, or the first 96 bits. */
export function tunnelPrefix(ctx: Ctx, family: Family, destination: Address): Address {
  if (family === ipv4) return destination.map((byte, at) => byte & (ctx.node.IPV4_MASK[at] as number))
  return destination.map((byte, at) => (at < prefixBytes6 ? byte : 0))
}

/**
 * __encap_with_nodeid(): tells the tunnel device where to send the packet and traces. `endpoint` has four bytes; the host as
 * source becomes a remote node. 0 or a drop reason.
 */
export function encapWithNode(ctx: Ctx, endpoint: Uint8Array, source: number, monitor: number): number {
  const sender = source === identity.HOST_ID ? identity.LOCAL_NODE_ID : source
  if (setTunnelKey4(ctx, endpoint, sender) < 0) return drop.WRITE_ERROR
  const { ENCAP_IFINDEX } = ctx.node
  sendTrace(ctx, { point: tracePoint.TO_OVERLAY, source: sender, ifindex: ENCAP_IFINDEX, monitor })
  return 0
}

/** __encap_and_redirect_with_nodeid(): CTX_ACT_REDIRECT or a drop reason. */
export function encapAndRedirectWithNode(
  ctx: Ctx,
  endpoint: Uint8Array,
  source: number,
  monitor: number,
): number {
  const result = encapWithNode(ctx, endpoint, source, monitor)
  return result === 0 ? ctx.redirect(ctx.node.ENCAP_IFINDEX, 0) : result
}

/** What an encapsulation is told. */
export interface Encapsulation {
  readonly source: number
  readonly monitor: number
}

/** encap_and_redirect_netdev(): by the prefix alone. DROP_NO_TUNNEL_ENDPOINT where no tunnel leads there. */
export function encapAndRedirectNetdev(
  ctx: Ctx,
  family: Family,
  destination: Address,
  { source, monitor }: Encapsulation,
): number {
  const tunnel = lookupTunnel(ctx, family, tunnelPrefix(ctx, family, destination))
  return tunnel === undefined
    ? drop.NO_TUNNEL_ENDPOINT
    : encapAndRedirectWithNode(ctx, tunnel, source, monitor)
}

/**
 * encap_and_redirect_lxc(): to `endpoint` where it is set, else by the destination's prefix (undefined: there is none). With
 * kube-proxy and the host firewall the packet goes by way of the stack: CTX_ACT_OK.
 */
export function encapAndRedirectLxc(
  ctx: Ctx,
  family: Family,
  endpoint: Uint8Array | undefined,
  destination: Address,
  encapsulation: Encapsulation,
): number {
  if (endpoint === undefined || !isSet(endpoint)) {
    return encapAndRedirectNetdev(ctx, family, destination, encapsulation)
  }
  const { source, monitor } = encapsulation
  const { ENABLE_NODEPORT, ENABLE_HOST_FIREWALL } = ctx.node
  return !ENABLE_NODEPORT && ENABLE_HOST_FIREWALL
    ? encapWithNode(ctx, endpoint, source, monitor)
    : encapAndRedirectWithNode(ctx, endpoint, source, monitor)
}
