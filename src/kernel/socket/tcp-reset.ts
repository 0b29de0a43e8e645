// The answer to a segment that belongs to no connection: tcp_ipv4.c tcp_v4_send_reset(), tcp_ipv6.c tcp_v6_send_reset().
// Before changing this file, read RFC 9293 section 3.10.7.1 (CLOSED state) and section 3.5.2.
import { isMulticast } from '../../net/address.ts'
import { readU8, readU16 } from '../../net/bytes.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { tcpFlag } from '../../net/tcp.ts'
import { bornFrom } from '../birth.ts'
import { count } from '../counters.ts'
import { pktType, type Skb } from '../skb.ts'
import { destinationOf, sourceOf } from './arrival.ts'
import { buildPacket, localOut, routeFor } from './departure.ts'
import { hopsFor, needsDevice } from './names.ts'
import type { Socket } from './socket.ts'
import { type Arrived, writeSegment } from './tcp-segment.ts'
import { noData } from './tcp-transmit.ts'

/**
 * Answers with RST, never to an RST. A segment with ACK gets `seq = its ack` and no ACK; one without gets sequence 0 and
 * an ACK of everything it carried. Identification 0 with DF; not limited in rate. `socket` is the one that refused the
 * segment: its mark and its freedom of address are the answer's.
 */
export function sendReset(skb: Skb, family: 4 | 6, segment: Arrived, socket?: Socket): void {
  if ((segment.flags & tcpFlag.rst) !== 0 || skb.pktType !== pktType.host) return
  const { ns } = skb.dev
  const source = destinationOf(skb, family)
  const destination = sourceOf(skb, family)
  // a segment to a group is nobody's; that a socket was found counts as if its way in had been right (tcp_v4_send_reset)
  if (socket === undefined && (isMulticast(source) || skb.route?.type === 'broadcast')) return
  const acknowledges = (segment.flags & tcpFlag.ack) !== 0
  const reflect = ns.sysctls.get(family === 4 ? 'net.ipv4.fwmark_reflect' : 'net.ipv6.fwmark_reflect') !== 0
  const mark = (reflect ? skb.mark : 0) || (socket?.options.mark ?? 0)
  const tos = serviceOf(skb, family) & ~ecnMask
  const bytes = writeSegment({
    sport: portAt(segment, 2),
    dport: portAt(segment, 0),
    sequence: acknowledges ? segment.acknowledgement : 0,
    acknowledgement: acknowledges ? 0 : segment.endSequence,
    flags: acknowledges ? tcpFlag.rst : tcpFlag.rst | tcpFlag.ack,
    window: 0,
    options: noData,
    data: noData,
  })
  const answer = routeFor(ns, {
    destination,
    source,
    protocol: ipProtocol.tcp,
    sport: portAt(segment, 2),
    dport: portAt(segment, 0),
    oif: needsDevice(destination) ? skb.dev.ifindex : 0,
    mark,
    tos,
    anySource: socket?.transparent === true,
  })
  // IPv4 counts it whether a route is found or not (tcp_v4_send_reset, tcp_v6_send_response)
  if (answer.kind === 'error' && family === 6) return
  count(ns, 'TcpOutSegs')
  count(ns, 'TcpOutRsts')
  if (answer.kind === 'error') return
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
    segment: bytes,
  })
  bornFrom(skb, reply, 'rst')
  reply.kernelSocket = ns
  const sent = localOut(ns, reply)
  // ip_send_unicast_reply() goes by ip_send_skb(); tcp_v6_send_response() does not
  if (sent !== 0 && family === 4) count(ns, 'IpOutDiscards')
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
