// From a transport segment to an IP packet that is on its way: the last thing sockets do, and the first the IP layer
// sees. What enters is a segment and its addresses; what leaves is a packet with an owner, a mark and a name.
// Linux: ip_build_and_send_pkt(), __ip_queue_xmit(), __ip_make_skb(); ip6_xmit(), __ip6_make_skb().
import { type IpAddress, isIpv4, isUnspecified, writeIpv4, writeIpv6 } from '../../net/address.ts'
import { writeU8, writeU16, writeU32 } from '../../net/bytes.ts'
import { writeSegmentChecksum } from '../../net/checksum.ts'
import { ipv4At, ipv4Flag, writeIpv4Checksum } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { born } from '../birth.ts'
import { ipLocalOut } from '../ip/output.ts'
import { routeOutput } from '../ip/output-route.ts'
import { type Route, type RouteAnswer, routeScope } from '../ip/route.ts'
import { tosPriority } from '../ip/tos-priority.ts'
import { ip6LocalOut } from '../ip6/output.ts'
import { route6Output } from '../ip6/output-route.ts'
import type { Namespace } from '../namespace.ts'
import { type Skb, skbFromPacket } from '../skb.ts'
import { finishesSums, leaveSumUnfinished } from '../unfinished.ts'
import { anyAddress, type BaseSocket, familyOf } from './base.ts'
import type { SocketAddress } from './hooks.ts'
import { reachable } from './names.ts'
import type { Socket } from './socket.ts'
import { hashFromSocket } from './tx-hash.ts'

/** A segment that is ready to leave. Its checksum field may hold anything. */
export interface Departure {
  readonly socket: Socket | undefined
  readonly route: Route
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly ttl: number
  readonly tos: number
  readonly mark: number
  /** IPv4 only. */
  readonly dontFragment: boolean
  readonly identification: number
  /** The transport header and its payload. */
  readonly segment: Uint8Array
  /**
   * The segment's checksum is what the program wrote (raw sockets), or a card would finish it (CHECKSUM_PARTIAL): one of UDP if the
   * route's device can and the datagram needs not be cut.
   */
  readonly checksum?: 'given' | 'unfinished'
}

/** What asks for a route (struct flowi4, flowi6 as sockets fill them). */
export interface RouteQuestion {
  readonly destination: IpAddress
  readonly source: IpAddress
  readonly protocol: number
  readonly sport: number
  readonly dport: number
  readonly oif: number
  readonly mark: number
  readonly tos: number
  /** FLOWI_FLAG_ANYSRC: the source need not be ours (transparent sockets). */
  readonly anySource?: boolean
}

/** What a UDP or TCP socket asks on its way to `to`. */
export function questionOf(socket: BaseSocket, to: SocketAddress, protocol: number): RouteQuestion {
  return {
    destination: reachable(to.address),
    source: isUnspecified(socket.localAddress) ? anyAddress(familyOf(to.address)) : socket.localAddress,
    protocol,
    sport: socket.localPort,
    dport: to.port,
    oif: socket.options.device,
    mark: socket.options.mark,
    tos: socket.options.tos,
    anySource: socket.transparent,
  }
}

/** ip_route_output_flow(), ip6_dst_lookup_flow(). Answers the errno that the system call returns. */
export function routeFor(ns: Namespace, question: RouteQuestion): RouteAnswer {
  const family = isIpv4(question.destination) ? 4 : 6
  const flow = { ...question, family, iif: 1, scope: routeScope.universe } as const
  return family === 4
    ? routeOutput(ns, flow, { anySource: question.anySource === true })
    : route6Output(ns, flow)
}

/**
 * ip_route_connect(): IPv4 asks once more with the source that the first answer chose, so that rules can look at it. IPv6
 * takes the first answer.
 */
export function routeForConnect(ns: Namespace, question: RouteQuestion): RouteAnswer {
  const first = routeFor(ns, question)
  if (first.kind === 'error' || !isIpv4(question.destination)) return first
  if (!isUnspecified(question.source) && !isUnspecified(question.destination)) return first
  return routeFor(ns, { ...question, source: first.source, destination: first.destination })
}

