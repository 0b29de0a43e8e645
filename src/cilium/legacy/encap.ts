// Sending a packet through the tunnel device, in Cilium 1.10: to the endpoint that the ipcache names, else to that of the
// destination's prefix. bpf/lib/encap.h
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { setTunnelKey4 } from '../datapath/encap.ts'
import { type Address, type Family, ipv4 } from '../datapath/family.ts'
import { identity } from '../datapath/identity.ts'
import { tracePoint } from '../datapath/trace-point.ts'
import { isSet, lookupTunnel } from './ipcache.ts'
import { encryptBeforeTunnel, encryptByWayOfNet, encryptKeyOf } from './ipsec.ts'
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
  /** Index of the key that the destination's entry in the ipcache names; 0: not encrypted. */
  readonly key: number
}

/** encap_and_redirect_with_nodeid(): for the host, whose packets the stack encrypts behind cilium_net. */
export function encapAndRedirectFromHost(
  ctx: Ctx,
  endpoint: Uint8Array,
  { source, monitor, key }: Encapsulation,
): number {
  return ctx.node.ENABLE_IPSEC && key !== 0
    ? encryptByWayOfNet(ctx, endpoint, key, source)
    : encapAndRedirectWithNode(ctx, endpoint, source, monitor)
}

/** encap_and_redirect_netdev(): by the prefix alone. DROP_NO_TUNNEL_ENDPOINT where no tunnel leads there. */
export function encapAndRedirectNetdev(
  ctx: Ctx,
  family: Family,
  destination: Address,
  { source, monitor }: Omit<Encapsulation, 'key'>,
): number {
  const tunnel = lookupTunnel(ctx, family, tunnelPrefix(ctx, family, destination))
  if (tunnel === undefined) return drop.NO_TUNNEL_ENDPOINT
  const { endpoint, key } = tunnel
  return ctx.node.ENABLE_IPSEC && key !== 0
    ? encryptByWayOfNet(ctx, endpoint, encryptKeyOf(ctx, key), source)
    : encapAndRedirectWithNode(ctx, endpoint, source, monitor)
}

/** With kube-proxy, packets to what the ipcache knows go by way of the stack where they have to be translated back, or encrypted. */
function passesStack({ ENABLE_NODEPORT, ENABLE_HOST_FIREWALL, ENABLE_IPSEC }: Ctx['node']): boolean {
  return !ENABLE_NODEPORT && (ENABLE_HOST_FIREWALL || ENABLE_IPSEC)
}

/**
 * encap_and_redirect_lxc(): to `endpoint` where it is set, else by the destination's prefix (undefined: there is none). CTX_ACT_OK:
 * by way of the stack, which encrypts what it finds marked.
 */
export function encapAndRedirectLxc(
  ctx: Ctx,
  family: Family,
  endpoint: Uint8Array | undefined,
  destination: Address,
  encapsulation: Encapsulation,
): number {
  const { source, monitor, key } = encapsulation
  const { ENABLE_IPSEC } = ctx.node
  if (endpoint !== undefined && isSet(endpoint)) {
    if (ENABLE_IPSEC && key !== 0) return encryptBeforeTunnel(ctx, endpoint, key, source)
    return passesStack(ctx.node)
      ? encapWithNode(ctx, endpoint, source, monitor)
      : encapAndRedirectWithNode(ctx, endpoint, source, monitor)
  }
  const tunnel = lookupTunnel(ctx, family, tunnelPrefix(ctx, family, destination))
  if (tunnel === undefined) return drop.NO_TUNNEL_ENDPOINT
  return ENABLE_IPSEC && tunnel.key !== 0
    ? encryptBeforeTunnel(ctx, tunnel.endpoint, encryptKeyOf(ctx, tunnel.key), source)
    : encapAndRedirectWithNode(ctx, tunnel.endpoint, source, monitor)
}
