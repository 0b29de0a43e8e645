// The system calls of a TCP socket. None of them waits: what takes time shows in the socket's state, and `watchers` are
// called when it changes. Linux: net/ipv4/tcp.c, tcp_ipv4.c tcp_v4_connect(), inet_connection_sock.c.
import { isIpv4, isMulticast, isUnspecified } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import type { RouteAnswer } from '../ip/route.ts'
import { familyState } from '../ip/state.ts'
import { anyAddress, familyOf, hookContext, type OpenOptions, runLifetimeHook, takeError } from './base.ts'
import { questionOf, routeForConnect } from './departure.ts'
import { type Errno, failed, type Result } from './errno.ts'
import { hasSocketHook, runSocketHook, type SocketAddress } from './hooks.ts'
import { insertSocket, lookupFlow } from './lookup.ts'
import { familyProblem, needsDevice, unmapped } from './names.ts'
import { ephemeralPort, isPrivileged, keepToFamily, portConflict } from './ports.ts'
import { socketState } from './socket.ts'
import { waitForFin } from './tcp-input.ts'
import { enterFlows, enterPorts, leaveTables, stopTimers, tcpDone } from './tcp-life.ts'
import { startConnect } from './tcp-open.ts'
import { pushPending } from './tcp-output.ts'
import { queueData, queueFin, type SentAs } from './tcp-queue.ts'
import { createTcp, type TcpSocket } from './tcp-socket.ts'
import { sendAck, sendActiveReset } from './tcp-transmit.ts'
import { drawTxHash } from './tx-hash.ts'
import { mayBind } from './udp.ts'

/** socket(AF_INET or AF_INET6, SOCK_STREAM). EPERM when a sock_create program refuses. */
export function tcpOpen(open: OpenOptions): Result<TcpSocket> {
  const socket = createTcp(open, 'client')
  const refused = runLifetimeHook(socket, 'sock_create')
  return refused === undefined ? { ok: socket } : { errno: refused }
}

/** The address to bind after the bind programs have seen it; EACCES for a privileged port without privilege. */
function bindAddress(socket: TcpSocket, wanted: SocketAddress, privileged: boolean): Result<SocketAddress> {
  let to = wanted
  let bypass = privileged
  if (hasSocketHook(socket, 'bind')) {
    const context = hookContext(socket, 'bind', wanted)
    const refused = runSocketHook(context)
    if (refused !== undefined) return { errno: refused }
    to = { address: context.address, port: context.port }
    bypass ||= context.bypassPrivileged
  }
  const local = unmapped(to.address)
  if (!mayBind(socket, local) || isMulticast(local)) return { errno: 'EADDRNOTAVAIL' }
  if (!bypass && isPrivileged(socket.ns, to.port)) return { errno: 'EACCES' }
  return { ok: { address: local, port: to.port } }
}

/**
 * bind(2). EINVAL (bound already), EADDRNOTAVAIL, EADDRINUSE, EACCES (a port below ip_unprivileged_port_start without
 * `privileged`; programs of a scenario are privileged unless they say otherwise), EPERM from a program.
 */
export function tcpBind(
  socket: TcpSocket,
  wanted: SocketAddress,
  options: { readonly privileged: boolean } = { privileged: true },
): Result<true> {
  const family = familyProblem(socket, wanted.address)
  if (family !== undefined) return { errno: family === 'ENETUNREACH' ? 'EADDRNOTAVAIL' : family }
  if (socket.localPort !== 0 || socket.state !== socketState.close) return { errno: 'EINVAL' }
  const chosen = bindAddress(socket, wanted, options.privileged)
  if (failed(chosen)) return chosen
  socket.localAddress = chosen.ok.address
  const port = chosen.ok.port === 0 ? freePort(socket, chosen.ok) : chosen.ok.port
  if (port === undefined || portConflict(socket.ns.sockets.tcpPorts, socket, port)) {
    socket.localAddress = anyAddress(socket.family)
    return { errno: 'EADDRINUSE' }
  }
  socket.localPort = port
  enterPorts(socket)
  keepToFamily(socket)
  return { ok: true }
}

function freePort(socket: TcpSocket, towards: SocketAddress): number | undefined {
  return ephemeralPort({
    socket,
    remote: towards.address,
    remotePort: towards.port,
    step: 1,
    taken: (port) => portConflict(socket.ns.sockets.tcpPorts, socket, port),
  })
}

/** listen(2). Connections that are complete wait in `acceptQueue`. EADDRINUSE when another one listens there. */
export function tcpListen(socket: TcpSocket, backlog = 128): Result<true> {
  if (socket.localPort === 0) {
    const bound = tcpBind(socket, { address: anyAddress(socket.family), port: 0 })
    if (failed(bound)) return bound
  }
  const { sockets } = socket.ns
  socket.state = socketState.listen
  if (portConflict(sockets.tcpPorts, socket, socket.localPort)) {
    socket.state = socketState.close
    return { errno: 'EADDRINUSE' }
  }
  socket.backlog = backlog
  sockets.tcpListeners ??= new Map()
  insertSocket(sockets.tcpListeners, socket.localPort, socket)
  return { ok: true }
}

