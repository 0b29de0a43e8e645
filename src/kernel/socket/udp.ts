// The system calls of a UDP socket. What enters is a call; what leaves is a value or an errno, and packets.
// Linux: net/ipv4/udp.c udp_sendmsg(), net/ipv4/datagram.c, net/ipv4/af_inet.c inet_bind_sk(); net/ipv6/udp.c.
import { type IpAddress, isIpv4, isMulticast, isUnspecified } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { udpAt, udpSegment } from '../../net/udp.ts'
import { born } from '../birth.ts'
import { monotonic } from '../clock.ts'
import { count } from '../counters.ts'
import { selectIdent } from '../ip/ident.ts'
import { isOwnAddress } from '../ip/source.ts'
import {
  anyAddress,
  hookContext,
  type OpenOptions,
  type QueuedError,
  runLifetimeHook,
  takeError,
} from './base.ts'
import { bornAs, buildPacket, routeForConnect, userOut } from './departure.ts'
import { type Errno, errnoOf, failed, type Result } from './errno.ts'
import { hasSocketHook, runSocketHook, type SocketAddress } from './hooks.ts'
import { flowKey, insertSocket, removeSocket } from './lookup.ts'
import { familyProblem, hopsFor, needsDevice, unmapped } from './names.ts'
import { ephemeralPort, keepToFamily, portConflict } from './ports.ts'
import { type Socket, socketState } from './socket.ts'
import { drawTxHash } from './tx-hash.ts'
import { findRoute, keepRoute, peerRoute } from './udp-route.ts'
import { createUdp, type UdpSocket } from './udp-socket.ts'

/** socket(AF_INET or AF_INET6, SOCK_DGRAM). EPERM when a sock_create program refuses. */
export function udpOpen(open: OpenOptions): Result<UdpSocket> {
  const socket = createUdp(open)
  const refused = runLifetimeHook(socket, 'sock_create')
  return refused === undefined ? { ok: socket } : { errno: refused }
}

function enter(socket: UdpSocket, port: number): void {
  const { sockets } = socket.ns
  sockets.udp ??= new Map()
  socket.localPort = port
  insertSocket(sockets.udp, port, socket)
}

/** Gives a socket a port of its own if it has none (inet_autobind). EAGAIN when the range is used up. */
function autobind(socket: UdpSocket, towards: SocketAddress): Errno | undefined {
  if (socket.localPort !== 0) return undefined
  const port = ephemeralPort({
    socket,
    remote: towards.address,
    remotePort: towards.port,
    step: 1,
    taken: (candidate) => portConflict(socket.ns.sockets.udp, socket, candidate),
  })
  if (port === undefined) return 'EAGAIN'
  enter(socket, port)
  return undefined
}

/** Whether an address may be bound: own, wildcard, multicast, or anything with ip_nonlocal_bind. */
export function mayBind(socket: Socket, address: IpAddress): boolean {
  if (isUnspecified(address) || isMulticast(address)) return true
  if (isIpv4(address) && address === 0xffff_ffff) return true
  if (isOwnAddress(socket.ns, address)) return true
  if (isIpv4(address) && address >>> 24 === 127) return true
  return socket.transparent || socket.ns.sysctls.get('net.ipv4.ip_nonlocal_bind') !== 0
}

/** bind(2). EINVAL (bound already), EADDRNOTAVAIL (not ours), EADDRINUSE, EAFNOSUPPORT, EPERM from a program. */
export function udpBind(socket: UdpSocket, wanted: SocketAddress): Result<true> {
  const family = familyProblem(socket, wanted.address)
  if (family !== undefined) return { errno: family === 'ENETUNREACH' ? 'EADDRNOTAVAIL' : family }
  let { address, port } = wanted
  if (hasSocketHook(socket, 'bind')) {
    const context = hookContext(socket, 'bind', wanted)
    const refused = runSocketHook(context)
    if (refused !== undefined) return { errno: refused }
    ;({ address, port } = context)
  }
  if (socket.localPort !== 0) return { errno: 'EINVAL' }
  const local = unmapped(address)
  if (!mayBind(socket, local)) return { errno: 'EADDRNOTAVAIL' }
  socket.localAddress = local
  if (port === 0) {
    const problem = autobind(socket, { address: anyAddress(socket.family), port: 0 })
    if (problem !== undefined) return { errno: 'EADDRINUSE' }
    keepToFamily(socket)
    return { ok: true }
  }
  if (portConflict(socket.ns.sockets.udp, socket, port)) {
    socket.localAddress = anyAddress(socket.family)
    return { errno: 'EADDRINUSE' }
  }
  enter(socket, port)
  keepToFamily(socket)
  return { ok: true }
}

