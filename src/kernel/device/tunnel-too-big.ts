// A tunnel device that is a bridge's port answers a packet that will not fit itself, as a router would: iptunnel_pmtud_check_icmp(),
// iptunnel_pmtud_check_icmpv6() of net/ipv4/ip_tunnel_core.c. The answer goes back into the bridge, from the address that the
// packet was for.

import {
  broadcastIpv4,
  isLoopback,
  isMulticast,
  isUnspecified,
  readIpv4,
  readIpv6,
  writeIpv4,
  writeIpv6,
} from '../../net/address.ts'
import { readU8, readU16, writeU8, writeU16, writeU32 } from '../../net/bytes.ts'
import { checksumOf, writeSegmentChecksum } from '../../net/checksum.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import { icmpAt, icmpType, icmpUnreachable, isIcmpError } from '../../net/icmp.ts'
import { icmpv6Type, isIcmpv6Error } from '../../net/icmpv6.ts'
import { ipv4At, ipv4Flag, ipv4HeaderLength, writeIpv4Checksum } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { bornFrom } from '../birth.ts'
import { transportOf } from '../conntrack/tuple.ts'
import { countReceived, countSent } from '../counters.ts'
import { endPacket } from '../drop.ts'
import { ethTypeTrans } from '../eth-type.ts'
import { arriveFromTunnel } from '../napi.ts'
import { pktType, type Skb, skbFromFrame } from '../skb.ts'
import type { NetDevice } from './device.ts'
import { fitsTunnel, learnTunnelMtu } from './tunnel.ts'

/** The smallest datagram that every host takes, and the least MTU of IPv6: an answer is no longer. */
const longest = { 4: 576, 6: 1280 } as const
const l3 = ethernetAt.payload

/** Whether a packet of IPv4 may be answered: DF and nothing else in the fragment word, ends that are hosts, no error itself. */
function deserves4({ bytes, networkHeader: at }: Skb, mtu: number): boolean {
  if (mtu < longest[4] || readU16(bytes, at + ipv4At.flagsAndOffset) !== ipv4Flag.dontFragment) return false
  const source = readIpv4(bytes, at + ipv4At.source)
  const destination = readIpv4(bytes, at + ipv4At.destination)
  if (isUnspecified(source) || isLoopback(source) || isMulticast(source) || source === broadcastIpv4)
    return false
  if (destination === broadcastIpv4 || isMulticast(destination)) return false
  const transport = at + ipv4HeaderLength(bytes, at)
  return readU8(bytes, at + ipv4At.protocol) !== ipProtocol.icmp || !isIcmpError(readU8(bytes, transport))
}

function deserves6({ bytes, networkHeader: at, tail }: Skb, mtu: number): boolean {
  const source = readIpv6(bytes, at + ipv6At.source)
  if (mtu < longest[6] || isUnspecified(source) || isMulticast(source) || isLoopback(source)) return false
  const { protocol, l4, fragmentOffset } = transportOf(bytes, at, tail, 6)
  if (fragmentOffset !== 0) return false
  if (protocol !== ipProtocol.icmp6) return true
  const type = readU8(bytes, l4)
  return !isIcmpv6Error(type) && type !== icmpv6Type.redirect
}

/** The frame of the answer, its ends exchanged; `header` bytes of IP, then the error, then what it quotes. */
function turnedRound(skb: Skb, family: 4 | 6, header: number): Uint8Array {
  const quoted = skb.bytes.subarray(skb.networkHeader, skb.tail)
  const room = longest[family] - header - icmpAt.payload
  const frame = new Uint8Array(l3 + header + icmpAt.payload + Math.min(quoted.length, room))
  const ethernet = skb.networkHeader - l3
  frame.set(skb.bytes.subarray(ethernet + 6, ethernet + 12), 0)
  frame.set(skb.bytes.subarray(ethernet, ethernet + 6), 6)
  writeU16(frame, ethernetAt.type, skb.protocol)
  frame.set(quoted.subarray(0, room), l3 + header + icmpAt.payload)
  return frame
}

