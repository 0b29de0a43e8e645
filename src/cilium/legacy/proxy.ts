// Handing a packet to the L7 proxy of the node, in Cilium 1.10. Ports of proxies come as policy maps hold them, as __be16.
// bpf/lib/proxy.h, bpf/lib/lxc.h
import { swap16 } from '../../bpf/context/byte-order.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { ipv4 } from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { PACKET_HOST } from '../datapath/local-delivery.ts'
import { mark } from '../datapath/mark.ts'
import { assignSocket, redirectToProxyHairpin as hairpin, socketTuple } from '../datapath/proxy.ts'
import type { Tuple } from '../maps/tuple.ts'

/** POLICY_ACT_PROXY_REDIRECT: the packet is for the proxy. */
export const proxyRedirect = 1 << 16

/** ctx_redirect_to_proxy_ingress4(): the connection's own socket, else the proxy's on any address. CTX_ACT_OK or a drop reason. */
function redirectToSocket(ctx: Ctx, tuple: Tuple, proxyPort: number): number {
  const { family, nexthdr } = tuple
  const own = socketTuple(tuple.daddr, tuple.saddr, tuple.sport, tuple.dport)
  if (assignSocket(ctx, nexthdr, own, true) === ctx.act.OK) return ctx.act.OK
  const none = new Uint8Array(family.addressBytes)
  return assignSocket(ctx, nexthdr, socketTuple(none, none, 0, swap16(proxyPort)), false)
}

/**
 * __ctx_redirect_to_proxy(): marks the packet, so that the stack routes it to the proxy. `proxyPort` 0: a reply, whose socket
 * the stack finds. CTX_ACT_OK or a drop reason.
 */
export function redirectToProxy(ctx: Ctx, tuple: Tuple, proxyPort: number, fromHost: boolean): number {
  const { ENABLE_TPROXY } = ctx.node
  const byMark = !ENABLE_TPROXY || fromHost
  ctx.mark = (byMark ? mark.TO_PROXY | (proxyPort << 16) : ctx.mark | mark.TO_PROXY) >>> 0
  const result = byMark || proxyPort === 0 ? ctx.act.OK : redirectToSocket(ctx, tuple, proxyPort)
  ctx.changeType(PACKET_HOST)
  return result
}

/** ctx_redirect_to_proxy_hairpin(): from a pod's device to the proxy by way of cilium_net; IPv6 is handled as if it were IPv4. */
export function redirectToProxyHairpin(ctx: Ctx, proxyPort: number): number {
  if (!hasHeader(ctx, ipv4, ethernetLength(ctx))) return drop.INVALID
  const result = hairpin(ctx, ipv4, swap16(proxyPort))
  return result === drop.TTL_EXCEEDED ? drop.INVALID : result
}