/**
 * connect(2): a peer for send and recv, chosen now with a source address. ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL by
 * the route; EACCES for a broadcast address without SO_BROADCAST; EPERM from a program.
 */
export function udpConnect(socket: UdpSocket, wanted: SocketAddress): Result<true> {
  const family = familyProblem(socket, wanted.address)
  if (family !== undefined) return { errno: family }
  let to: SocketAddress = wanted
  if (hasSocketHook(socket, 'connect')) {
    const context = hookContext(socket, 'connect', wanted)
    const refused = runSocketHook(context)
    if (refused !== undefined) return { errno: refused }
    to = { address: context.address, port: context.port }
  }
  to = { address: unmapped(to.address), port: to.port }
  if (needsDevice(to.address) && socket.options.device === 0) return { errno: 'EINVAL' }
  const unbound = autobind(socket, to)
  if (unbound !== undefined) return { errno: unbound }
  const answer = findRoute(socket, to, routeForConnect)
  if (answer.kind === 'error') return { errno: answer.errno }
  keepRoute(socket, answer)
  if (isUnspecified(socket.localAddress)) socket.localAddress = answer.source
  socket.remoteAddress = answer.destination
  socket.remotePort = to.port
  socket.state = socketState.established
  const key = flowKey({
    local: socket.localAddress,
    localPort: socket.localPort,
    remote: socket.remoteAddress,
    remotePort: to.port,
  })
  socket.identification = socket.ns.machine.random('ip-id', key) & 0xffff
  drawTxHash(socket)
  return { ok: true }
}

/** Whom a datagram goes to: the address of the call, changed by a sendmsg program, else the peer. */
function target(socket: UdpSocket, to: SocketAddress | undefined): Result<SocketAddress> {
  if (to === undefined) {
    if (socket.state !== socketState.established) return { errno: 'EDESTADDRREQ' }
    return { ok: { address: socket.remoteAddress, port: socket.remotePort } }
  }
  if (to.port === 0) return { errno: 'EINVAL' }
  const family = familyProblem(socket, to.address)
  if (family !== undefined) return { errno: family }
  if (!hasSocketHook(socket, 'sendmsg')) return { ok: { address: unmapped(to.address), port: to.port } }
  const context = hookContext(socket, 'sendmsg', to)
  context.source = socket.localAddress
  const refused = runSocketHook(context)
  if (refused !== undefined) return { errno: refused }
  if (context.port === 0) return { errno: 'EINVAL' }
  return { ok: { address: unmapped(context.address), port: context.port } }
}

/** Whether the whole datagram fits the path; what does not is fragmented, or refused with IP_PMTUDISC_DO. */
function dontFragment(socket: UdpSocket, packetBytes: number, mtu: number): boolean {
  const { mtuDiscover } = socket.options
  return mtuDiscover === 'do' || (mtuDiscover === 'want' && packetBytes <= mtu)
}

/** A connected socket counts for itself, any other one by the addresses (ip_select_ident_segs). IPv6 has none. */
function nextIdentification(
  socket: UdpSocket,
  ends: { readonly source: IpAddress; readonly destination: IpAddress; readonly dontFragment: boolean },
): number {
  const { source, destination, dontFragment: withoutFragment } = ends
  if (!isIpv4(source) || !isIpv4(destination)) return 0
  return selectIdent(socket.ns, {
    source,
    destination,
    protocol: ipProtocol.udp,
    dontFragment: withoutFragment,
    ignoreDontFragment: socket.options.mtuDiscover !== 'do',
    connected: socket.state === socketState.established ? socket : undefined,
  })
}

/** What `ip_send_skb` and `udp_send_skb` make of the way the packet went. */
function afterSend(socket: UdpSocket, status: number, family: 4 | 6): Errno | undefined {
  const { ns } = socket
  const six = family === 6 ? '6' : ''
  if (status === 0 || status === 2) {
    count(ns, `Udp${six}OutDatagrams`)
    return undefined
  }
  count(ns, `Ip${six}OutDiscards`)
  if (status < 0) return errnoOf(status)
  count(ns, `Udp${six}SndbufErrors`)
  return socket.options.recvErr ? 'ENOBUFS' : undefined
}

/** SKB_CLOCK_MONOTONIC: the clock of SO_TXTIME here. */
const clockMonotonic = 1

/** sock_alloc_send_pskb(): whether the socket may have another packet on this host; a blocking send waits until it may. */
export function hasSendSpace(socket: Socket): boolean {
  return socket.sendMemory < socket.options.sendBufferBytes
}

