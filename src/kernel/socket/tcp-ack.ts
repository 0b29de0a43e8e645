// What an acknowledgement does to what was sent: tcp_input.c tcp_ack(), tcp_clean_rtx_queue(), tcp_sacktag_write_queue().
// Before changing this file, read RFC 9293 section 3.10.7.4 (fifth, check the ACK field) and RFC 5681.
import { readU8, readU32 } from '../../net/bytes.ts'
import { findTcpOption, tcpOptionKind } from '../../net/tcp-options.ts'
import { confirmNeighbour } from '../neighbour.ts'
import { pushPending, rearm, retransmitFirst } from './tcp-output.ts'
import { resendLost } from './tcp-path-mtu.ts'
import { sampleRoundTrip } from './tcp-round-trip.ts'
import { pieceEnd } from './tcp-run.ts'
import type { Arrived } from './tcp-segment.ts'
import { seqAfter, seqBefore, seqDiff } from './tcp-sequence.ts'
import type { TcpSocket } from './tcp-socket.ts'

/** `new`: it acknowledges something; `old`: nothing new; `unsent`: it acknowledges what was never sent. */
export type AckVerdict = 'new' | 'old' | 'unsent'

/** Takes acknowledged pieces off the queue and measures the round trip of those that were sent once (Karn). */
function cleanQueue(socket: TcpSocket, acknowledgement: number): number {
  const { now } = socket.ns.machine.clock
  let cleaned = 0
  for (;;) {
    const piece = socket.pieces[0]
    if (piece === undefined || piece.sentAt < 0) break
    if (seqAfter(pieceEnd(piece), acknowledgement)) {
      trimPiece(socket, acknowledgement)
      break
    }
    if (piece.retries === 0) sampleRoundTrip(socket, now - piece.sentAt)
    socket.pieces.shift()
    cleaned += 1
  }
  return cleaned
}

/** Part of the first piece was acknowledged: only the rest is kept (tcp_trim_head). */
function trimPiece(socket: TcpSocket, acknowledgement: number): void {
  const piece = socket.pieces[0]
  if (piece === undefined) return
  const done = seqDiff(acknowledgement, piece.sequence)
  if (done <= 0 || done > piece.data.length) return
  socket.pieces[0] = { ...piece, sequence: acknowledgement, data: piece.data.slice(done) }
}

/** Marks pieces that lie in a SACK block. */
function markSacked(socket: TcpSocket, segment: Arrived): void {
  if (!socket.sack) return
  const { bytes } = segment.skb
  const at = findTcpOption(bytes, segment.l4, tcpOptionKind.sack)
  if (at < 0) return
  const end = at + readU8(bytes, at + 1)
  for (let block = at + 2; block + 8 <= end; block += 8) {
    const from = readU32(bytes, block)
    const to = readU32(bytes, block + 4)
    for (const piece of socket.pieces) {
      if (piece.sentAt >= 0 && !seqBefore(piece.sequence, from) && !seqAfter(pieceEnd(piece), to)) {
        piece.sacked = true
      }
    }
  }
}

/** The peer's window (tcp_ack_update_window): only from segments that are not older than the last that told it. */
function updateWindow(socket: TcpSocket, segment: Arrived): boolean {
  const window = segment.window * 2 ** socket.sndScale
  const newer =
    seqAfter(segment.acknowledgement, socket.sndUna) ||
    seqAfter(segment.sequence, socket.sndWl1) ||
    (segment.sequence === socket.sndWl1 && window > socket.sndWnd)
  if (!newer) return false
  const changed = window !== socket.sndWnd
  socket.sndWnd = window
  socket.sndWl1 = segment.sequence
  socket.sndWl2 = segment.acknowledgement
  return changed
}

/** A third equal acknowledgement says that a segment was lost (RFC 5681 section 3.2). */
function duplicate(socket: TcpSocket): void {
  socket.dupAcks += 1
  if (socket.dupAcks !== 3) return
  socket.ssthresh = Math.max(2, Math.floor(socket.cwnd / 2))
  socket.cwnd = socket.ssthresh
  retransmitFirst(socket)
}

/** sk_dst_confirm(): what was sent has arrived, so the neighbour needs no probe. */
function confirmNextHop(socket: TcpSocket): void {
  const { route } = socket
  if (route === undefined || route.local || !route.device.arp) return
  confirmNeighbour(route.device, route.gateway ?? socket.remoteAddress)
}

/** tcp_ack(). The caller has checked that the segment carries ACK and lies in the window. */
export function processAck(socket: TcpSocket, segment: Arrived): AckVerdict {
  const { acknowledgement } = segment
  if (seqAfter(acknowledgement, socket.sndNxt)) return 'unsent'
  if (seqBefore(acknowledgement, socket.sndUna)) return 'old'
  markSacked(socket, segment)
  const advanced = acknowledgement !== socket.sndUna
  const windowChanged = updateWindow(socket, segment)
  if (!advanced) {
    const pure = segment.data === segment.end && !windowChanged
    if (pure && socket.pieces.some((piece) => piece.sentAt >= 0)) duplicate(socket)
    return 'old'
  }
  socket.sndUna = acknowledgement
  socket.dupAcks = 0
  socket.probing = false
  const cleaned = cleanQueue(socket, acknowledgement)
  if (socket.retransmits > 0) {
    socket.retransmits = 0
    if (socket.srtt >= 0) socket.rto = Math.max(socket.srtt + socket.rttvar, 0)
  }
  socket.softError = undefined
  confirmNextHop(socket)
  if (socket.cwnd < socket.ssthresh) socket.cwnd += cleaned
  rearm(socket)
  return 'new'
}

/** After an acknowledgement or a window update: send what may go now (tcp_data_snd_check). */
export function sendAllowed(socket: TcpSocket): void {
  if (socket.pieces.length === 0) return
  if (socket.pieces[0]?.lost === true) resendLost(socket)
  pushPending(socket)
}
