// SCTP in conntrack, as far as firewalls distinguish it: the handshake by its first chunk (nf_conntrack_proto_sctp.c).
// Verification tags and multi-homing are not checked.
import { readU8 } from '../../net/bytes.ts'
import { sctpAt, sctpChunkAt, sctpChunkType } from '../../net/sctp.ts'
import { type Connection, connStatus, directionOf, isConfirmed } from './connection.ts'
import type { TrackedPacket, TrackVerdict } from './packet.ts'
import { refresh, timeoutSeconds } from './timeouts.ts'

/** States by number; names as `conntrack -L` prints them. */
export const sctpStateNames = [
  'NONE',
  'CLOSED',
  'COOKIE_WAIT',
  'COOKIE_ECHOED',
  'ESTABLISHED',
  'SHUTDOWN_SENT',
  'SHUTDOWN_RECD',
  'SHUTDOWN_ACK_SENT',
] as const

const state = {
  none: 0,
  closed: 1,
  cookieWait: 2,
  cookieEchoed: 3,
  established: 4,
  shutdownSent: 5,
  shutdownReceived: 6,
  shutdownAckSent: 7,
} as const

function stateAfter(chunk: number, current: number, direction: 0 | 1): number {
  switch (chunk) {
    case sctpChunkType.init:
      return current <= state.closed ? state.cookieWait : current
    case sctpChunkType.initAck:
      return current
    case sctpChunkType.abort:
      return state.closed
    case sctpChunkType.shutdown:
      if (current !== state.established) return current
      return direction === 0 ? state.shutdownSent : state.shutdownReceived
    case sctpChunkType.shutdownAck:
      return current >= state.shutdownSent ? state.shutdownAckSent : current
    case sctpChunkType.cookieEcho:
      return current <= state.cookieWait ? state.cookieEchoed : current
    case sctpChunkType.cookieAck:
      return current === state.cookieEchoed ? state.established : current
    case sctpChunkType.shutdownComplete:
      return state.closed
    default:
      return current
  }
}

function seconds(current: number): number {
  switch (current) {
    case state.closed:
    case state.none:
      return timeoutSeconds.sctpClosed
    case state.established:
      return timeoutSeconds.sctpEstablished
    default:
      return timeoutSeconds.sctpHandshake
  }
}

/** nf_conntrack_sctp_packet(): a flow begins with INIT; ABORT, SHUTDOWN_COMPLETE and the like begin none. */
export function trackSctp(connection: Connection, packet: TrackedPacket, info: number): TrackVerdict {
  const { bytes, tail } = packet.skb
  const first = packet.l4 + sctpAt.payload
  if (first + sctpChunkAt.value > tail) return 'invalid'
  const chunk = readU8(bytes, first)
  if (!isConfirmed(connection) && chunk !== sctpChunkType.init && chunk !== sctpChunkType.data)
    return 'invalid'
  const before = connection.sctpState
  const after = stateAfter(chunk, before, directionOf(info))
  connection.sctpState = after
  const established = before === state.cookieEchoed && after === state.established
  if (established && directionOf(info) === 1) connection.status |= connStatus.assured
  refresh(packet.ns, connection, seconds(after))
  return 'ok'
}
