// Handing a packet to the L7 proxy of the node, in Cilium 1.10. Ports of proxies come as policy maps hold them, as __be16.
// bpf/lib/proxy.h, bpf/lib/lxc.h
import { swap16 } from '../../bpf/context/byte-order.ts'
import { readU16 } from '../../net/bytes.ts'
import { reverseTuple } from '../datapath/conntrack.ts'
import { type Ctx, PACKET_HOST } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { enabledFamily, type Family, ipv4, protocolNumber } from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { portAt } from '../datapath/l4.ts'
import { mark } from '../datapath/mark.ts'
import { newTuple } from '../datapath/packet-tuple.ts'
import { assignProxySocket, redirectToProxyHairpin as hairpin } from '../datapath/proxy.ts'
import type { Tuple } from '../maps/tuple.ts'
import { validEtherType } from './ethernet.ts'
import { walkHeaders } from './headers.ts'

/** POLICY_ACT_PROXY_REDIRECT: the packet is for the proxy. */
export const proxyRedirect = 1 << 16

/** ctx_redirect_to_proxy_ingress4(): here proxies listen on any address. CTX_ACT_OK or a drop reason. */
function redirectToSocket(ctx: Ctx, tuple: Tuple, proxyPort: number): number {
  return assignProxySocket(ctx, tuple, swap16(proxyPort), [new Uint8Array(tuple.family.addressBytes)])
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

/** extract_tuple4(), extract_tuple6(): the packet's tuple in forward form, ports as they stand in it; or a drop reason. */
function extractTuple(ctx: Ctx, family: Family): Tuple | number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const { nexthdr, length } = walk
  if (nexthdr !== protocolNumber.TCP && nexthdr !== protocolNumber.UDP) return drop.CT_UNKNOWN_PROTO
  const ports = ctx.load(l3Offset + length, 4)
  if (ports === undefined) return drop.CT_INVALID_HDR
  const tuple = newTuple(ctx, family, l3Offset, nexthdr)
  // where the tuple says dport the packet has its source
  tuple.dport = readU16(ports, portAt.source)
  tuple.sport = readU16(ports, portAt.destination)
  reverseTuple(tuple)
  return tuple
}

/**
 * ctx_redirect_to_proxy_first(): as the first thing that a program does, hands a packet that was sent here for the proxy to it.
 * The mark is written even where no socket is found. CTX_ACT_OK or a drop reason.
 */
export function redirectToProxyFirst(ctx: Ctx, proxyPort: number): number {
  let result: number = ctx.act.OK
  if (ctx.node.ENABLE_TPROXY && proxyPort !== 0) {
    const etherType = validEtherType(ctx)
    if (etherType === undefined) return drop.UNSUPPORTED_L2
    const family = enabledFamily(ctx, etherType)
    if (family === undefined) return drop.UNKNOWN_L3
    const tuple = extractTuple(ctx, family)
    if (typeof tuple === 'number') return tuple
    result = redirectToSocket(ctx, tuple, proxyPort)
  }
  ctx.mark = (mark.TO_PROXY | (proxyPort << 16)) >>> 0
  ctx.changeType(PACKET_HOST)
  return result
}

/** ctx_redirect_to_proxy_hairpin(): from a pod's device to the proxy by way of cilium_net; IPv6 is handled as if it were IPv4. */
export function redirectToProxyHairpin(ctx: Ctx, proxyPort: number): number {
  if (!hasHeader(ctx, ipv4, ethernetLength(ctx))) return drop.INVALID
  const result = hairpin(ctx, ipv4, swap16(proxyPort))
  return result === drop.TTL_EXCEEDED ? drop.INVALID : result
}