function packetBytes(departure: Departure): Uint8Array {
  const { segment, source, destination } = departure
  const header = isIpv4(source) ? ipv4At.options : ipv6At.payload
  const bytes = new Uint8Array(header + segment.length)
  bytes.set(segment, header)
  if (isIpv4(source) && isIpv4(destination)) {
    writeU8(bytes, ipv4At.versionAndLength, 0x45)
    writeU8(bytes, ipv4At.tos, departure.tos)
    writeU16(bytes, ipv4At.totalLength, bytes.length)
    writeU16(bytes, ipv4At.identification, departure.identification)
    writeU16(bytes, ipv4At.flagsAndOffset, departure.dontFragment ? ipv4Flag.dontFragment : 0)
    writeU8(bytes, ipv4At.ttl, departure.ttl)
    writeU8(bytes, ipv4At.protocol, departure.protocol)
    writeIpv4(bytes, ipv4At.source, source)
    writeIpv4(bytes, ipv4At.destination, destination)
    writeIpv4Checksum(bytes, 0)
  } else if (!isIpv4(source) && !isIpv4(destination)) {
    writeU32(bytes, 0, (0x6000_0000 | (departure.tos << 20)) >>> 0)
    writeU16(bytes, ipv6At.payloadLength, segment.length)
    writeU8(bytes, ipv6At.nextHeader, departure.protocol)
    writeU8(bytes, ipv6At.hopLimit, departure.ttl)
    writeIpv6(bytes, ipv6At.source, source)
    writeIpv6(bytes, ipv6At.destination, destination)
  }
  if (departure.checksum === 'given') return bytes
  writeSegmentChecksum(bytes, { l3: 0, l4: header, end: bytes.length, protocol: departure.protocol })
  return bytes
}

/** tcp_v4_send_check() always; for a datagram what __ip_append_data() asks of the device and of its length. */
function mayStayUnfinished({ protocol, route, source, segment }: Departure): boolean {
  if (protocol === ipProtocol.tcp) return true
  return finishesSums(route.device) && segment.length + (isIpv4(source) ? 20 : 40) <= route.mtu
}

/** Builds the packet; the caller names it and hands it to `localOut`. */
export function buildPacket(departure: Departure): Skb {
  const { route, socket } = departure
  const type = isIpv4(departure.source) ? etherType.ipv4 : etherType.ipv6
  const skb = skbFromPacket(route.device, packetBytes(departure), type)
  skb.route = route
  skb.sk = socket
  skb.mark = departure.mark
  if (departure.checksum === 'unfinished' && mayStayUnfinished(departure))
    leaveSumUnfinished(skb, skb.tail - departure.segment.length, departure.protocol)
  if (socket !== undefined) {
    // sk_priority follows IP_TOS, not IPV6_TCLASS
    if (type === etherType.ipv4) skb.priority = tosPriority(departure.tos)
    hashFromSocket(skb, socket)
  }
  return skb
}

/** Names a packet `label.word`. Without a trace no text is made; the packet is counted all the same. */
export function bornAs(skb: Skb, label: string, word: string, cause?: string): void {
  born(skb, skb.dev.ns.machine.trace === undefined ? '' : `${label}.${word}`, cause, label)
}

interface LocalOptions {
  /** skb->ignore_df: what was built whole is cut all the same when NAT leads it over a smaller device (IPv4). */
  readonly ignoreDontFragment?: boolean
  /** An answer of netfilter's (nf_send_reset6), which IPv6 does not count. */
  readonly uncounted?: boolean
}

/**
 * ip_local_out(), ip6_local_out(): 0 when the packet is on its way or was lost without a word, a positive NET_XMIT_*
 * when it was dropped by the device's queue, a negative errno when it was refused (-1, EPERM, by OUTPUT).
 */
export function localOut(ns: Namespace, skb: Skb, options: LocalOptions = {}): number {
  return skb.protocol === etherType.ipv4 ? ipLocalOut(ns, skb, options) : ip6LocalOut(ns, skb, options)
}

/** The same out of a system call without a lock on its socket: pieces of a datagram leave one by one, and what each brings about is over before the next. */
export function userOut(ns: Namespace, skb: Skb, options: LocalOptions = {}): number {
  return ns.machine.clock.interruptible(() => localOut(ns, skb, options))
}
