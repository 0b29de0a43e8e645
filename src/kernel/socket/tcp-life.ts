// Birth into the tables, waiting, and death of a TCP connection: tcp.c tcp_done(), tcp_set_state(); tcp_minisocks.c
// tcp_time_wait(); inet_hashtables.c.
import { cancel, type Timer } from '../clock.ts'
import { count } from '../counters.ts'
import { setOnWheel } from '../timer-wheel.ts'
import { wake } from './base.ts'
import type { Errno } from './errno.ts'
import { flowKey, insertSocket, removeSocket } from './lookup.ts'
import { socketState } from './socket.ts'
import { type TcpSocket, tcpTime } from './tcp-socket.ts'

/** Sets a timer as the kernel's timer wheel would fire it. */
export function tcpTimer(socket: TcpSocket, delay: number, run: () => void): Timer {
  const { clock } = socket.ns.machine
  return setOnWheel(clock, { age: clock.now - socket.born, delay }, run)
}

/**
 * sock_owned_by_user(): whether a connect(2) or send(2) still holds the socket's lock. On one machine everything that its
 * packets cause happens before the system call returns.
 */
export function isLocked({ ns, role, born, written }: TcpSocket): boolean {
  const { now } = ns.machine.clock
  return (role === 'client' && now === born) || now === written
}

/** inet_ehash_insert: from now on packets of this flow find it. */
export function enterFlows(socket: TcpSocket): void {
  const { sockets } = socket.ns
  sockets.tcpFlows ??= new Map()
  socket.flow = flowKey({
    local: socket.localAddress,
    localPort: socket.localPort,
    remote: socket.remoteAddress,
    remotePort: socket.remotePort,
  })
  insertSocket(sockets.tcpFlows, socket.flow, socket)
}

/** inet_bind_hash: its local port is taken. */
export function enterPorts(socket: TcpSocket): void {
  const { sockets } = socket.ns
  sockets.tcpPorts ??= new Map()
  insertSocket(sockets.tcpPorts, socket.localPort, socket)
}

/** Takes a socket out of every table. */
export function leaveTables(socket: TcpSocket): void {
  const { sockets } = socket.ns
  removeSocket(sockets.tcpFlows, socket.flow, socket)
  removeSocket(sockets.tcpListeners, socket.localPort, socket)
  removeSocket(sockets.tcpPorts, socket.localPort, socket)
}

/** Stops retransmission and delayed acknowledgements. */
export function stopTimers(socket: TcpSocket): void {
  cancel(socket.retransmitTimer)
  cancel(socket.ackTimer)
  cancel(socket.lifeTimer)
  cancel(socket.pacingTimer)
  socket.retransmitTimer = undefined
  socket.ackTimer = undefined
  socket.lifeTimer = undefined
  socket.pacingTimer = undefined
}

/** tcp_done(): the connection is over; whoever waits is told, with `error` if there is one. */
export function tcpDone(socket: TcpSocket, error: Errno | undefined): void {
  const { state } = socket
  if (state === socketState.close && error === undefined) return
  if (state === socketState.synSent || (state === socketState.synReceived && socket.listener === undefined)) {
    count(socket.ns, 'TcpAttemptFails')
  }
  if (state === socketState.established || state === socketState.closeWait) count(socket.ns, 'TcpEstabResets')
  if (state !== socketState.synSent) socket.shut = true
  if (error !== undefined) socket.error = error
  stopTimers(socket)
  leaveTables(socket)
  const { listener } = socket
  if (listener !== undefined) {
    const at = listener.acceptQueue.indexOf(socket)
    if (at !== -1) listener.acceptQueue.splice(at, 1)
  }
  socket.state = socketState.close
  wake(socket)
}

/** tcp_time_wait(): nothing to do but to answer late segments, for `duration`. */
export function enterTimeWait(socket: TcpSocket, state: number, duration: number = tcpTime.timeWait): void {
  // tw_last_oow_ack_time begins anew with it
  if (socket.lifeTimer === undefined) socket.lastOutOfWindow = -1
  stopTimers(socket)
  socket.state = state
  socket.lifeTimer = tcpTimer(socket, duration, () => tcpDone(socket, undefined))
  wake(socket)
}
