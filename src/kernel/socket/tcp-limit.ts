// Answers to segments that make no sense, at most one in a while, so that two confused ends do not answer each other for ever:
// tcp_input.c tcp_oow_rate_limited(), tcp_send_challenge_ack(), tcp_send_dupack(). RFC 5961 section 7.
import { tcpFlag } from '../../net/tcp.ts'
import { millisecond } from '../clock.ts'
import { count } from '../counters.ts'
import type { Arrived } from './tcp-segment.ts'
import { seqAfter, seqBefore } from './tcp-sequence.ts'
import type { TcpSocket } from './tcp-socket.ts'
import { sendAck } from './tcp-transmit.ts'

/** What would have been answered: the end of the counter's name. */
type Skipped = 'SynRecv' | 'Seq' | 'FinWait2' | 'TimeWait' | 'Challenge'

/** __tcp_oow_rate_limited(): whether the last answer of this kind is less than tcp_invalid_ratelimit milliseconds old. */
function tooSoon(socket: TcpSocket, answer: Skipped): boolean {
  const { now } = socket.ns.machine.clock
  const pause = socket.ns.sysctls.get('net.ipv4.tcp_invalid_ratelimit') * millisecond
  if (socket.lastOutOfWindow >= 0 && now - socket.lastOutOfWindow < pause) {
    count(socket.ns, `TcpExtTCPACKSkipped${answer}`)
    return true
  }
  socket.lastOutOfWindow = now
  return false
}

/** tcp_oow_rate_limited(): segments with data, but for SYNs, are always answered. */
export function isLimited(socket: TcpSocket, segment: Arrived, answer: Skipped): boolean {
  const syn = (segment.flags & tcpFlag.syn) !== 0
  if (segment.endSequence !== segment.sequence && !syn) return false
  return tooSoon(socket, answer)
}

/** tcp_send_challenge_ack(). */
export function sendChallenge(socket: TcpSocket): void {
  if (!tooSoon(socket, 'Challenge')) sendAck(socket)
}

/** tcp_dsack_set(): the next segment tells the peer which bytes came twice (RFC 2883). */
export function noteDuplicate(socket: TcpSocket, segment: Arrived): void {
  if (!socket.sack) return
  const { sequence, endSequence } = segment
  const end = seqAfter(endSequence, socket.rcvNxt) ? socket.rcvNxt : endSequence
  socket.duplicate = { start: sequence, end }
}

/** Whether a segment repeats what is there already, in part at least. */
export function repeats(socket: TcpSocket, segment: Arrived): boolean {
  return segment.endSequence !== segment.sequence && seqBefore(segment.sequence, socket.rcvNxt)
}
