// The path takes smaller packets than it did: tcp_ipv4.c tcp_v4_mtu_reduced(), tcp_input.c tcp_simple_retransmit(). What is
// out and too long was dropped for sure, so it is cut anew and sent again at once, packet by packet.
import { concatBytes } from '../../net/bytes.ts'
import type { NetDevice } from '../device/device.ts'
import { updatePathMtu } from '../ip/path-mtu.ts'
import { socketState } from './socket.ts'
import { isLocked } from './tcp-life.ts'
import { armRto, pushPending, sendRun } from './tcp-output.ts'
import { seqAdd } from './tcp-sequence.ts'
import type { SendPiece, TcpSocket } from './tcp-socket.ts'
import { currentMss } from './tcp-transmit.ts'

/** The pieces of each sk_buff; SACK has split it (tcp_match_skb_to_sack). */
function packetsOf(pieces: readonly SendPiece[]): SendPiece[][] {
  const packets: SendPiece[][] = []
  for (const piece of pieces) {
    const last = packets.at(-1)
    if (
      last !== undefined &&
      piece.joined &&
      last[0]?.sentAt === piece.sentAt &&
      last[0].sacked === piece.sacked
    )
      last.push(piece)
    else packets.push([piece])
  }
  return packets
}

/** The bytes of an sk_buff in segments of another size (tcp_set_skb_tso_segs). */
function cutAnew(packet: readonly SendPiece[], mss: number): SendPiece[] {
  const [first] = packet
  const end = packet.at(-1)
  if (first === undefined || end === undefined) return []
  const data = concatBytes(packet.map((piece) => piece.data))
  const cut: SendPiece[] = []
  for (let at = 0; at < data.length; at += mss) {
    const last = at + mss >= data.length
    cut.push({
      ...first,
      sequence: seqAdd(first.sequence, at),
      data: data.slice(at, at + mss),
      fin: last && end.fin,
      push: last && end.push,
      lost: first.sentAt >= 0,
      joined: at > 0,
      name: at === 0 ? first.name : `${first.name}.${at}`,
    })
  }
  return cut
}

/**
 * An ICMP error says that packets of more than `mtu` bytes do not get through. While the socket is locked by the send(2)
 * whose packets were too big, it only remembers (TCP_MTU_REDUCED_DEFERRED, tcp_release_cb()).
 */
export function hearMtu(socket: TcpSocket, device: NetDevice, mtu: number): void {
  const { clock } = socket.ns.machine
  if (!isLocked(socket)) {
    mtuReduced(socket, device, mtu)
    return
  }
  if (socket.mtuHeard === 0) {
    clock.atRest(() => {
      const heard = socket.mtuHeard
      socket.mtuHeard = 0
      if (socket.state !== socketState.close) mtuReduced(socket, device, heard)
    })
  }
  socket.mtuHeard = mtu
}

/** tcp_v4_mtu_reduced(): several errors tell the same (icsk_pmtu_cookie); what follows from it is done once. */
function mtuReduced(socket: TcpSocket, device: NetDevice, mtu: number): void {
  const before = currentMss(socket)
  updatePathMtu(socket.ns, socket.remoteAddress, { device, mtu })
  const mss = currentMss(socket)
  if (mss >= before) return
  const packets = packetsOf(socket.pieces).map((packet) => {
    const [first] = packet
    return first === undefined || first.data.length <= mss || first.sacked ? packet : cutAnew(packet, mss)
  })
  socket.pieces.splice(0, socket.pieces.length, ...packets.flat())
  resendLost(socket)
  pushPending(socket)
}

/** tcp_xmit_retransmit_queue(): as many lost segments as the congestion window allows beside those that are under way. */
export function resendLost(socket: TcpSocket): void {
  let flying = socket.pieces.filter(({ sentAt, sacked, lost }) => sentAt >= 0 && !sacked && !lost).length
  for (const packet of packetsOf(socket.pieces)) {
    if (packet[0]?.lost !== true) continue
    const run = packet.slice(0, Math.max(0, socket.cwnd - flying))
    const isHead = packet[0] === socket.pieces[0]
    if (run.length === 0 || sendRun(socket, run) !== 0) return
    flying += run.length
    if (isHead) armRto(socket, socket.rto)
  }
}
