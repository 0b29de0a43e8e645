// ICMP and ICMPv6 in conntrack: queries are flows by identifier, errors are RELATED to the flow that they quote
// (nf_conntrack_proto_icmp.c, nf_conntrack_proto_icmpv6.c). Facts: linux 8.11.
import { type IpAddress, readIpv4, readIpv6, sameIp } from '../../net/address.ts'
import { readU8 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { icmpType } from '../../net/icmp.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { type Connection, connInfo } from './connection.ts'
import type { TrackedPacket, TrackVerdict } from './packet.ts'
import { flowTimeout, refreshCounted } from './timeouts.ts'
import { invertTuple, readTuple, trackedTransport } from './tuple.ts'

const headerBytes = 8
/** NR_ICMP_TYPES. */
const icmpTypeMax = 18
/** Echo, timestamp, information and address mask requests. */
const newQueries4: ReadonlySet<number> = new Set([8, 13, 15, 17])
/** Echo and node information requests. */
const newQueries6: ReadonlySet<number> = new Set([128, 139])
/** Neighbour discovery and multicast listener messages: never tracked (noct_valid_new). */
const untracked6: ReadonlySet<number> = new Set([130, 131, 132, 133, 134, 135, 136, 137, 143])
const errors4: ReadonlySet<number> = new Set([
  icmpType.unreachable,
  icmpType.sourceQuench,
  icmpType.redirect,
  icmpType.timeExceeded,
  icmpType.parameterProblem,
])

/** A query or its answer (nf_conntrack_icmp_packet). */
export function trackIcmp(connection: Connection, packet: TrackedPacket): TrackVerdict {
  const type = connection.original.dport >>> 8
  const allowed = packet.family === 4 ? newQueries4 : newQueries6
  const protocol = packet.family === 4 ? ipProtocol.icmp : ipProtocol.icmp6
  if (packet.protocol !== protocol || !allowed.has(type)) return 'invalid'
  const name = packet.family === 4 ? flowTimeout.icmp : flowTimeout.icmp6
  refreshCounted(packet, connection, packet.ns.sysctls.get(name))
  return 'ok'
}

function checksumIsWrong({ ns, hook, skb, l3, l4, protocol }: TrackedPacket): boolean {
  if (hook !== 'PREROUTING' || ns.sysctls.get('net.netfilter.nf_conntrack_checksum') === 0) return false
  return !segmentChecksumIsRight(skb.bytes, { l3, l4, end: skb.tail, protocol })
}

function destinationOf({ skb, l3, family }: TrackedPacket): IpAddress {
  if (family === 4) return readIpv4(skb.bytes, l3 + ipv4At.destination)
  return readIpv6(skb.bytes, l3 + ipv6At.destination)
}

/** nf_conntrack_inet_error(): the flow whose packet is quoted behind the ICMP header. */
function relate(packet: TrackedPacket, zone: number): TrackVerdict {
  const { skb, family, table } = packet
  const { bytes, tail } = skb
  const quote = packet.l4 + headerBytes
  if (quote + (family === 4 ? ipv4At.options : ipv6At.payload) > tail) return 'invalid'
  const inner = trackedTransport(bytes, quote, tail, family)
  if (inner === undefined) return 'invalid'
  const quoted = readTuple(bytes, { l3: quote, l4: inner.l4, end: tail }, family, inner.protocol)
  const answer = quoted === undefined ? undefined : invertTuple(quoted)
  const hit = answer === undefined ? undefined : table.find(answer, zone)
  if (hit === undefined) return 'invalid'
  const { connection, direction } = hit
  const expected = direction === 0 ? connection.original.destination : connection.reply.destination
  if (!sameIp(destinationOf(packet), expected)) return 'invalid'
  skb.nfct = connection
  skb.nfctInfo = direction === 0 ? connInfo.related : connInfo.relatedReply
  return 'ok'
}

/**
 * nf_conntrack_icmpv4_error(), nf_conntrack_icmpv6_error(): `ok` with `skb.nfct` set for an error about a known flow, `ok`
 * without for queries, `invalid` for the rest. Neighbour discovery becomes UNTRACKED.
 */
export function icmpError(packet: TrackedPacket, zone: number): TrackVerdict {
  const { skb, l4, family } = packet
  if (l4 + headerBytes > skb.tail || checksumIsWrong(packet)) return 'invalid'
  const type = readU8(skb.bytes, l4)
  if (family === 4) {
    if (type > icmpTypeMax) return 'invalid'
    return errors4.has(type) ? relate(packet, zone) : 'ok'
  }
  if (untracked6.has(type)) {
    skb.nfct = undefined
    skb.nfctInfo = connInfo.untracked
    return 'ok'
  }
  return type >= 128 ? 'ok' : relate(packet, zone)
}