/** accept(2): the oldest complete connection, else EAGAIN. Its packets keep the name of the flow that opened it. */
export function tcpAccept(listener: TcpSocket): Result<TcpSocket> {
  if (listener.state !== socketState.listen) return { errno: 'EINVAL' }
  const socket = listener.acceptQueue.shift()
  if (socket === undefined) return { errno: 'EAGAIN' }
  socket.listener = undefined
  return { ok: socket }
}

function connectTarget(socket: TcpSocket, wanted: SocketAddress): Result<SocketAddress> {
  const family = familyProblem(socket, wanted.address)
  if (family !== undefined) return { errno: family }
  if (!hasSocketHook(socket, 'connect')) {
    return { ok: { address: unmapped(wanted.address), port: wanted.port } }
  }
  const context = hookContext(socket, 'connect', wanted)
  const refused = runSocketHook(context)
  if (refused !== undefined) return { errno: refused }
  return { ok: { address: unmapped(context.address), port: context.port } }
}

function connectRoute(socket: TcpSocket, to: SocketAddress): RouteAnswer {
  const family = familyOf(to.address)
  const answer = routeForConnect(socket.ns, questionOf(socket, to, ipProtocol.tcp))
  if (answer.kind === 'error') {
    if (answer.errno === 'ENETUNREACH' && family === 4) count(socket.ns, 'IpOutNoRoutes')
    return answer
  }
  const { type } = answer.route
  return type === 'broadcast' || type === 'multicast' ? { kind: 'error', errno: 'ENETUNREACH' } : answer
}

/** Whether this flow exists already (__inet_check_established). */
function flowTaken(socket: TcpSocket, port: number): boolean {
  const tuple = {
    local: socket.localAddress,
    localPort: port,
    remote: socket.remoteAddress,
    remotePort: socket.remotePort,
    ifindex: socket.options.device,
  }
  return lookupFlow(socket.ns, tuple) !== undefined
}

/** inet_hash_connect(): the port bound, or one whose flow is free. */
function takePort(socket: TcpSocket): Errno | undefined {
  if (socket.localPort !== 0) return flowTaken(socket, socket.localPort) ? 'EADDRNOTAVAIL' : undefined
  const port = ephemeralPort({
    socket,
    remote: socket.remoteAddress,
    remotePort: socket.remotePort,
    step: 2,
    taken: (candidate) =>
      flowTaken(socket, candidate) || portConflict(socket.ns.sockets.tcpPorts, socket, candidate),
  })
  if (port === undefined) return 'EADDRNOTAVAIL'
  socket.localPort = port
  enterPorts(socket)
  return undefined
}

/**
 * connect(2) of a socket that does not wait: `ok` means that the SYN was sent. The outcome shows in `state` (ESTABLISHED)
 * or `error` (ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EACCES). Fails at once with EISCONN, EALREADY, the
 * route's errno, EADDRNOTAVAIL, or what a connect program says.
 */
export function tcpConnect(socket: TcpSocket, wanted: SocketAddress): Result<true> {
  if (socket.state === socketState.established) return { errno: 'EISCONN' }
  if (socket.state !== socketState.close) return { errno: 'EALREADY' }
  const chosen = connectTarget(socket, wanted)
  if (failed(chosen)) return chosen
  const { address } = chosen.ok
  if (!isIpv4(address) && isMulticast(address)) return { errno: 'ENETUNREACH' }
  if (needsDevice(address) && socket.options.device === 0) return { errno: 'EINVAL' }
  const answer = connectRoute(socket, chosen.ok)
  if (answer.kind === 'error') return { errno: answer.errno }
  if (isUnspecified(socket.localAddress)) socket.localAddress = answer.source
  socket.remoteAddress = answer.destination
  socket.remotePort = chosen.ok.port
  const problem = takePort(socket)
  if (problem !== undefined) return { errno: problem }
  enterFlows(socket)
  drawTxHash(socket)
  socket.route = answer.route
  socket.routeGeneration = familyState(socket.ns, familyOf(answer.destination)).generation
  socket.born = socket.ns.machine.clock.now
  startConnect(socket, answer.route)
  return { ok: true }
}

/** Whether bytes may be written (TCPF_ESTABLISHED, TCPF_CLOSE_WAIT). */
function mayWrite(socket: TcpSocket): boolean {
  const { state } = socket
  return state === socketState.established || state === socketState.closeWait
}

