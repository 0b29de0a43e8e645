// GRE in conntrack (nf_conntrack_proto_gre.c): a flow by its addresses, and for version 1 (PPTP) by the call that the packet
// is for. No PPTP helper is modelled, so nobody knows the peer's call: the source key is 0.
import { readU16 } from '../../net/bytes.ts'
import { type Connection, connStatus, isConfirmed } from './connection.ts'
import type { TrackedPacket, TrackVerdict } from './packet.ts'
import { flowTimeout, refreshCounted } from './timeouts.ts'

const versionMask = 0x0007
const pptpVersion = 1
/** struct pptp_gre_header: flags, protocol, payload length, call id. */
const callIdAt = 6

/** gre_pkt_to_tuple(): the key of the destination; 0 for a plain GRE packet. */
export function greKey(bytes: Uint8Array, l4: number, end: number): number {
  if (l4 + callIdAt + 2 > end || (readU16(bytes, l4) & versionMask) !== pptpVersion) return 0
  return readU16(bytes, l4 + callIdAt)
}

/** nf_conntrack_gre_packet(): traffic both ways makes a stream. A flow keeps the timeouts of its first packet. */
export function trackGre(connection: Connection, packet: TrackedPacket): TrackVerdict {
  const { sysctls } = packet.ns
  if (!isConfirmed(connection)) {
    connection.gre = {
      unreplied: sysctls.get(flowTimeout.greUnreplied),
      stream: sysctls.get(flowTimeout.greStream),
    }
  }
  const stream = (connection.status & connStatus.seenReply) !== 0
  refreshCounted(packet, connection, connection.gre?.[stream ? 'stream' : 'unreplied'] ?? 0)
  if (stream) connection.status |= connStatus.assured
  return 'ok'
}
