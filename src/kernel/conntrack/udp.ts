// UDP and its relatives in conntrack (nf_conntrack_proto_udp.c). Facts: linux 8.10: a stream is one that is still alive two
// seconds after it began.
import { readU16 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { udpAt } from '../../net/udp.ts'
import { second } from '../clock.ts'
import { headerSum } from '../summed.ts'
import { type Connection, connStatus, isConfirmed } from './connection.ts'
import type { TrackedPacket, TrackVerdict } from './packet.ts'
import { flowTimeout, refreshCounted } from './timeouts.ts'

const streamAge = 2 * second

/** udp_error(). The sum is that of the whole packet, whatever length its header tells (nf_ip_checksum). */
function isBroken({ ns, hook, skb, l3, l4 }: TrackedPacket): boolean {
  const { bytes, tail } = skb
  if (l4 + udpAt.payload > tail) return true
  const length = readU16(bytes, l4 + udpAt.length)
  if (length > tail - l4 || length < udpAt.payload) return true
  if (readU16(bytes, l4 + udpAt.checksum) === 0) return false
  if (hook !== 'PREROUTING' || ns.sysctls.get('net.netfilter.nf_conntrack_checksum') === 0) return false
  if (skb.unfinishedSum > 0) return false // CHECKSUM_PARTIAL
  skb.summedHeader = headerSum(bytes, l3, l4) // __skb_checksum_complete() keeps the sum of the whole packet
  return !segmentChecksumIsRight(bytes, { l3, l4, end: tail, protocol: ipProtocol.udp })
}

/** nf_conntrack_udp_packet(). */
export function trackUdp(connection: Connection, packet: TrackedPacket): TrackVerdict {
  if (packet.protocol === ipProtocol.udp && isBroken(packet)) return 'invalid'
  const { ns } = packet
  const { now } = ns.machine.clock
  if (!isConfirmed(connection)) connection.streamFrom = now + streamAge
  const seenReply = (connection.status & connStatus.seenReply) !== 0
  const stream = seenReply && now > connection.streamFrom
  const seconds = ns.sysctls.get(stream ? flowTimeout.udpStream : flowTimeout.udpUnreplied)
  refreshCounted(packet, connection, seconds)
  if (stream) connection.status |= connStatus.assured
  return 'ok'
}
