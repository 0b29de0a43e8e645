// How a connection comes to be: what a SYN asks, what the answer agrees on. tcp_output.c tcp_connect_init(),
// tcp_input.c tcp_conn_request(), tcp_rcv_synsent_state_process(). RFC 9293 section 3.5.
import { tcpFlag } from '../../net/tcp.ts'
import { count } from '../counters.ts'
import type { Route } from '../ip/route.ts'
import { destinationOf, flowOf, sourceOf } from './arrival.ts'
import { wake } from './base.ts'
import type { Tuple } from './lookup.ts'
import { needsDevice } from './names.ts'
import { socketState } from './socket.ts'
import { enterFlows, enterPorts, tcpDone } from './tcp-life.ts'
import { sendOpening } from './tcp-opening.ts'
import { armRto, pushPending, rearm } from './tcp-output.ts'
import { sampleRoundTrip } from './tcp-round-trip.ts'
import { type Arrived, readSynOptions, readTimestamp, type SynOptions } from './tcp-segment.ts'
import { initialSequence, seqAdd } from './tcp-sequence.ts'
import { createTcp, type TcpSocket, tcpTime } from './tcp-socket.ts'
import { currentRoute, ownMss, sendAck } from './tcp-transmit.ts'
import { receiveSpace } from './tcp-window.ts'
import { drawTxHash } from './tx-hash.ts'

/** Whether this namespace offers timestamps. */
function offersTimestamps(socket: TcpSocket): boolean {
  return socket.ns.sysctls.get('net.ipv4.tcp_timestamps') !== 0
}

/** Sequence numbers, windows and offers of a connection that starts now (tcp_connect_init, tcp_openreq_init_rwin). */
export function startSequences(socket: TcpSocket, route: Route): void {
  const { machine } = socket.ns
  const mss = ownMss(socket, route) - (socket.timestamps ? 12 : 0)
  const space = receiveSpace(socket.ns, socket.role === 'server' ? mss : ownMss(socket, route))
  socket.iss = initialSequence(machine, socket.flow)
  socket.sndUna = socket.iss
  socket.sndNxt = socket.iss
  socket.writeSeq = seqAdd(socket.iss, 1)
  socket.rcvSpace = space.full
  socket.rcvThreshold = space.threshold
  socket.rcvScale = space.scale
  socket.rcvWnd = Math.min(space.threshold, 0xffff)
  socket.rcvMss = Math.min(ownMss(socket, route), 536)
  socket.identification = machine.random('ip-id', socket.flow) & 0xffff
}

/** tcp_connect(): the SYN leaves and its timer starts. A refused SYN is tried again like a lost one. */
export function startConnect(socket: TcpSocket, route: Route): void {
  socket.timestamps = offersTimestamps(socket)
  socket.sack = true
  startSequences(socket, route)
  socket.state = socketState.synSent
  count(socket.ns, 'TcpActiveOpens')
  sendOpening(socket)
  armRto(socket, socket.rto)
}

/** What the peer's SYN means for this side; what was not offered by both is off. */
function agree(socket: TcpSocket, segment: Arrived, offer: SynOptions): void {
  socket.irs = segment.sequence
  socket.rcvNxt = seqAdd(segment.sequence, 1)
  socket.rcvWup = socket.rcvNxt
  // tcp_parse_options(): TCP_MAXSEG bounds what the peer says, too
  const { maxSegment } = socket.options
  socket.peerMss = maxSegment === 0 ? offer.mss : Math.min(offer.mss, maxSegment)
  socket.sack = socket.sack && offer.sack
  socket.timestamps = socket.timestamps && offer.timestamp !== undefined
  if (offer.timestamp !== undefined) socket.tsRecent = offer.timestamp
  if (offer.scale === undefined) {
    socket.rcvScale = 0
    socket.rcvThreshold = Math.min(socket.rcvThreshold, 0xffff)
  } else socket.sndScale = offer.scale
}

/** The handshake is complete: the round trip is known, data may flow (tcp_finish_connect, tcp_init_transfer). */
export function becomeEstablished(socket: TcpSocket): void {
  socket.state = socketState.established
  if (socket.retransmits === 0) sampleRoundTrip(socket, socket.ns.machine.clock.now - socket.born)
  else socket.rto = tcpTime.initial
  socket.retransmits = 0
  rearm(socket)
}

