// A packet inside a WireGuard message, and what it loses on its way in and out. drivers/net/wireguard/queueing.h.
import { type IpAddress, readIpv4, readIpv6 } from '../../net/address.ts'
import { readU8 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { etherType } from '../../net/protocol.ts'
import type { Skb } from '../skb.ts'
import { leaveNamespace } from './crossing.ts'

/** ip_tunnel_parse_protocol(): what the bytes at `skb.data` are by version and length; 0 for nothing. */
export function innerProtocol(skb: Skb): number {
  const version = skb.length === 0 ? 0 : readU8(skb.bytes, skb.data) >>> 4
  if (version === 4 && skb.length >= ipv4At.options) return etherType.ipv4
  return version === 6 && skb.length >= ipv6At.payload ? etherType.ipv6 : 0
}

/** An address of the packet at `skb.data`; undefined when it is none of IP. */
export function innerAddress(skb: Skb, side: 'source' | 'destination'): IpAddress | undefined {
  const protocol = innerProtocol(skb)
  if (protocol === 0) return undefined
  const { bytes, data } = skb
  return protocol === etherType.ipv4
    ? readIpv4(bytes, data + ipv4At[side])
    : readIpv6(bytes, data + ipv6At[side])
}

/**
 * wg_reset_packet(): as into another namespace, and all of `skb->headers` too. Of what is sent the hash of the packet inside
 * stays, so that its flow stays together. struct packet_cb has overwritten cb.
 */
export function resetPacket(skb: Skb, direction: 'encapsulating' | 'decapsulating'): void {
  leaveNamespace(skb)
  if (direction === 'decapsulating') skb.hash = 0
  skb.tstampType = 0
  skb.vlanTci = -1
  skb.queueMapping = 0
  skb.tcIndex = 0
  skb.tcClassid = 0
  skb.cb.fill(0)
  skb.gsoSize = 0
}
