// Handing a packet to the L7 proxy of the node: by its mark, for iptables, or by assigning the proxy's socket.
// lib/proxy.h, lib/proxy_hairpin.h

import { swap16 } from '../../bpf/context/byte-order.ts'
import { redirectFlag } from '../../bpf/helpers/redirect.ts'
import type { Tuple } from '../maps/tuple.ts'
import { swapTuple } from './conntrack.ts'
import { ctDirection } from './ct-state.ts'
import { type Ctx, cb, isError, PACKET_HOST, tcIndexFlag } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { macBytesOf, storeDestinationMac, validEtherType } from './ethernet.ts'
import { enabledFamily, type Family, protocolNumber } from './family.ts'
import { loadL4Ports } from './fragments.ts'
import { ethernetLength, hasHeader, walkHeaders } from './headers.ts'
import { l3 } from './l3.ts'
import { mark } from './mark.ts'
import { metricDirection } from './metrics.ts'
import { newTuple } from './packet-tuple.ts'

const tcpState = { TIME_WAIT: 6, LISTEN: 10 } as const

/** The mark that tells iptables the proxy's port: a __be16 as a C program has it in the upper half. */
function proxyMark(proxyPort: number): number {
  return (mark.TO_PROXY | (swap16(proxyPort) << 16)) >>> 0
}

/** struct bpf_sock_tuple: addresses and ports in the order of the packet. Ports in host order. */
function socketTuple(
  source: Uint8Array,
  destination: Uint8Array,
  sourcePort: number,
  destinationPort: number,
): Uint8Array {
  const size = source.length
  const bytes = new Uint8Array(size * 2 + 4)
  bytes.set(source, 0)
  bytes.set(destination, size)
  const view = new DataView(bytes.buffer)
  view.setUint16(size * 2, sourcePort)
  view.setUint16(size * 2 + 2, destinationPort)
  return bytes
}

/** assign_socket(): CTX_ACT_OK or a drop reason. An established connection is looked for in TCP only. */
function assignSocket(ctx: Ctx, protocol: number, tuple: Uint8Array, established: boolean): number {
  const { TCP, UDP } = protocolNumber
  if (protocol !== TCP && protocol !== UDP) return drop.PROXY_UNKNOWN_PROTO
  if (protocol === UDP && established) return drop.PROXY_LOOKUP_FAILED
  const socket = ctx.lookupSocket(protocol, tuple)
  if (socket === undefined) return drop.PROXY_LOOKUP_FAILED
  const { TIME_WAIT, LISTEN } = tcpState
  if (established && (socket.state === TIME_WAIT || socket.state === LISTEN)) return drop.PROXY_LOOKUP_FAILED
  return ctx.assignSocket(socket) === 0 ? ctx.act.OK : drop.PROXY_SET_FAILED
}

/**
 * ctx_redirect_to_proxy_ingress4(): the connection's own socket, else one that listens on the proxy's port, at the first of
 * `addresses` that has one. `tuple` in conntrack's forward form. CTX_ACT_OK or a drop reason.
 */
export function assignProxySocket(
  ctx: Ctx,
  tuple: Tuple,
  proxyPort: number,
  addresses: readonly Uint8Array[],
): number {
  const { family, nexthdr } = tuple
  const own = socketTuple(tuple.daddr, tuple.saddr, tuple.sport, tuple.dport)
  let result = assignSocket(ctx, nexthdr, own, true)
  const none = new Uint8Array(family.addressBytes)
  for (const address of addresses) {
    if (result === ctx.act.OK) break
    result = assignSocket(ctx, nexthdr, socketTuple(none, address, 0, proxyPort), false)
  }
  return result
}

/** Where proxies listen: on the loopback address, or on any. */
const listening = {
  4: [Uint8Array.of(127, 0, 0, 1), new Uint8Array(4)],
  6: [Uint8Array.from({ length: 16 }, (_, at) => (at === 15 ? 1 : 0)), new Uint8Array(16)],
} as const

function redirectToSocket(ctx: Ctx, tuple: Tuple, proxyPort: number): number {
  return assignProxySocket(ctx, tuple, proxyPort, listening[tuple.family.version])
}

/**
 * ctx_redirect_to_proxy4(), ctx_redirect_to_proxy6(): marks the packet, so that the stack routes it to the proxy. `proxyPort`
 * 0: a reply, whose socket the stack finds. CTX_ACT_OK or a drop reason.
 */
