// ICMPv6 messages as packets: an IPv6 header and the message behind it, with its checksum; and how they are counted.
import { type Ipv6, writeIpv6 } from '../../net/address.ts'
import { writeU8, writeU16, writeU32 } from '../../net/bytes.ts'
import { writeSegmentChecksum } from '../../net/checksum.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import type { Route } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
import { type Skb, skbFromPacket } from '../skb.ts'

export interface Icmp6Packet {
  readonly route: Route
  readonly source: Ipv6
  readonly destination: Ipv6
  readonly hopLimit: number
  readonly trafficClass: number
  readonly mark: number
  /** The whole message from its type on; the checksum is written here. */
  readonly message: Uint8Array
}

/** The packet of a message, ready for `ip6LocalOut`. */
export function buildIcmp6(packet: Icmp6Packet): Skb {
  const l4 = ipv6At.payload
  const bytes = new Uint8Array(l4 + packet.message.length)
  writeU32(bytes, 0, (0x6000_0000 | (packet.trafficClass << 20)) >>> 0)
  writeU16(bytes, ipv6At.payloadLength, packet.message.length)
  writeU8(bytes, ipv6At.nextHeader, ipProtocol.icmp6)
  writeU8(bytes, ipv6At.hopLimit, packet.hopLimit)
  writeIpv6(bytes, ipv6At.source, packet.source)
  writeIpv6(bytes, ipv6At.destination, packet.destination)
  bytes.set(packet.message, l4)
  writeSegmentChecksum(bytes, { l3: 0, l4, end: bytes.length, protocol: ipProtocol.icmp6 })
  const skb = skbFromPacket(packet.route.device, bytes, etherType.ipv6)
  skb.mark = packet.mark
  skb.kernelSocket = packet.route.device.ns
  skb.route = packet.route
  return skb
}

const countedTypes = new Map<number, string>([
  [icmpv6Type.unreachable, 'DestUnreachs'],
  [icmpv6Type.packetTooBig, 'PktTooBigs'],
  [icmpv6Type.timeExceeded, 'TimeExcds'],
  [icmpv6Type.parameterProblem, 'ParmProblems'],
  [icmpv6Type.echoRequest, 'Echos'],
  [icmpv6Type.echoReply, 'EchoReplies'],
  [icmpv6Type.routerSolicitation, 'RouterSolicits'],
  [icmpv6Type.routerAdvertisement, 'RouterAdvertisements'],
  [icmpv6Type.neighbourSolicitation, 'NeighborSolicits'],
  [icmpv6Type.neighbourAdvertisement, 'NeighborAdvertisements'],
  [icmpv6Type.redirect, 'Redirects'],
])

/** ICMP6MSGIN_INC_STATS, ICMP6MSGOUT_INC_STATS: the counter of a type. Sending counts the message with it. */
export function countIcmp6(ns: Namespace, direction: 'In' | 'Out', type: number): void {
  if (direction === 'Out') count(ns, 'Icmp6OutMsgs')
  const name = countedTypes.get(type)
  if (name !== undefined) count(ns, `Icmp6${direction}${name}`)
}
