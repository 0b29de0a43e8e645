// Programs that use sockets: servers that answer whatever arrives, and clients that open, send, receive and close, each
// step waiting on the virtual clock. A scenario's flows and endpoints are made of these.
import { answerName } from '../birth.ts'
import type { Nanoseconds } from '../clock.ts'
import { takeError } from './base.ts'
import { type Errno, failed, type Result } from './errno.ts'
import type { SocketAddress } from './hooks.ts'
import { socketState } from './socket.ts'
import { tcpAccept, tcpClose, tcpConnect, tcpReceive, tcpSend } from './tcp.ts'
import type { TcpSocket } from './tcp-socket.ts'
import { udpSend } from './udp.ts'
import { udpReceive } from './udp-read.ts'
import type { Datagram, UdpSocket } from './udp-socket.ts'
import { flowStatus, runUntil } from './waiting.ts'

/** What a server does with a connection. */
export interface TcpProgram {
  /** Bytes have arrived. Answers what to send back, or nothing yet. */
  readonly received: (connection: TcpSocket, data: Uint8Array) => Uint8Array | undefined
  /** A connection was accepted. */
  readonly accepted?: (connection: TcpSocket) => void
  /** The peer has closed; the server closes too, unless this answers `keep`. */
  readonly ended?: (connection: TcpSocket) => 'close' | 'keep'
}

/** A server reads what there is, answers, and closes when the peer has. */
function serveConnection(connection: TcpSocket, program: TcpProgram): void {
  const { clock } = connection.ns.machine
  let queued = false
  const work = (): void => {
    queued = false
    while (connection.receivedBytes > 0) {
      const read = tcpReceive(connection)
      if (failed(read)) break
      const answer = program.received(connection, read.ok)
      if (answer !== undefined && answer.length > 0) tcpSend(connection, answer)
    }
    const over = connection.peerClosed || connection.state === socketState.close
    if (over && !connection.orphan && program.ended?.(connection) !== 'keep') tcpClose(connection)
  }
  const schedule = (): void => {
    if (queued) return
    queued = true
    clock.atRest(work)
  }
  connection.watchers.push(schedule)
  schedule()
}

/** Lets a program serve every connection of a listener. It runs like a woken process: behind the packets at hand. */
export function serveTcp(listener: TcpSocket, program: TcpProgram): void {
  const { clock } = listener.ns.machine
  const work = (): void => {
    for (;;) {
      const next = tcpAccept(listener)
      if (failed(next)) return
      program.accepted?.(next.ok)
      serveConnection(next.ok, program)
    }
  }
  listener.watchers.push(() => clock.atRest(work))
}

/** Lets a program answer every datagram of a socket; the reply is named `f1.rdata1`, `f1.rdata2` ..., or by `word`. */
export function serveUdp(
  socket: UdpSocket,
  answer: (datagram: Datagram) => Uint8Array | undefined,
  word?: string,
): void {
  const { machine } = socket.ns
  const work = (): void => {
    for (;;) {
      const read = udpReceive(socket)
      if (failed(read)) return
      const data = answer(read.ok)
      if (data === undefined) continue
      const { source, sourcePort, flow, packet } = read.ok
      const label = flow === '' ? socket.label : flow
      const to = { address: source, port: sourcePort }
      if (word === undefined) {
        udpSend(socket, data, { to, name: answerName(machine, label) })
        continue
      }
      const cause = packet?.record?.name
      const named = { to, name: `${label}.${word}`, label }
      udpSend(socket, data, cause === undefined ? named : { ...named, cause })
    }
  }
  socket.watchers.push(() => machine.clock.atRest(work))
}

/** ETIMEDOUT stands for a wait that was given up, EAGAIN for the scenario's limit of work. */
function given(how: 'timeout' | 'limit'): { readonly errno: Errno } {
  return { errno: how === 'timeout' ? 'ETIMEDOUT' : 'EAGAIN' }
}

/** connect(2) that waits: `ok` when established, the connection's error, or ETIMEDOUT after `timeout` nanoseconds. */
export function openAndWait(socket: TcpSocket, to: SocketAddress, timeout: Nanoseconds): Result<true> {
  const started = tcpConnect(socket, to)
  if (failed(started)) return started
  const how = runUntil(socket.ns.machine, () => flowStatus(socket).state !== 'opening', timeout)
  if (how !== 'done') return given(how)
  const errno = takeError(socket)
  return errno === undefined ? { ok: true } : { errno }
}

/** send(2) that waits until the peer has acknowledged everything. */
export function sendAndWait(socket: TcpSocket, data: Uint8Array, timeout: Nanoseconds): Result<number> {
  const sent = tcpSend(socket, data)
  if (failed(sent)) return sent
  const settled = (): boolean => {
    const { flushed, state } = flowStatus(socket)
    return flushed || state === 'failed' || state === 'closed'
  }
  const how = runUntil(socket.ns.machine, settled, timeout)
  if (how !== 'done') return given(how)
  const errno = takeError(socket)
  return errno === undefined ? sent : { errno }
}

/** recv(2) of exactly `bytes` (MSG_WAITALL); fewer when the peer has closed before. */
export function receiveAndWait(socket: TcpSocket, bytes: number, timeout: Nanoseconds): Result<Uint8Array> {
  const enough = (): boolean => {
    const { readable, ended, state } = flowStatus(socket)
    return readable >= bytes || ended || state === 'failed' || state === 'closed'
  }
  const how = runUntil(socket.ns.machine, enough, timeout)
  return how === 'done' ? tcpReceive(socket, bytes) : given(how)
}

/** close(2), and the time that the kernel needs for the rest. `ok` when both directions are closed. */
export function closeAndWait(socket: TcpSocket, timeout: Nanoseconds): Result<true> {
  tcpClose(socket)
  const how = runUntil(socket.ns.machine, () => flowStatus(socket).state === 'closed', timeout)
  return how === 'done' ? { ok: true } : given(how)
}
