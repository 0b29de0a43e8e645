// What an outer header takes from the packet inside it, and gives back: TOS, ECN, TTL. include/net/ip_tunnels.h
// ip_tunnel_ecn_encap(), ip_tunnel_get_ttl(); include/net/inet_ecn.h (RFC 6040).
import { readU8, readU16, writeU16 } from '../../net/bytes.ts'
import { replaceU16 } from '../../net/checksum.ts'
import { ipv4At, ipv4Flag } from '../../net/ipv4.ts'
import { ipv6At, ipv6TrafficClass } from '../../net/ipv6.ts'
import { etherType } from '../../net/protocol.ts'
import type { Skb } from '../skb.ts'

const ecnMask = 3
const ecnEct1 = 1
const ecnEct0 = 2
const ecnCe = 3

/** ip_tunnel_get_dsfield(): TOS or traffic class of the packet; 0 for anything that is not IP. */
export function innerTos(skb: Skb): number {
  if (skb.protocol === etherType.ipv4) return readU8(skb.bytes, skb.networkHeader + ipv4At.tos)
  return skb.protocol === etherType.ipv6 ? ipv6TrafficClass(skb.bytes, skb.networkHeader) : 0
}

/** ip_tunnel_get_ttl(): TTL or hop limit; 0 for anything that is not IP. */
export function innerTtl(skb: Skb): number {
  if (skb.protocol === etherType.ipv4) return readU8(skb.bytes, skb.networkHeader + ipv4At.ttl)
  return skb.protocol === etherType.ipv6 ? readU8(skb.bytes, skb.networkHeader + ipv6At.hopLimit) : 0
}

/** Whether the packet must not be fragmented: DF, or IPv6. */
export function innerDontFragment(skb: Skb): boolean {
  if (skb.protocol === etherType.ipv6) return true
  if (skb.protocol !== etherType.ipv4) return false
  return (readU16(skb.bytes, skb.networkHeader + ipv4At.flagsAndOffset) & ipv4Flag.dontFragment) !== 0
}

/** ip_tunnel_ecn_encap(): the outer TOS; CE inside becomes ECT(0) outside. */
export function ecnEncap(tos: number, skb: Skb): number {
  const inner = innerTos(skb) & ecnMask
  return (tos & ~ecnMask) | (inner === ecnCe ? ecnEct0 : inner)
}

/**
 * INET_ECN_decapsulate(): congestion met on the way, CE or that ECT(0) became ECT(1), is written into the packet
 * (`skb.networkHeader` at its IP header).
 * False when it says CE outside and knows no ECN inside: such a packet must be dropped.
 */
export function ecnDecap(skb: Skb, outerTos: number): boolean {
  const outer = outerTos & ecnMask
  if (outer !== ecnCe && outer !== ecnEct1) return true
  if (skb.protocol !== etherType.ipv4 && skb.protocol !== etherType.ipv6) return true
  const inner = innerTos(skb) & ecnMask
  if (inner === 0) return outer !== ecnCe
  if (outer === ecnCe || inner === ecnEct0) writeEcn(skb, outer)
  return true
}

/** ipip_ecn_decapsulate(), ipip6_ecn_decapsulate() of xfrm: of ECN outside only CE counts, and only for a packet that knows ECN. */
export function ecnDecapCe(skb: Skb, outerTos: number): void {
  if ((outerTos & ecnMask) === ecnCe && (innerTos(skb) & ecnMask) !== 0) writeEcn(skb, ecnCe)
}

function writeEcn(skb: Skb, ecn: number): void {
  const { bytes, networkHeader: at } = skb
  const word = readU16(bytes, at)
  if (skb.protocol === etherType.ipv4) replaceU16(bytes, at, (word & ~ecnMask) | ecn, at + ipv4At.checksum)
  else writeU16(bytes, at, (word & ~(ecnMask << 4)) | (ecn << 4))
}
