// Answers that no connection sends, above all RST: tcp_ipv4.c tcp_v4_send_reset(), tcp_v4_send_ack(), tcp_ipv6.c tcp_v6_send_response().
// Before changing this file, read RFC 9293 section 3.10.7.1 (CLOSED state) and section 3.5.2.
import { isIpv4, isMulticast, writeIpv4 } from '../../net/address.ts'
import { readU8, readU16, readU32 } from '../../net/bytes.ts'
import { ipv4At, writeIpv4Checksum } from '../../net/ipv4.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { tcpFlag } from '../../net/tcp.ts'
import { bornFrom } from '../birth.ts'
import { count } from '../counters.ts'
import type { RouteAnswer } from '../ip/route.ts'
import { tosPriority } from '../ip/tos-priority.ts'
import { pktType, type Skb } from '../skb.ts'
import { destinationOf, sourceOf } from './arrival.ts'
import { buildPacket, localOut, routeFor } from './departure.ts'
import { hopsFor, needsDevice } from './names.ts'
import { type Socket, socketState } from './socket.ts'
import { type Arrived, writeSegment } from './tcp-segment.ts'
import { noData } from './tcp-transmit.ts'
import { hashFromSocket } from './tx-hash.ts'

/** What an answer says that no connection sends. */
export interface Reply {
  readonly sequence: number
  readonly acknowledgement: number
  readonly flags: number
  readonly window: number
  readonly options: Uint8Array
  readonly tos: number
  /** Where the packet's own mark is not reflected. */
  readonly mark: number
  readonly transparent: boolean
  /** The socket it speaks for, whose hash it has (tw_txhash, sk_txhash); undefined for none. */
  readonly speaker: Socket | undefined
  /** Gives the packet its name. */
  readonly born: (reply: Skb) => void
}

/**
 * Answers a segment without a connection: ip_send_unicast_reply(), tcp_v6_send_response(). Back to where it came from, with the TTL of
 * the host, identification 0 and DF; not limited in rate. False when no route leads back.
 */
export function sendReply(skb: Skb, family: 4 | 6, segment: Arrived, what: Reply): boolean {
  const { ns } = skb.dev
  const source = destinationOf(skb, family)
  const destination = sourceOf(skb, family)
  const reflect = ns.sysctls.get(family === 4 ? 'net.ipv4.fwmark_reflect' : 'net.ipv6.fwmark_reflect') !== 0
  const mark = (reflect ? skb.mark : 0) || what.mark
  const { tos } = what
  const [sport, dport] = [portAt(segment, 2), portAt(segment, 0)]
  const answer = routeFor(ns, {
    destination,
    source,
    protocol: ipProtocol.tcp,
    sport,
    dport,
    oif: needsDevice(destination) ? skb.dev.ifindex : 0,
    mark,
    tos,
    anySource: what.transparent,
  })
  // IPv4 counts it whether a route is found or not (tcp_v4_send_reset, tcp_v6_send_response)
  if (answer.kind === 'error' && family === 6) return false
  count(ns, 'TcpOutSegs')
  if ((what.flags & tcpFlag.rst) !== 0) count(ns, 'TcpOutRsts')
  if (answer.kind === 'error') return false
  const { sequence, acknowledgement, flags, window, options } = what
  const reply = buildPacket({
    socket: undefined,
    route: answer.route,
    source,
    destination,
    protocol: ipProtocol.tcp,
    ttl: hopsFor(ns, answer.route, { destination, asked: undefined }),
    tos,
    mark,
    dontFragment: true,
    identification: 0,
    segment: writeSegment({
      sport,
      dport,
      sequence,
      acknowledgement,
      flags,
      window,
      options,
      data: noData,
    }),
    ...(family === 6 ? { checksum: 'unfinished' } : {}),
  })
  if (what.speaker !== undefined) {
    hashFromSocket(reply, what.speaker)
    if (family === 4) reply.priority = tosPriority(what.speaker.options.tos) // tw_priority, sk_priority
  }
  fromNobody(reply, answer)
  what.born(reply)
  reply.kernelSocket = ns
  const sent = localOut(ns, reply)
  // ip_send_unicast_reply() goes by ip_send_skb(); tcp_v6_send_response() does not
  if (sent !== 0 && family === 4) count(ns, 'IpOutDiscards')
  return true
}

/**
 * A segment from 0.0.0.0 to 0.0.0.0: the way to nobody is one to oneself (ip_route_output_key_hash), and the header says so.
 * The sum was made before, of the addresses of the question (tcp_v4_send_reset).
 */
function fromNobody(
  { bytes, networkHeader }: Skb,
  { source, destination }: Extract<RouteAnswer, { kind: 'route' }>,
): void {
  if (!isIpv4(source) || !isIpv4(destination)) return
  if (readU32(bytes, networkHeader + ipv4At.destination) !== 0) return
  writeIpv4(bytes, networkHeader + ipv4At.source, source)
  writeIpv4(bytes, networkHeader + ipv4At.destination, destination)
  writeIpv4Checksum(bytes, networkHeader)
}

/**
 * Answers with RST, never to an RST. A segment with ACK gets `seq = its ack` and no ACK; one without gets sequence 0 and
 * an ACK of everything it carried. `socket` is the one that refused the segment: its mark and its freedom of address are
 * the answer's.
 */
export function sendReset(skb: Skb, family: 4 | 6, segment: Arrived, socket?: Socket): void {
  if ((segment.flags & tcpFlag.rst) !== 0 || skb.pktType !== pktType.host) return
  // a segment to a group is nobody's; that a socket was found counts as if its way in had been right (tcp_v4_send_reset)
  const toGroup = isMulticast(destinationOf(skb, family)) || skb.route?.type === 'broadcast'
  if (socket === undefined && toGroup) return
  const acknowledges = (segment.flags & tcpFlag.ack) !== 0
  sendReply(skb, family, segment, {
    sequence: acknowledges ? segment.acknowledgement : 0,
    acknowledgement: acknowledges ? 0 : segment.endSequence,
    flags: acknowledges ? tcpFlag.rst : tcpFlag.rst | tcpFlag.ack,
    window: 0,
    options: noData,
    tos: serviceOf(skb, family) & ~ecnMask,
    mark: socket?.options.mark ?? 0,
    transparent: socket?.transparent === true,
    // a listener has no hash, who has not answered yet does not speak
    speaker: socket?.state === socketState.synReceived ? undefined : socket,
    born: (reply) => bornFrom(skb, reply, 'rst'),
  })
}

const ecnMask = 3

/** The TOS byte or traffic class of a packet: the answer has the same, without the ECN bits. */
function serviceOf({ bytes, networkHeader }: Skb, family: 4 | 6): number {
  if (family === 4) return readU8(bytes, networkHeader + 1)
  return (readU16(bytes, networkHeader) >>> 4) & 0xff
}

function portAt(segment: Arrived, offset: number): number {
  const { bytes } = segment.skb
  return ((bytes[segment.l4 + offset] ?? 0) << 8) | (bytes[segment.l4 + offset + 1] ?? 0)
}
