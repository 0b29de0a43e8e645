// What may leave next, and whether it may: the windows, Nagle, pacing and the small queues of this host. tcp_output.c
// tcp_tso_autosize(), tcp_cwnd_test(), tcp_nagle_check(), tcp_pacing_check(), tcp_small_queue_check().
import { gsoPayloadMax } from '../gso.ts'
import { sendTruesize } from './send-memory.ts'
import { seqAdd, seqAfter, seqDiff } from './tcp-sequence.ts'
import type { SendPiece, TcpSocket } from './tcp-socket.ts'
import { pacingRate } from './tcp-transmit.ts'

/** Sequence number behind a piece. */
export function pieceEnd(piece: SendPiece): number {
  return seqAdd(piece.sequence, piece.data.length + (piece.fin ? 1 : 0))
}

/** RFC 896 as Linux does it (tcp_nagle_check): one small segment at a time, unless it ends the stream or TCP_NODELAY is set. */
function heldByNagle(socket: TcpSocket, piece: SendPiece, mss: number): boolean {
  if (piece.fin || piece.data.length >= mss || socket.options.noDelay) return false
  return seqAfter(socket.sndSmall, socket.sndUna) && !seqAfter(socket.sndSmall, socket.sndNxt)
}

/** tcp_min_tso_segs, and the round trip in units of 512 us that halves what a packet may hold (tcp_tso_rtt_log). */
const large = { fewest: 2, roundTrip: 512_000, whole: 65_536 } as const

/** tcp_tso_autosize(): a millisecond at the connection's rate, and more for a near peer; in segments. */
function autosize(socket: TcpSocket, mss: number): number {
  const near = large.whole / 2 ** Math.min(64, Math.floor(socket.minRtt / large.roundTrip))
  const bytes = Math.min(gsoPayloadMax, Math.floor(pacingRate(socket) / smallQueue.shift) + Math.floor(near))
  return Math.max(large.fewest, Math.floor(bytes / mss))
}

/**
 * What may leave as one packet: as many segments as the windows and Nagle allow, at most half the congestion window at
 * once (tcp_cwnd_test(), tcp_mss_split_point()) and what fits into a large packet. Deferral (tcp_tso_should_defer) is not
 * modelled: an acknowledgement lets go what it makes room for.
 */
export function nextRun(
  socket: TcpSocket,
  from: number,
  { flying, mss }: { readonly flying: number; readonly mss: number },
): readonly SendPiece[] {
  const quota = Math.min(Math.max(socket.cwnd >> 1, 1), socket.cwnd - flying)
  const most = Math.min(quota, autosize(socket, mss))
  const run: SendPiece[] = []
  for (const piece of socket.pieces.slice(from, from + Math.max(0, most))) {
    if (heldByNagle(socket, piece, mss)) break
    if (seqDiff(pieceEnd(piece), socket.sndUna) > socket.sndWnd + (piece.fin ? 1 : 0)) break
    const size = run[0]?.data.length ?? piece.data.length
    if (piece.data.length > size || piece.data.length === 0) return run.length === 0 ? [piece] : run
    run.push(piece)
    if (piece.data.length < size || piece.fin) break
  }
  return run
}

/** tcp_pacing_check(): without an fq the connection itself waits for the time of its next segment. */
export function heldByPacing(socket: TcpSocket, push: (socket: TcpSocket) => void): boolean {
  const { clock } = socket.ns.machine
  if (socket.departure <= clock.now) return false
  if (socket.pacingTimer?.run === undefined) {
    socket.pacingTimer = clock.after(socket.departure - clock.now, () => push(socket))
  }
  return true
}

/** tcp_limit_output_bytes of 6.18, and the millisecond of data that sk_pacing_shift stands for. */
const smallQueue = { most: 4_194_304, shift: 1024 } as const

/** tcp_small_queue_check(): enough of this connection waits on this host; it goes on when some of that has left. */
export function heldBySmallQueue(
  socket: TcpSocket,
  run: readonly SendPiece[],
  push: (socket: TcpSocket) => void,
): boolean {
  const two = 2 * sendTruesize(run.reduce((bytes, { data }) => bytes + data.length, 0))
  const limit = Math.min(smallQueue.most, Math.max(two, pacingRate(socket) / smallQueue.shift))
  if (socket.sendMemory <= limit) return false
  socket.sendSpace = () => push(socket)
  return true
}