/** A SYN for a listener: a half-open connection, answered with SYN-ACK (tcp_conn_request). */
export function acceptSyn(listener: TcpSocket, segment: Arrived, tuple: Tuple): void {
  const { skb } = segment
  const family = typeof tuple.local === 'number' ? 4 : 6
  if (listener.acceptQueue.length > listener.backlog) {
    count(listener.ns, 'TcpExtListenOverflows')
    count(listener.ns, 'TcpExtListenDrops')
    return
  }
  const type = skb.route?.type
  if (type === 'broadcast' || type === 'multicast') {
    // tcp_v4_conn_request(), tcp_v6_conn_request(): no connection with a group
    count(listener.ns, 'TcpExtListenDrops')
    return
  }
  const flow = flowOf(skb)
  const label = flow === '' ? listener.label : flow
  const child = createTcp(
    {
      ns: listener.ns,
      family: listener.family,
      label,
      options: listener.options,
      program: listener.program,
    },
    'server',
  )
  child.localAddress = destinationOf(skb, family)
  child.remoteAddress = sourceOf(skb, family)
  child.localPort = tuple.localPort
  child.remotePort = tuple.remotePort
  child.listener = listener
  child.txRehash = listener.txRehash
  if (listener.ns.sysctls.get('net.ipv4.tcp_fwmark_accept') !== 0) child.options.mark = skb.mark
  // so that link-local addresses have a meaning (tcp_v6_init_req)
  if (family === 6 && needsDevice(child.remoteAddress)) child.options.device ||= skb.dev.ifindex
  const route = currentRoute(child)
  if (route === undefined) {
    // inet_csk_route_req(); IPv6 has counted it while it looked
    if (family === 4) count(listener.ns, 'IpOutNoRoutes')
    count(listener.ns, 'TcpExtListenDrops')
    return
  }
  enterFlows(child)
  drawTxHash(child)
  enterPorts(child)
  const offer = readSynOptions(segment)
  child.timestamps = offersTimestamps(child) && offer.timestamp !== undefined
  child.sack = true
  startSequences(child, route)
  agree(child, segment, offer)
  child.sndWnd = segment.window
  child.sndWl1 = segment.sequence
  child.state = socketState.synReceived
  sendOpening(child)
  armRto(child, child.rto)
}

/** The SYN again while half-open: the answer was lost, and its timer starts once more if it can be sent (tcp_check_req). */
export function repeatSynAck(socket: TcpSocket): void {
  socket.retransmits += 1
  const sent = sendOpening(socket)
  if (socket.listener === undefined) return
  if (sent === 0) armRto(socket, socket.rto)
  else socket.retransmits -= 1
}

/** The last step of the handshake at the called side; the connection waits for accept (tcp_check_req). */
export function completeAccept(socket: TcpSocket, segment: Arrived): void {
  count(socket.ns, 'TcpPassiveOpens')
  socket.sndUna = segment.acknowledgement
  socket.sndWnd = segment.window * 2 ** socket.sndScale
  socket.sndWl1 = segment.sequence
  becomeEstablished(socket)
  const { listener } = socket
  if (listener === undefined) return
  listener.acceptQueue.push(socket)
  wake(listener)
}

/** tcp_rcv_synsent_state_process(): `reset` asks the caller to answer with RST, `ignored` to drop silently. */
export function processSynSent(socket: TcpSocket, segment: Arrived): 'taken' | 'reset' | 'ignored' {
  const { flags } = segment
  const acknowledges = (flags & tcpFlag.ack) !== 0
  if (acknowledges && segment.acknowledgement !== socket.sndNxt) return 'reset'
  if ((flags & tcpFlag.rst) !== 0) {
    if (!acknowledges) return 'ignored'
    tcpDone(socket, 'ECONNREFUSED')
    return 'taken'
  }
  if ((flags & tcpFlag.syn) === 0) return 'ignored'
  agree(socket, segment, readSynOptions(segment))
  socket.sndWl1 = segment.sequence
  socket.sndWnd = segment.window
  if (!acknowledges) {
    socket.state = socketState.synReceived
    sendOpening(socket)
    return 'taken'
  }
  const stamp = readTimestamp(segment)
  if (stamp !== undefined) socket.tsRecent = stamp
  socket.sndUna = segment.acknowledgement
  becomeEstablished(socket)
  sendAck(socket)
  wake(socket)
  pushPending(socket)
  return 'taken'
}
