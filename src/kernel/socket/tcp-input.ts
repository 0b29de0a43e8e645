// A segment arrives: which connection it belongs to and what its state makes of it. tcp_ipv4.c tcp_v4_rcv(), tcp_input.c
// tcp_rcv_state_process(), tcp_validate_incoming(). Before changing this file, read RFC 9293 section 3.10.7 and RFC 5961.
import { readU16 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { checkTcp, tcpAt, tcpFlag, tcpHeaderLength } from '../../net/tcp.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { count } from '../counters.ts'
import { pktType, type Skb } from '../skb.ts'
import { delivered, destinationOf, dropped, sourceOf } from './arrival.ts'
import { mayReceive } from './cgroup-skb.ts'
import { lookupTcp, type Tuple } from './lookup.ts'
import { type Socket, socketState } from './socket.ts'
import { processAck, sendAllowed } from './tcp-ack.ts'
import { checkAck, enterQuickAck, takeData } from './tcp-data.ts'
import { enterTimeWait, tcpDone } from './tcp-life.ts'
import { isLimited, noteDuplicate, repeats, sendChallenge } from './tcp-limit.ts'
import { acceptSyn, completeAccept, processSynSent, repeatSynAck } from './tcp-open.ts'
import { fireIfDue } from './tcp-output.ts'
import { sendReset } from './tcp-reset.ts'
import { type Arrived, readSegment, readTimestamp } from './tcp-segment.ts'
import { seqAdd, seqAfter, seqBefore } from './tcp-sequence.ts'
import { asTcp, type TcpSocket, tcpTime } from './tcp-socket.ts'
import { answerLate, lateSegment } from './tcp-timewait.ts'
import { receiveWindow, sendAck } from './tcp-transmit.ts'

/** What became of a segment: taken by the connection, answered with RST, or dropped for a reason. */
type Fate = 'taken' | 'reset' | KernelDropReason

function has(segment: Arrived, flag: number): boolean {
  return (segment.flags & flag) !== 0
}

/** tcp_v4_rcv(), tcp_v6_rcv(). Owns the packet. */
export function tcpArrives(skb: Skb, family: 4 | 6): void {
  const { ns } = skb.dev
  if (skb.pktType !== pktType.host) {
    dropped(skb, 'SKB_DROP_REASON_OTHERHOST')
    return
  }
  count(ns, 'TcpInSegs')
  if (checkTcp(skb.bytes, skb.data, skb.tail) !== undefined) {
    // only an impossible data offset counts; what is cut off is discarded without a count (tcp_v4_rcv)
    if (skb.length >= tcpAt.options && tcpHeaderLength(skb.bytes, skb.data) < tcpAt.options)
      count(ns, 'TcpInErrs')
    dropped(skb, 'SKB_DROP_REASON_PKT_TOO_SMALL')
    return
  }
  const place = { l3: skb.networkHeader, l4: skb.data, end: skb.tail, protocol: ipProtocol.tcp }
  if (!segmentChecksumIsRight(skb.bytes, place)) {
    count(ns, 'TcpInCsumErrors')
    count(ns, 'TcpInErrs')
    dropped(skb, 'SKB_DROP_REASON_TCP_CSUM')
    return
  }
  const tuple: Tuple = {
    local: destinationOf(skb, family),
    localPort: readU16(skb.bytes, skb.data + tcpAt.destination),
    remote: sourceOf(skb, family),
    remotePort: readU16(skb.bytes, skb.data + tcpAt.source),
    ifindex: skb.dev.ifindex,
  }
  dispatch(skb, tuple, family)
}

function dispatch(skb: Skb, tuple: Tuple, family: 4 | 6): void {
  const segment = readSegment(skb)
  const assigned: Socket | undefined =
    skb.sk?.protocol === ipProtocol.tcp && skb.sk.ns === skb.dev.ns ? skb.sk : undefined
  const found = assigned ?? lookupTcp(skb.dev.ns, tuple)
  if (found === undefined) {
    sendReset(skb, family, segment)
    dropped(skb, 'SKB_DROP_REASON_NO_SOCKET')
    return
  }
  const socket = asTcp(found)
  const asks = socket.ns.sockets.skbHooks !== undefined && socket.state !== socketState.timeWait
  if (asks && !mayReceive(socket, skb)) return
  const bare = skb.record
  if (willBeTaken(socket, segment)) delivered(skb, 'tcp', tuple.localPort, socket.program)
  if (socket.waiting === undefined) finish(socket, segment, { skb, tuple, family, bare: bare !== undefined })
  else socket.waiting.push(() => finish(socket, segment, { skb, tuple, family, bare: bare !== undefined }))
}

/** tcp_v4_do_rcv(), at once or when the system call that holds the socket's lock gives it back (sk_backlog_rcv). */
function finish(
  socket: TcpSocket,
  segment: Arrived,
  from: { readonly skb: Skb; readonly tuple: Tuple; readonly family: 4 | 6; readonly bare: boolean },
): void {
  const { skb, tuple, family, bare } = from
  const fate = process(socket, segment, tuple)
  if (fate === 'taken') return
  if (fate === 'reset') sendReset(skb, family, segment, socket)
  if (bare && !willBeTaken(socket, segment)) {
    dropped(skb, fate === 'reset' ? 'SKB_DROP_REASON_TCP_FLAGS' : fate)
  }
}

/**
 * Whether the socket's own code sees the segment as part of its conversation (the socket filter's place): everything but
 * what a listener or a connection in TIME_WAIT refuses.
 */
function willBeTaken(socket: TcpSocket, segment: Arrived): boolean {
  if (socket.state !== socketState.listen) return true
  return has(segment, tcpFlag.syn) && !has(segment, tcpFlag.ack | tcpFlag.rst | tcpFlag.fin)
}

function process(socket: TcpSocket, segment: Arrived, tuple: Tuple): Fate {
  switch (socket.state) {
    case socketState.listen:
      return processListen(socket, segment, tuple)
    case socketState.synSent: {
      const answer = processSynSent(socket, segment)
      return answer === 'ignored' ? 'SKB_DROP_REASON_TCP_FLAGS' : answer
    }
    case socketState.timeWait:
      return processLate(socket, segment, tuple)
    case socketState.synReceived:
      return processSynReceived(socket, segment, tuple)
    case socketState.finWait2:
      return socket.orphan && socket.lifeTimer !== undefined
        ? processLate(socket, segment, tuple)
        : processConnected(socket, segment)
    default:
      return processConnected(socket, segment)
  }
}

function processListen(socket: TcpSocket, segment: Arrived, tuple: Tuple): Fate {
  if (has(segment, tcpFlag.ack)) return 'reset'
  if (has(segment, tcpFlag.rst)) return 'SKB_DROP_REASON_TCP_RESET'
  if (!has(segment, tcpFlag.syn)) return 'SKB_DROP_REASON_TCP_FLAGS'
  if (has(segment, tcpFlag.fin)) return 'SKB_DROP_REASON_TCP_FLAGS'
  acceptSyn(socket, segment, tuple)
  return 'taken'
}

/** Timers of a tick run before its packets: the half-open connection may end before the SYN that would prolong it. */
function takeRepeatedSyn(socket: TcpSocket, segment: Arrived, tuple: Tuple): Fate {
  fireIfDue(socket)
  if (socket.state !== socketState.close) {
    if (!isLimited(socket, segment, 'SynRecv')) repeatSynAck(socket)
    return 'taken'
  }
  const next = lookupTcp(socket.ns, tuple)
  return next === undefined ? 'reset' : process(asTcp(next), segment, tuple)
}

/** tcp_check_req(): half-open, the SYN-ACK is out. */
function processSynReceived(socket: TcpSocket, segment: Arrived, tuple: Tuple): Fate {
  if (has(segment, tcpFlag.rst)) {
    if (segment.sequence !== socket.rcvNxt) return 'SKB_DROP_REASON_TCP_INVALID_SEQUENCE'
    if (socket.listener !== undefined) count(socket.ns, 'TcpAttemptFails')
    tcpDone(socket, socket.listener === undefined ? 'ECONNREFUSED' : undefined)
    return 'taken'
  }
  if (has(segment, tcpFlag.syn) && segment.sequence === socket.irs && !has(segment, tcpFlag.ack)) {
    return takeRepeatedSyn(socket, segment, tuple)
  }
  if (!has(segment, tcpFlag.ack)) return 'SKB_DROP_REASON_TCP_FLAGS'
  if (segment.acknowledgement !== seqAdd(socket.iss, 1)) return 'reset'
  completeAccept(socket, segment)
  return processConnected(socket, segment)
}

/** tcp_v4_rcv(), do_time_wait: a SYN may begin a new connection with whoever listens. */
function processLate(socket: TcpSocket, segment: Arrived, tuple: Tuple): Fate {
  const status = lateSegment(socket, segment)
  if (status === 'ack') answerLate(socket, segment, typeof tuple.local === 'number' ? 4 : 6)
  if (status === 'success' || status === 'ack') return 'taken'
  tcpDone(socket, undefined)
  const next = status === 'syn' ? lookupTcp(socket.ns, tuple) : undefined
  return next === undefined ? 'reset' : process(asTcp(next), segment, tuple)
}

/** Whether the segment touches the window (tcp_sequence). */
function inWindow(socket: TcpSocket, segment: Arrived): boolean {
  if (seqBefore(segment.endSequence, socket.rcvWup)) return false
  return !seqAfter(segment.sequence, seqAdd(socket.rcvNxt, receiveWindow(socket)))
}

/** A SYN where none can be is answered with a challenge; only tcp_rcv_established() counts it. */
function challengeSyn(socket: TcpSocket): void {
  if (socket.state === socketState.established) count(socket.ns, 'TcpInErrs')
  sendChallenge(socket)
}

/** What lies outside of the window is answered with what is expected (tcp_send_dupack); a SYN with a challenge. */
function answerOutOfWindow(socket: TcpSocket, segment: Arrived): void {
  if (has(segment, tcpFlag.syn)) return challengeSyn(socket)
  if (isLimited(socket, segment, 'Seq')) return
  if (repeats(socket, segment)) {
    enterQuickAck(socket)
    noteDuplicate(socket, segment)
  }
  sendAck(socket)
}

/** tcp_validate_incoming(): undefined when the segment may go on. */
function validate(socket: TcpSocket, segment: Arrived): Fate | undefined {
  const rst = has(segment, tcpFlag.rst)
  if (!inWindow(socket, segment)) {
    if (!rst) answerOutOfWindow(socket, segment)
    return 'SKB_DROP_REASON_TCP_INVALID_SEQUENCE'
  }
  if (rst) {
    if (segment.sequence !== socket.rcvNxt) sendChallenge(socket)
    else tcpDone(socket, socket.state === socketState.closeWait ? 'EPIPE' : resetError(socket))
    return 'taken'
  }
  if (!has(segment, tcpFlag.syn)) return undefined
  challengeSyn(socket)
  return 'SKB_DROP_REASON_TCP_INVALID_SYN'
}

/** An orphan has nobody to tell. */
function resetError(socket: TcpSocket): 'ECONNRESET' | undefined {
  return socket.orphan ? undefined : 'ECONNRESET'
}

/** Data for a connection that its owner has closed: tcp_rcv_state_process, TCPAbortOnData. */
function isDataForOrphan(socket: TcpSocket, segment: Arrived): boolean {
  return socket.orphan && segment.end > segment.data && seqAfter(segment.endSequence, socket.rcvNxt)
}

/** ESTABLISHED and all states behind it. */
function processConnected(socket: TcpSocket, segment: Arrived): Fate {
  const refused = validate(socket, segment)
  if (refused !== undefined) return refused
  if (!has(segment, tcpFlag.ack)) return 'SKB_DROP_REASON_TCP_FLAGS'
  if (processAck(socket, segment) === 'unsent') {
    // only tcp_rcv_state_process() answers, not tcp_rcv_established()
    if (socket.state !== socketState.established) sendChallenge(socket)
    return 'SKB_DROP_REASON_TCP_INVALID_SEQUENCE'
  }
  const stamp = readTimestamp(segment)
  if (stamp !== undefined && !seqAfter(segment.sequence, socket.rcvWup)) socket.tsRecent = stamp
  if (isDataForOrphan(socket, segment)) {
    tcpDone(socket, undefined)
    return 'reset'
  }
  if (finAcknowledged(socket) && advanceAfterFin(socket) === 'over') return 'taken'
  if (receives(socket)) takeData(socket, segment)
  sendAllowed(socket)
  checkAck(socket)
  return 'taken'
}

/** States in which the peer may still send. */
function receives(socket: TcpSocket): boolean {
  const { state } = socket
  return state === socketState.established || state === socketState.finWait1 || state === socketState.finWait2
}

function finAcknowledged(socket: TcpSocket): boolean {
  return socket.finQueued && socket.sndUna === socket.writeSeq
}

/** Our FIN has arrived (RFC 9293 section 3.10.7.4, fifth). */
function advanceAfterFin(socket: TcpSocket): 'on' | 'over' {
  switch (socket.state) {
    case socketState.finWait1:
      socket.state = socketState.finWait2
      if (socket.orphan) waitForFin(socket)
      return 'on'
    case socketState.closing:
      enterTimeWait(socket, socketState.timeWait)
      return 'over'
    case socketState.lastAck:
      tcpDone(socket, undefined)
      return 'over'
    default:
      return 'on'
  }
}

/** FIN_WAIT2 of an orphan ends after tcp_fin_timeout. */
export function waitForFin(socket: TcpSocket): void {
  const seconds = socket.ns.sysctls.get('net.ipv4.tcp_fin_timeout')
  enterTimeWait(socket, socketState.finWait2, Math.min(seconds * 1e9, tcpTime.timeWait))
}
