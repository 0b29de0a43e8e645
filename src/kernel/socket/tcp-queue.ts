// The stream of a socket as pieces that wait to be sent, each a segment: tcp.c tcp_sendmsg_locked(), tcp_output.c tcp_send_fin().
import { seqAdd } from './tcp-sequence.ts'
import type { SendPiece, TcpSocket } from './tcp-socket.ts'
import { currentMss, noData } from './tcp-transmit.ts'

/** What a program says of the bytes it writes: the name of their packets, and the packet that made it write. */
export interface SentAs {
  readonly name?: string
  readonly cause?: string
}

function addPiece(socket: TcpSocket, data: Uint8Array, { name, cause = '' }: SentAs = {}): SendPiece {
  socket.piecesNamed += 1
  const word = socket.role === 'client' ? 'data' : 'rdata'
  const piece: SendPiece = {
    sequence: socket.writeSeq,
    data,
    fin: false,
    push: false,
    sentAt: -1,
    retries: 0,
    sacked: false,
    lost: false,
    joined: false,
    name: name ?? `${word}${socket.piecesNamed}`,
    cause,
  }
  socket.pieces.push(piece)
  socket.writeSeq = seqAdd(socket.writeSeq, data.length)
  return piece
}

/** tcp_sendmsg(): cuts bytes into segments; the last one of a call carries PSH. */
export function queueData(socket: TcpSocket, data: Uint8Array, as: SentAs = {}): void {
  const mss = currentMss(socket)
  let at = 0
  const last = socket.pieces.at(-1)
  if (last !== undefined && last.sentAt < 0 && !last.fin && last.data.length < mss) {
    at = Math.min(mss - last.data.length, data.length)
    const joined = new Uint8Array(last.data.length + at)
    joined.set(last.data)
    joined.set(data.subarray(0, at), last.data.length)
    last.data = joined
    socket.writeSeq = seqAdd(socket.writeSeq, at)
  }
  for (const first = at; at < data.length; at += mss)
    addPiece(socket, data.slice(at, at + mss), as).joined = at > first
  const end = socket.pieces.at(-1)
  if (end !== undefined && data.length > 0) end.push = true
}

/** tcp_send_fin(): behind the last bytes that were not sent yet, or in a segment of its own. */
export function queueFin(socket: TcpSocket): void {
  socket.finQueued = true
  const last = socket.pieces.at(-1)
  if (last !== undefined && last.sentAt < 0) last.fin = true
  else {
    const piece = addPiece(socket, noData)
    socket.piecesNamed -= 1
    piece.fin = true
    piece.name = 'fin'
  }
  socket.writeSeq = seqAdd(socket.writeSeq, 1)
}
