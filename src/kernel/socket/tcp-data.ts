// Received bytes: in order, early or late, and when they are acknowledged. tcp_input.c tcp_data_queue(), tcp_fin(),
// __tcp_ack_snd_check(). Before changing this file, read RFC 9293 section 3.10.7.4 (seventh, eighth) and RFC 5681 4.2.
import { tcpFlag } from '../../net/tcp.ts'
import { wake } from './base.ts'
import { socketState } from './socket.ts'
import { enterTimeWait, tcpTimer } from './tcp-life.ts'
import { noteDuplicate } from './tcp-limit.ts'
import type { Arrived } from './tcp-segment.ts'
import { seqAdd, seqAfter, seqBefore, seqDiff } from './tcp-sequence.ts'
import { type TcpSocket, tcpTime } from './tcp-socket.ts'
import { noData, receiveWindow, sendAck } from './tcp-transmit.ts'

/** TCP_MAX_QUICKACKS */
const quickAcksMax = 16

/** inet_csk_in_pingpong_mode: acknowledgements wait for data to ride on. */
function inConversation(socket: TcpSocket): boolean {
  return socket.pingpong >= 1
}

/** tcp_incr_quickack(). */
function allowQuickAcks(socket: TcpSocket): void {
  const wanted = Math.max(2, Math.floor(socket.rcvWnd / (2 * socket.rcvMss)))
  socket.quickAcks = Math.max(socket.quickAcks, Math.min(wanted, quickAcksMax))
}

/** tcp_enter_quickack_mode(): the next segments are acknowledged at once. */
export function enterQuickAck(socket: TcpSocket): void {
  allowQuickAcks(socket)
  socket.pingpong = 0
  socket.ato = tcpTime.delayedAck
}

/** tcp_event_data_recv(): how patient to be with the next acknowledgement. */
function dataEvent(socket: TcpSocket, bytes: number): void {
  const { now } = socket.ns.machine.clock
  socket.ackScheduled = true
  if (bytes >= socket.rcvMss) socket.rcvMss = Math.min(bytes, 65_535)
  if (socket.ato === 0) {
    allowQuickAcks(socket)
    socket.ato = tcpTime.delayedAck
  } else {
    const passed = now - socket.lastReceive
    if (passed <= tcpTime.delayedAck / 2) socket.ato = socket.ato / 2 + tcpTime.delayedAck / 2
    else if (passed < socket.ato) socket.ato = Math.min(socket.ato / 2 + passed, socket.rto)
    else if (passed > socket.rto) allowQuickAcks(socket)
  }
  socket.lastReceive = now
}

function keep(socket: TcpSocket, data: Uint8Array): void {
  if (data.length === 0) return
  socket.received.push(data)
  socket.receivedBytes += data.length
  socket.rcvNxt = seqAdd(socket.rcvNxt, data.length)
}

/** Puts a piece that came too early into its place; what is there already is not kept twice. */
function keepEarly(socket: TcpSocket, sequence: number, data: Uint8Array, fin: boolean): void {
  const at = socket.early.findIndex((piece) => !seqBefore(piece.sequence, sequence))
  const there = at === -1 ? undefined : socket.early[at]
  if (there !== undefined && there.sequence === sequence && there.data.length >= data.length) return
  if (at === -1) socket.early.push({ sequence, data, fin })
  else socket.early.splice(at, 0, { sequence, data, fin })
}

/** tcp_ofo_queue(): what was early is now in order. Answers whether a FIN was among it. */
function takeEarly(socket: TcpSocket): boolean {
  for (;;) {
    const piece = socket.early[0]
    if (piece === undefined || seqAfter(piece.sequence, socket.rcvNxt)) return false
    socket.early.shift()
    const known = seqDiff(socket.rcvNxt, piece.sequence)
    if (known < piece.data.length) keep(socket, piece.data.subarray(known))
    if (piece.fin) return true
  }
}

/** tcp_fin(): the peer has said all. */
function takeFin(socket: TcpSocket): void {
  socket.rcvNxt = seqAdd(socket.rcvNxt, 1)
  socket.peerClosed = true
  socket.ackScheduled = true
  socket.early.length = 0
  switch (socket.state) {
    case socketState.synReceived:
    case socketState.established:
      socket.state = socketState.closeWait
      socket.pingpong = Math.max(socket.pingpong, 1)
      break
    case socketState.finWait1:
      sendAck(socket)
      socket.state = socketState.closing
      break
    case socketState.finWait2:
      sendAck(socket)
      enterTimeWait(socket, socketState.timeWait)
      break
    default:
      break
  }
}

/** tcp_data_queue() for a segment that lies in the window. */
export function takeData(socket: TcpSocket, segment: Arrived): void {
  const fin = (segment.flags & tcpFlag.fin) !== 0
  const length = segment.end - segment.data
  if (length === 0 && !fin) return
  if (!seqAfter(segment.endSequence, socket.rcvNxt)) {
    noteDuplicate(socket, segment)
    enterQuickAck(socket)
    socket.ackScheduled = true
    return
  }
  const data = length === 0 ? noData : segment.skb.bytes.slice(segment.data, segment.end)
  if (length > 0 && segment.skb.record !== undefined) socket.newest = segment.skb
  if (seqAfter(segment.sequence, socket.rcvNxt)) {
    enterQuickAck(socket)
    socket.ackScheduled = true
    keepEarly(socket, segment.sequence, data, fin)
    return
  }
  const known = seqDiff(socket.rcvNxt, segment.sequence)
  const room = receiveWindow(socket)
  const fresh = data.subarray(known, known + room)
  if (fresh.length > 0) {
    keep(socket, fresh)
    dataEvent(socket, segment.skb.gsoSize > 0 ? segment.skb.gsoSize : fresh.length)
  }
  const complete = fresh.length === data.length - known
  if ((fin && complete) || takeEarly(socket)) takeFin(socket)
  wake(socket)
}

/** tcp_ack_snd_check(): now, or with the delayed acknowledgement timer. */
export function checkAck(socket: TcpSocket): void {
  if (!socket.ackScheduled || socket.state === socketState.close) return
  const unacknowledged = seqDiff(socket.rcvNxt, socket.rcvWup)
  const quick = socket.quickAcks > 0 && !inConversation(socket)
  if (unacknowledged > socket.rcvMss || quick || socket.early.length > 0) {
    sendAck(socket)
    return
  }
  if (socket.ackTimer !== undefined) return
  // tcp_send_delayed_ack(): a FIN before any data finds no patience yet, and waits for the next tick
  const wait = Math.min(socket.ato, tcpTime.rtoMin)
  socket.ackTimer = tcpTimer(socket, wait, () => {
    socket.ackTimer = undefined
    if (!socket.ackScheduled) return
    if (inConversation(socket)) {
      socket.pingpong = 0
      socket.ato = tcpTime.delayedAck
    }
    sendAck(socket)
  })
}