/**
 * lock_sock() around a part of a system call: what it sends is received before it goes on, and what comes back waits for
 * the lock (release_sock).
 */
function holding(socket: TcpSocket, call: () => void): void {
  if (socket.waiting !== undefined) return call()
  const waiting: (() => void)[] = []
  socket.waiting = waiting
  socket.ns.machine.clock.interruptible(() => {
    call()
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) run()
  })
  socket.waiting = undefined
}

/** send(2): takes all bytes; `as` names their packets. A pending error, EPIPE (shut down, or the connection is gone), EAGAIN while connecting. */
export function tcpSend(socket: TcpSocket, data: Uint8Array, as: SentAs = {}): Result<number> {
  const error = takeError(socket)
  if (error !== undefined) return { errno: error }
  if (socket.state === socketState.synSent || socket.state === socketState.synReceived) {
    return { errno: 'EAGAIN' }
  }
  if (!mayWrite(socket) || socket.finQueued) return { errno: 'EPIPE' }
  socket.written = socket.ns.machine.clock.now
  queueData(socket, data, as)
  holding(socket, () => pushPending(socket))
  return { ok: data.length }
}

/** Joins everything that waits to be read. */
function takeReceived(socket: TcpSocket, bytesMax: number): Uint8Array {
  const size = Math.min(bytesMax, socket.receivedBytes)
  const whole = new Uint8Array(size)
  let at = 0
  while (at < size) {
    const chunk = socket.received.shift()
    if (chunk === undefined) break
    const used = chunk.subarray(0, size - at)
    whole.set(used, at)
    at += used.length
    if (used.length < chunk.length) socket.received.unshift(chunk.subarray(used.length))
  }
  socket.receivedBytes -= at
  return whole
}

/** recv(2) without waiting: bytes, an empty array at the end of the stream (told before an error), a pending error, ENOTCONN, or EAGAIN. */
export function tcpReceive(
  socket: TcpSocket,
  bytesMax: number = Number.MAX_SAFE_INTEGER,
): Result<Uint8Array> {
  if (socket.receivedBytes > 0) {
    const data = takeReceived(socket, bytesMax)
    if (socket.ackScheduled && socket.pingpong === 0 && socket.receivedBytes === 0) sendAck(socket)
    return { ok: data }
  }
  if (socket.peerClosed) return { ok: new Uint8Array(0) } // SOCK_DONE
  const error = takeError(socket)
  if (error !== undefined) return { errno: error }
  if (socket.shut) return { ok: new Uint8Array(0) }
  if (socket.state === socketState.close) return { errno: 'ENOTCONN' }
  return { errno: 'EAGAIN' }
}

/** shutdown(SHUT_WR): FIN behind all bytes written (tcp_close_state, tcp_send_fin). ENOTCONN when there is no connection. */
export function tcpShutdown(socket: TcpSocket): Result<true> {
  const { state } = socket
  if (state === socketState.established) socket.state = socketState.finWait1
  else if (state === socketState.closeWait) socket.state = socketState.lastAck
  else return { errno: 'ENOTCONN' }
  queueFin(socket)
  pushPending(socket)
  return { ok: true }
}

/** A listener ends: half-open connections vanish, those not accepted are reset (inet_csk_listen_stop). */
function closeListener(socket: TcpSocket): void {
  leaveTables(socket)
  socket.state = socketState.close
  for (const child of socket.acceptQueue.splice(0)) {
    child.listener = undefined
    child.orphan = true
    sendActiveReset(child)
    tcpDone(child, undefined)
  }
}

/**
 * close(2). With unread bytes the peer gets an RST, otherwise a FIN; the kernel finishes the rest by itself. The
 * sock_release programs run before the FIN goes out.
 */
export function tcpClose(socket: TcpSocket): void {
  if (socket.orphan) return
  runLifetimeHook(socket, 'sock_release')
  socket.orphan = true
  const { state } = socket
  if (state === socketState.listen) {
    closeListener(socket)
    return
  }
  if (state === socketState.synSent || state === socketState.close) {
    // tcp_done is not called for these: no attempt counts as failed
    stopTimers(socket)
    leaveTables(socket)
    socket.state = socketState.close
    return
  }
  if (socket.receivedBytes > 0) {
    sendActiveReset(socket)
    tcpDone(socket, undefined)
    return
  }
  if (state === socketState.finWait2) waitForFin(socket)
  else tcpShutdown(socket)
}

/** close(2) with SO_LINGER of zero: the peer gets an RST and the connection is gone (tcp_disconnect). */
export function tcpAbort(socket: TcpSocket): void {
  if (socket.orphan) return
  runLifetimeHook(socket, 'sock_release')
  socket.orphan = true
  const { state } = socket
  if (state !== socketState.close && state !== socketState.listen && state !== socketState.synSent)
    sendActiveReset(socket)
  tcpDone(socket, undefined)
}
