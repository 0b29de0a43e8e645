// ICMP errors about connections through IPVS: ip_vs_out_icmp(), ip_vs_in_icmp(), ip_vs_nat_icmp() of ip_vs_core.c and
// ip_vs_icmp_xmit() of ip_vs_xmit.c. The packet that an error quotes gets the addresses that its sender knows.
import { type Ipv4, ipv4From, isIpv4, writeIpv4 } from '../../net/address.ts'
import { readU8, writeU16 } from '../../net/bytes.ts'
import { checksumOf } from '../../net/checksum.ts'
import { icmpType } from '../../net/icmp.ts'
import { ipv4At, ipv4FragmentOffset, ipv4HeaderLength, writeIpv4Checksum } from '../../net/ipv4.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { invertTuple, readTuple, type Tuple } from '../conntrack/tuple.ts'
import type { HookVerdict } from '../netfilter/hook.ts'
import { reroute } from '../netfilter/reroute.ts'
import { connectionIn, connectionOut, type IpvsConnection } from './connection.ts'
import { connectionFact, endIpvs, type IpvsPacket, noteIpvs } from './packet.ts'
import { countPacket } from './statistics.ts'
import { followToClient, followToServer, sendOut, serverRoute, transmit } from './transmit.ts'

/** ICMP_DEST_UNREACH, ICMP_SOURCE_QUENCH, ICMP_TIME_EXCEEDED: the errors that are followed. */
const followed: ReadonlySet<number> = new Set([icmpType.unreachable, 4, icmpType.timeExceeded])

const icmpHeader = 8

/** A packet without a tuple of its own yet. */
export type IcmpPacket = Omit<IpvsPacket, 'tuple'>

/** The tuple that an answer to the quoted packet has, with where the quote stands; undefined when it says too little. */
function quoted({ skb, l4 }: IcmpPacket): { readonly answer: Tuple; readonly at: number } | undefined {
  const { bytes, tail: end } = skb
  const at = l4 + icmpHeader
  if (at + ipv4At.options > end || !followed.has(readU8(bytes, l4))) return undefined
  const protocol = readU8(bytes, at + ipv4At.protocol)
  if (protocol !== ipProtocol.tcp && protocol !== ipProtocol.udp) return undefined
  if (ipv4FragmentOffset(bytes, at) !== 0) return undefined
  const tuple = readTuple(bytes, { l3: at, l4: at + ipv4HeaderLength(bytes, at), end }, 4, protocol)
  const answer = tuple === undefined ? undefined : invertTuple(tuple)
  return answer === undefined ? undefined : { answer, at }
}

/** Whether a packet is an error about something: such packets are not for services. */
export function isFollowedError(packet: IcmpPacket): boolean {
  return followed.has(readU8(packet.skb.bytes, packet.l4))
}

function v4(address: Tuple['source']): Ipv4 {
  return isIpv4(address) ? address : ipv4From(0)
}

/** ip_vs_nat_icmp(): the quoted transport checksum is left as it is. */
function rewrite(
  { skb, l4 }: IcmpPacket,
  at: number,
  to: { readonly side: 'client' | 'server'; readonly connection: IpvsConnection },
): void {
  const { bytes, networkHeader: l3, tail } = skb
  const { connection, side } = to
  const ports = at + ipv4HeaderLength(bytes, at)
  if (side === 'client') {
    const { destination, dport } = connection.original
    writeIpv4(bytes, l3 + ipv4At.source, v4(destination))
    writeIpv4(bytes, at + ipv4At.destination, v4(destination))
    writeU16(bytes, ports + 2, dport)
  } else {
    const { source, sport } = connection.reply
    writeIpv4(bytes, l3 + ipv4At.destination, v4(source))
    writeIpv4(bytes, at + ipv4At.source, v4(source))
    writeU16(bytes, ports, sport)
  }
  writeIpv4Checksum(bytes, l3)
  writeIpv4Checksum(bytes, at)
  writeU16(bytes, l4 + 2, 0)
  writeU16(bytes, l4 + 2, checksumOf(bytes, l4, tail))
}

/** ip_vs_out_icmp(): an error from a server's side about a packet of a client. */
export function icmpOut(packet: IcmpPacket): HookVerdict {
  const found = quoted(packet)
  if (found === undefined) return 'accept'
  const connection = connectionOut(packet.ipvs.connections, found.answer, packet.now)
  if (connection === undefined) return 'accept'
  const { skb, ns, hook } = packet
  const whole: IpvsPacket = { ...packet, tuple: found.answer }
  if (connection.forward === 'masq') {
    if (checksumOf(skb.bytes, packet.l4, skb.tail) !== 0) {
      return endIpvs(whole, 'drop', 'wrong ICMP checksum')
    }
    rewrite(packet, found.at, { side: 'client', connection })
    if (hook !== 'INPUT' && skb.route?.local !== true && reroute(ns, skb, 4) !== undefined) {
      return endIpvs(whole, 'drop', 'no route to the client')
    }
  }
  countPacket(connection, skb, 'out')
  skb.ipvs = true
  followToClient(skb, connection)
  noteIpvs(whole, 'accept', [connectionFact(connection, '<-')])
  return 'accept'
}

/** ip_vs_in_icmp(): an error from a client's side about a packet of a server. */
export function icmpIn(packet: IcmpPacket): HookVerdict {
  const found = quoted(packet)
  if (found === undefined) return 'accept'
  const connection = connectionIn(packet.ipvs.connections, found.answer, packet.now)
  if (connection === undefined) return 'accept'
  const { skb } = packet
  const whole: IpvsPacket = { ...packet, tuple: found.answer }
  if (checksumOf(skb.bytes, packet.l4, skb.tail) !== 0) return endIpvs(whole, 'drop', 'wrong ICMP checksum')
  countPacket(connection, skb, 'in')
  // ip_vs_icmp_xmit(): without NAT it is sent like any other packet
  if (connection.forward !== 'masq') return transmit(whole, connection)
  const route = serverRoute(whole, connection)
  if (route === undefined) return endIpvs(whole, 'stolen', 'no route to the server')
  rewrite(packet, found.at, { side: 'server', connection })
  skb.ipvs = true
  followToServer(skb, connection)
  noteIpvs(whole, route.local ? 'accept' : 'stolen', [connectionFact(connection, '->')])
  return route.local ? 'accept' : sendOut(whole, route)
}