export function redirectToProxy(ctx: Ctx, tuple: Tuple, proxyPort: number, fromHost: boolean): number {
  if (!ctx.node.ENABLE_TPROXY || fromHost) {
    ctx.mark = proxyMark(proxyPort)
    return ctx.act.OK
  }
  ctx.mark = (ctx.mark | mark.TO_PROXY) >>> 0
  return proxyPort === 0 ? ctx.act.OK : redirectToSocket(ctx, tuple, proxyPort)
}

/** extract_tuple4(), extract_tuple6(): the packet's tuple in forward form, or a drop reason. */
function extractTuple(ctx: Ctx, family: Family): Tuple | number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const { nexthdr, fragment } = walk
  const { TCP, UDP, SCTP } = protocolNumber
  const known = nexthdr === TCP || nexthdr === UDP || (nexthdr === SCTP && ctx.node.ENABLE_SCTP)
  if (!known) return drop.CT_UNKNOWN_PROTO
  const tuple = newTuple(ctx, family, l3Offset, nexthdr)
  const l4Offset = l3Offset + walk.length
  const failed = loadL4Ports(ctx, tuple, fragment, { l3Offset, l4Offset, direction: ctDirection.EGRESS })
  if (failed < 0) return failed
  swapTuple(tuple)
  return tuple
}

/** ctx_redirect_to_proxy_first_tproxy() */
function firstSocket(ctx: Ctx, proxyPort: number): number {
  if (proxyPort === 0) return ctx.act.OK
  const etherType = validEtherType(ctx)
  if (etherType === undefined) return drop.UNSUPPORTED_L2
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return drop.UNKNOWN_L3
  const tuple = extractTuple(ctx, family)
  return typeof tuple === 'number' ? tuple : redirectToSocket(ctx, tuple, proxyPort)
}

/** The proxy's port in the upper half of a mark: a __be16 as a C program has it. */
export function proxyPortOf(magic: number): number {
  return swap16(magic >>> 16)
}

/**
 * ctx_redirect_to_proxy_first(): as the first thing that a program does, hands a packet that was sent here for the proxy to it.
 * CTX_ACT_OK or a drop reason.
 */
export function redirectToProxyFirst(ctx: Ctx, proxyPort: number): number {
  const result = ctx.node.ENABLE_TPROXY ? firstSocket(ctx, proxyPort) : ctx.act.OK
  if (isError(ctx, result)) return result
  ctx.mark = proxyMark(proxyPort)
  ctx.changeType(PACKET_HOST)
  return result
}

/** ctx_redirect_to_proxy_host_egress(): a packet of the host, by way of cilium_host's ingress. */
export function redirectToProxyHostEgress(ctx: Ctx, proxyPort: number): number {
  ctx.mark = proxyMark(proxyPort)
  if (storeDestinationMac(ctx, macBytesOf(ctx.node.CILIUM_HOST_MAC)) < 0) return drop.WRITE_ERROR
  return ctx.redirect(ctx.node.CILIUM_HOST_IFINDEX, redirectFlag.BPF_F_INGRESS)
}

/** ctx_redirect_to_proxy_hairpin(): from a pod's device to the proxy by way of cilium_net. */
export function redirectToProxyHairpin(ctx: Ctx, family: Family, proxyPort: number): number {
  ctx.setMeta(cb.PROXY_MAGIC, proxyMark(proxyPort))
  const macs = {
    source: macBytesOf(ctx.object.interface_mac),
    destination: macBytesOf(ctx.node.CILIUM_HOST_MAC),
  }
  const result = l3(ctx, family, ethernetLength(ctx), macs, metricDirection.EGRESS)
  if (isError(ctx, result)) return result
  return ctx.redirect(ctx.node.CILIUM_NET_IFINDEX, 0)
}

/** tc_index_from_ingress_proxy() */
export function isFromIngressProxy(ctx: Ctx): boolean {
  return (ctx.tcIndex & tcIndexFlag.FROM_INGRESS_PROXY) !== 0
}

/** tc_index_from_egress_proxy() */
export function isFromEgressProxy(ctx: Ctx): boolean {
  return (ctx.tcIndex & tcIndexFlag.FROM_EGRESS_PROXY) !== 0
}
