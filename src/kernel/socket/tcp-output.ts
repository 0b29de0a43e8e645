// When the pieces of a stream are sent, and sent again. tcp_output.c tcp_write_xmit(), tcp_send_loss_probe(),
// tcp_retransmit_skb(); tcp_timer.c tcp_retransmit_timer(). Before changing this file, read RFC 6298 and RFC 8985.
import { tcpFlag } from '../../net/tcp.ts'
import { cancel } from '../clock.ts'
import { count } from '../counters.ts'
import type { Errno } from './errno.ts'
import { socketState } from './socket.ts'
import { busy, waitsForNeighbour } from './tcp-host-queue.ts'
import { tcpDone, tcpTimer } from './tcp-life.ts'
import { isOpening, isRequest, sendOpening } from './tcp-opening.ts'
import { heldByPacing, heldBySmallQueue, nextRun, pieceEnd } from './tcp-run.ts'
import { type SendPiece, type TcpSocket, tcpTime } from './tcp-socket.ts'
import { causeOf, currentMss, currentRoute, transmit } from './tcp-transmit.ts'
import { rethinkTxHash } from './tx-hash.ts'

function sendPiece(socket: TcpSocket, piece: SendPiece): number {
  const again = piece.sentAt >= 0
  if (again && waitsForNeighbour(socket, piece.sequence)) return busy
  if (again) piece.retries += 1
  piece.sentAt = socket.ns.machine.clock.now
  piece.joined = false
  piece.lost = false
  return transmit(socket, {
    sequence: piece.sequence,
    flags: tcpFlag.ack | (piece.push ? tcpFlag.psh : 0) | (piece.fin ? tcpFlag.fin : 0),
    data: piece.data,
    name: again ? `${piece.name}.retry${piece.retries}` : piece.name,
    again,
    ...causeOf(piece),
  })
}

/** Pieces in one packet if there are several: all of them for the first time, or all of them again. */
export function sendRun(socket: TcpSocket, run: readonly SendPiece[]): number {
  const [first] = run
  if (first === undefined) return 0
  if (run.length === 1) return sendPiece(socket, first)
  // sk_setup_caps(): what IPsec transforms is not large
  if (currentRoute(socket)?.xfrm !== undefined)
    return run.reduce((sent, piece) => (sent === 0 ? sendPiece(socket, piece) : sent), 0)
  const again = first.sentAt >= 0
  if (again && waitsForNeighbour(socket, first.sequence)) return busy
  const data = new Uint8Array(run.reduce((bytes, piece) => bytes + piece.data.length, 0))
  let filled = 0
  // __tcp_transmit_skb(): a large packet always pushes, so that GRO lets it go
  let flags: number = tcpFlag.ack | tcpFlag.psh
  for (const piece of run) {
    piece.sentAt = socket.ns.machine.clock.now
    piece.joined = piece !== first
    piece.lost = false
    if (again) piece.retries += 1
    data.set(piece.data, filled)
    filled += piece.data.length
    if (piece.fin) flags |= tcpFlag.fin
  }
  const names = run.map(({ name, retries }) => (again ? `${name}.retry${retries}` : name))
  const large = { size: first.data.length, names }
  return transmit(socket, {
    sequence: first.sequence,
    flags,
    data,
    name: names[0] ?? '',
    again,
    large,
    ...causeOf(first),
  })
}

function inFlight(socket: TcpSocket): number {
  let pieces = 0
  for (const piece of socket.pieces) if (piece.sentAt >= 0) pieces += 1
  return pieces
}

/** tcp_write_xmit(): sends what the window, the congestion window and Nagle allow. */
export function pushPending(socket: TcpSocket): void {
  if (isOpening(socket) || socket.state === socketState.close) return
  const mss = currentMss(socket)
  let flying = inFlight(socket)
  let sent = false
  for (let at = socket.pieces.findIndex(({ sentAt }) => sentAt < 0); at >= 0 && at < socket.pieces.length; ) {
    const run = nextRun(socket, at, { flying, mss })
    const last = run.at(-1)
    if (last === undefined) break
    if (socket.pacing === 'needed' && heldByPacing(socket, pushPending)) break
    if (socket.sendMemory > 0 && flying > 1 && heldBySmallQueue(socket, run, pushPending)) break
    const sending = sendRun(socket, run)
    if (last.data.length < mss) socket.sndSmall = pieceEnd(last)
    flying += run.length
    at += run.length
    sent = true
    if (sending > 0) break
  }
  if (sent && socket.state !== socketState.close) armProbeOrRto(socket, flying)
  else if (flying === 0 && socket.pieces.length > 0 && socket.retransmitTimer === undefined) {
    armRto(socket, socket.rto)
  }
}

function arm(socket: TcpSocket, kind: 'rto' | 'probe', delay: number): void {
  cancel(socket.retransmitTimer)
  socket.retransmitKind = kind
  socket.retransmitTimer = tcpTimer(socket, delay, () => {
    socket.retransmitTimer = undefined
    if (kind === 'probe') lossProbe(socket)
    else retransmissionTimeout(socket)
  })
}

/** Starts the retransmission timer (tcp_reset_xmit_timer). */
export function armRto(socket: TcpSocket, delay: number): void {
  arm(socket, 'rto', Math.min(delay, tcpTime.rtoMax))
}