function answer4(skb: Skb, mtu: number): Uint8Array {
  const { bytes, networkHeader: at } = skb
  const frame = turnedRound(skb, 4, ipv4At.options)
  writeU8(frame, l3 + ipv4At.versionAndLength, 0x45)
  writeU16(frame, l3 + ipv4At.totalLength, frame.length - l3)
  writeU16(frame, l3 + ipv4At.flagsAndOffset, ipv4Flag.dontFragment)
  writeU8(frame, l3 + ipv4At.ttl, readU8(bytes, at + ipv4At.ttl))
  writeU8(frame, l3 + ipv4At.protocol, ipProtocol.icmp)
  writeIpv4(frame, l3 + ipv4At.source, readIpv4(bytes, at + ipv4At.destination))
  writeIpv4(frame, l3 + ipv4At.destination, readIpv4(bytes, at + ipv4At.source))
  writeIpv4Checksum(frame, l3)
  const icmp = l3 + ipv4At.options
  writeU8(frame, icmp + icmpAt.type, icmpType.unreachable)
  writeU8(frame, icmp + icmpAt.code, icmpUnreachable.fragmentationNeeded)
  writeU32(frame, icmp + icmpAt.rest, mtu)
  writeU16(frame, icmp + icmpAt.checksum, checksumOf(frame, icmp, frame.length))
  return frame
}

function answer6(skb: Skb, mtu: number): Uint8Array {
  const { bytes, networkHeader: at } = skb
  const frame = turnedRound(skb, 6, ipv6At.payload)
  writeU8(frame, l3, 0x60)
  writeU16(frame, l3 + ipv6At.payloadLength, frame.length - l3 - ipv6At.payload)
  writeU8(frame, l3 + ipv6At.nextHeader, ipProtocol.icmp6)
  writeU8(frame, l3 + ipv6At.hopLimit, readU8(bytes, at + ipv6At.hopLimit))
  writeIpv6(frame, l3 + ipv6At.source, readIpv6(bytes, at + ipv6At.destination))
  writeIpv6(frame, l3 + ipv6At.destination, readIpv6(bytes, at + ipv6At.source))
  const l4 = l3 + ipv6At.payload
  writeU8(frame, l4 + icmpAt.type, icmpv6Type.packetTooBig)
  writeU32(frame, l4 + icmpAt.rest, mtu)
  writeSegmentChecksum(frame, { l3, l4, end: frame.length, protocol: ipProtocol.icmp6 })
  return frame
}

/**
 * skb_tunnel_check_pmtu() and vxlan_encap_bypass(): true when the packet is too big, was answered and is used up. `mtu` is
 * what fits through the tunnel, in bytes of IP. `skb.networkHeader` stands behind its Ethernet header.
 */
export function stopsTooBig(dev: NetDevice, skb: Skb, mtu: number): boolean {
  if (fitsTunnel(skb, mtu)) return false
  learnTunnelMtu(skb, mtu)
  const four = skb.protocol === etherType.ipv4
  if (dev.master?.kind !== 'bridge' || (!four && skb.protocol !== etherType.ipv6)) return false
  if (!(four ? deserves4(skb, mtu) : deserves6(skb, mtu))) return false
  const answer = skbFromFrame(dev, four ? answer4(skb, mtu) : answer6(skb, mtu))
  ethTypeTrans(answer, dev)
  answer.pktType = pktType.host
  bornFrom(skb, answer, 'icmp')
  endPacket(skb, { node: dev.ns.name, device: dev.name, stage: 'xmit', kind: 'consumed' })
  countSent(dev, answer.tail - answer.macHeader)
  countReceived(dev, answer.tail - answer.macHeader)
  arriveFromTunnel(dev, answer)
  return true
}