/**
 * send(2), and sendto(2) with `to`. Answers the bytes taken. EDESTADDRREQ, EMSGSIZE (longer than the path with
 * IP_PMTUDISC_DO, or than a datagram can be), the route's errno, a pending error of the socket, EPERM (OUTPUT, or a
 * program), ENOBUFS (dropped by the queue, with IP_RECVERR only), EAGAIN (the send buffer is full). `name` overrides the packet's name, `cause` says which
 * packet it answers or passes on, `label` whose connection it belongs to.
 */
export function udpSend(
  socket: UdpSocket,
  data: Uint8Array,
  options: {
    readonly to?: SocketAddress
    readonly name?: string
    readonly cause?: string
    readonly label?: string
  } = {},
): Result<number> {
  if (data.length > 0xffff) return { errno: 'EMSGSIZE' }
  const chosen = target(socket, options.to)
  if (failed(chosen)) return chosen
  const to = chosen.ok
  const unbound = autobind(socket, to)
  if (unbound !== undefined) return { errno: unbound }
  const answer = options.to === undefined ? peerRoute(socket, to) : findRoute(socket, to)
  if (answer.kind === 'error') return { errno: answer.errno }
  const { route } = answer
  const header = route.family === 4 ? 20 : 40
  const length = header + udpAt.payload + data.length
  if (length - (route.family === 6 ? header : 0) > 0xffff) return { errno: 'EMSGSIZE' }
  if (socket.options.mtuDiscover === 'do' && length > route.mtu) {
    queueLocalError(socket, route.mtu)
    return { errno: 'EMSGSIZE' }
  }
  const pending = takeError(socket)
  if (pending === undefined && !hasSendSpace(socket)) return { errno: 'EAGAIN' }
  if (pending !== undefined) {
    // sock_alloc_send_skb() reports it in the middle of __ip_append_data(), which counts a lost packet
    count(socket.ns, route.family === 4 ? 'IpOutDiscards' : 'Ip6OutDiscards')
    return { errno: pending }
  }
  const whole = dontFragment(socket, length, route.mtu)
  const skb = buildPacket({
    socket,
    route,
    source: answer.source,
    destination: answer.destination,
    protocol: ipProtocol.udp,
    ttl: hopsFor(socket.ns, route, { destination: to.address, asked: socket.options.ttl }),
    tos: socket.options.tos,
    mark: socket.options.mark,
    dontFragment: whole,
    identification: nextIdentification(socket, {
      source: answer.source,
      destination: answer.destination,
      dontFragment: whole,
    }),
    segment: udpSegment(socket.localPort, to.port, data),
    checksum: 'unfinished',
  })
  if (socket.options.departAfter !== undefined) {
    skb.tstamp = monotonic(socket.ns.machine.clock.now) + socket.options.departAfter
    skb.tstampType = clockMonotonic
  }
  socket.sent += 1
  if (options.name === undefined) bornAs(skb, socket.label, `data${socket.sent}`)
  else born(skb, options.name, options.cause, options.label)
  const problem = afterSend(
    socket,
    userOut(socket.ns, skb, { ignoreDontFragment: socket.options.mtuDiscover !== 'do' }),
    route.family,
  )
  return problem === undefined ? { ok: data.length } : { errno: problem }
}

/** ip_local_error: with IP_RECVERR the refusal is also told through the error queue, with the MTU. */
function queueLocalError(socket: UdpSocket, mtu: number): void {
  if (!socket.options.recvErr) return
  const error: QueuedError = {
    errno: 'EMSGSIZE',
    origin: 'local',
    type: 0,
    code: 0,
    info: mtu,
    offender: undefined,
  }
  socket.errorQueue.push(error)
}

/** getpeername(2), as getpeername programs change it. ENOTCONN for an unconnected socket. */
export function peerName(socket: Socket): Result<SocketAddress> {
  if (socket.remotePort === 0) return { errno: 'ENOTCONN' }
  const peer = { address: socket.remoteAddress, port: socket.remotePort }
  if (!hasSocketHook(socket, 'getpeername')) return { ok: peer }
  const context = hookContext(socket, 'getpeername', peer)
  runSocketHook(context)
  return { ok: { address: context.address, port: context.port } }
}

/** close(2). */
export function udpClose(socket: UdpSocket): void {
  if (socket.closed) return
  runLifetimeHook(socket, 'sock_release')
  removeSocket(socket.ns.sockets.udp, socket.localPort, socket)
  socket.closed = true
  socket.state = socketState.close
}