/** tcp_schedule_loss_probe(): before the timeout, one early reminder, when the peer can SACK. */
function armProbeOrRto(socket: TcpSocket, flying: number): void {
  if (!socket.sack || socket.retransmits > 0 || socket.probing || socket.srtt < 0) {
    armRto(socket, socket.rto)
    return
  }
  const wait = 2 * socket.srtt + (flying === 1 ? tcpTime.rtoMin : tcpTime.probeMin)
  if (wait > socket.rto) armRto(socket, socket.rto)
  else arm(socket, 'probe', wait)
}

/** After an acknowledgement: the timer runs while something is out (tcp_rearm_rto). */
export function rearm(socket: TcpSocket): void {
  const flying = inFlight(socket)
  if (flying === 0) {
    cancel(socket.retransmitTimer)
    socket.retransmitTimer = undefined
  } else armProbeOrRto(socket, flying)
}

/** tcp_send_loss_probe(): something new if the window allows, else the last segment again. */
function lossProbe(socket: TcpSocket): void {
  socket.probing = true
  const last = socket.pieces.findLast((piece) => piece.sentAt >= 0)
  if (last !== undefined) sendPiece(socket, last)
  armRto(socket, socket.rto)
}

/** Sends the oldest unacknowledged piece again. */
export function retransmitFirst(socket: TcpSocket): number {
  const first = socket.pieces.find((piece) => piece.sentAt >= 0 && !piece.sacked)
  return first === undefined ? 0 : sendPiece(socket, first)
}

/** retransmits_timed_out(): as long as this many doubled timeouts last; a SYN that is repeated each second gains nothing. */
function hasTriedLongEnough(socket: TcpSocket, retries: number): boolean {
  if (socket.retransmits === 0) return false
  const doubled = Math.min(retries, Math.floor(Math.log2(tcpTime.rtoMax / tcpTime.initial)))
  const time = (2 ** (doubled + 1) - 1) * tcpTime.initial + (retries - doubled) * tcpTime.rtoMax
  return socket.ns.machine.clock.now - socket.born >= time
}

/** tcp_write_timeout(), reqsk_timer_handler(): whether the timer that fires now is the last. */
function hasGivenUp(socket: TcpSocket): boolean {
  const { sysctls } = socket.ns
  if (socket.state === socketState.synSent) {
    const retries = sysctls.get('net.ipv4.tcp_syn_retries')
    const linear = sysctls.get('net.ipv4.tcp_syn_linear_timeouts')
    return socket.retransmits >= retries + linear || hasTriedLongEnough(socket, retries)
  }
  if (socket.state === socketState.synReceived) {
    const done = socket.listener === undefined ? socket.retransmits : socket.timeouts
    return done >= sysctls.get('net.ipv4.tcp_synack_retries')
  }
  return socket.retransmits >= (socket.orphan ? 8 : 15)
}

/** Linear steps of one second first (tcp_syn_linear_timeouts), then doubled each time. */
function nextTimeout(socket: TcpSocket): number {
  if (socket.state === socketState.synSent) {
    const linear = socket.ns.sysctls.get('net.ipv4.tcp_syn_linear_timeouts')
    if (socket.retransmits <= linear) return socket.rto
  }
  return Math.min(socket.rto * 2, tcpTime.rtoMax)
}

/** The error that a connection ends with when its time is up: what ICMP said last, else ETIMEDOUT. */
function timeoutError(socket: TcpSocket): Errno {
  return socket.softError ?? 'ETIMEDOUT'
}

/**
 * The end of tcp_write_timeout(): the next packets try another path. Not where a closed window is asked whether it opened, nor for a
 * request, which draws with each answer.
 */
function rethinkAtTimeout(socket: TcpSocket): void {
  const asksWindow = !isOpening(socket) && (socket.sndWnd === 0 || inFlight(socket) === 0)
  if (!isRequest(socket) && !asksWindow && rethinkTxHash(socket)) count(socket.ns, 'TcpExtTcpTimeoutRehash')
}

/** tcp_retransmit_timer(). */
function retransmissionTimeout(socket: TcpSocket): void {
  const opening = isOpening(socket)
  if (!opening && socket.pieces.length === 0) return
  if (hasGivenUp(socket)) {
    tcpDone(socket, timeoutError(socket))
    return
  }
  rethinkAtTimeout(socket)
  socket.retransmits += 1
  socket.timeouts += 1
  if (!opening) enterLoss(socket)
  const status = opening ? sendOpening(socket) : resend(socket)
  if (socket.state === socketState.close) return
  if (status !== 0 && isRequest(socket)) {
    // reqsk_timer_handler(): whoever cannot be answered is forgotten
    tcpDone(socket, undefined)
    return
  }
  if (status > 0) {
    armRto(socket, Math.min(socket.rto, tcpTime.localDrop))
    return
  }
  socket.rto = nextTimeout(socket)
  armRto(socket, socket.rto)
}

/** Lets a timer fire that is due in this tick. */
export function fireIfDue(socket: TcpSocket): void {
  const timer = socket.retransmitTimer
  if (timer === undefined || timer.at > socket.ns.machine.clock.now) return
  const { run } = timer
  cancel(timer)
  run?.()
}

/** tcp_enter_loss(): start again with one segment; what is out counts as lost. */
function enterLoss(socket: TcpSocket): void {
  if (socket.retransmits === 1) socket.ssthresh = Math.max(2, Math.floor(inFlight(socket) / 2))
  socket.cwnd = 1
  socket.dupAcks = 0
}

/** The first piece, or, with a closed window, one byte to see whether it opened (RFC 9293 section 3.8.6.1). */
function resend(socket: TcpSocket): number {
  const first = socket.pieces.find((piece) => !piece.sacked)
  return first === undefined ? 0 : sendPiece(socket, first)
}
