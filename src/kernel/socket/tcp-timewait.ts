// What is left of a connection that is over, in TIME_WAIT or in FIN_WAIT2 without an owner: it answers late segments and knows no
// more than numbers. tcp_minisocks.c tcp_timewait_state_process(), tcp_ipv4.c tcp_v4_timewait_ack(). RFC 9293 section 3.10.7.4.
import { tcpFlag } from '../../net/tcp.ts'
import { bornAs } from './departure.ts'
import { socketState } from './socket.ts'
import { enterTimeWait, tcpDone } from './tcp-life.ts'
import { isLimited } from './tcp-limit.ts'
import { sendReply } from './tcp-reset.ts'
import { type Arrived, dataOptions, readTimestamp } from './tcp-segment.ts'
import { seqAdd, seqAfter, seqBefore, seqDiff } from './tcp-sequence.ts'
import type { TcpSocket } from './tcp-socket.ts'
import { receiveWindow, timestampsOf } from './tcp-transmit.ts'

/** enum tcp_tw_status: taken without a word, answered with what is expected, refused, or the begin of a new connection. */
export type TimeWaitStatus = 'success' | 'ack' | 'reset' | 'syn'

function has(segment: Arrived, flag: number): boolean {
  return (segment.flags & flag) !== 0
}

/** The time that a segment says, where times were agreed on. */
function stampOf(socket: TcpSocket, segment: Arrived): number | undefined {
  return socket.timestamps ? readTimestamp(segment) : undefined
}

/** tcp_paws_reject(): the segment is older than the last one, by its timestamp. */
function isOld(socket: TcpSocket, segment: Arrived): boolean {
  const stamp = stampOf(socket, segment)
  return stamp !== undefined && socket.tsRecent !== 0 && seqDiff(socket.tsRecent, stamp) > 0
}

/** tcp_timewait_check_oow_rate_limit(). */
function outOfWindow(socket: TcpSocket, segment: Arrived): TimeWaitStatus {
  const answer = socket.state === socketState.finWait2 ? 'FinWait2' : 'TimeWait'
  return isLimited(socket, segment, answer) ? 'success' : 'ack'
}

/** tcp_in_window(). */
function inWindow(socket: TcpSocket, segment: Arrived): boolean {
  const { sequence, endSequence } = segment
  const end = seqAdd(socket.rcvNxt, receiveWindow(socket))
  if (sequence === socket.rcvNxt) return true
  if (seqAfter(endSequence, socket.rcvNxt) && seqBefore(sequence, end)) return true
  return sequence === end && sequence === endSequence
}

function lateForFinWait2(socket: TcpSocket, segment: Arrived): TimeWaitStatus {
  const { sequence, endSequence } = segment
  if (isOld(socket, segment) || !inWindow(socket, segment)) return outOfWindow(socket, segment)
  if (has(segment, tcpFlag.rst)) {
    tcpDone(socket, undefined)
    return 'success'
  }
  if (has(segment, tcpFlag.syn) && !seqBefore(sequence, socket.rcvNxt)) return 'reset'
  const says = seqAfter(endSequence, socket.rcvNxt) && endSequence !== sequence
  if (!has(segment, tcpFlag.ack) || !says) return 'success'
  if (!has(segment, tcpFlag.fin) || endSequence !== seqAdd(socket.rcvNxt, 1)) return 'reset'
  socket.rcvNxt = endSequence
  socket.tsRecent = stampOf(socket, segment) ?? socket.tsRecent
  enterTimeWait(socket, socketState.timeWait)
  return 'ack'
}

/** tcp_timewait_state_process() for a segment to such a connection. */
export function lateSegment(socket: TcpSocket, segment: Arrived): TimeWaitStatus {
  if (socket.state === socketState.finWait2) return lateForFinWait2(socket, segment)
  const { sequence, endSequence } = segment
  const old = isOld(socket, segment)
  const rst = has(segment, tcpFlag.rst)
  const stamp = stampOf(socket, segment)
  if (!old && sequence === socket.rcvNxt && (sequence === endSequence || rst)) {
    if (rst) tcpDone(socket, undefined)
    else enterTimeWait(socket, socketState.timeWait)
    socket.tsRecent = stamp ?? socket.tsRecent
    return 'success'
  }
  if (has(segment, tcpFlag.syn) && !rst && !has(segment, tcpFlag.ack) && !old) {
    const newer = stamp !== undefined && seqDiff(socket.tsRecent, stamp) < 0
    if (newer || seqAfter(sequence, socket.rcvNxt)) return 'syn'
  }
  if (rst) return 'success'
  if (old || has(segment, tcpFlag.ack)) enterTimeWait(socket, socketState.timeWait)
  return outOfWindow(socket, segment)
}

/** tcp_v4_timewait_ack(), tcp_v6_timewait_ack(): with the mark and TOS of the connection, but not its TTL. */
export function answerLate(socket: TcpSocket, segment: Arrived, family: 4 | 6): void {
  sendReply(segment.skb, family, segment, {
    sequence: socket.sndNxt,
    acknowledgement: socket.rcvNxt,
    flags: tcpFlag.ack,
    window: Math.min(0xffff, receiveWindow(socket) >> socket.rcvScale),
    options: dataOptions(socket.tsRecent === 0 ? undefined : timestampsOf(socket), []),
    tos: socket.options.tos,
    mark: socket.options.mark,
    transparent: socket.transparent,
    speaker: socket,
    born: (reply) => bornAs(reply, socket.label, 'ack'),
  })
}
