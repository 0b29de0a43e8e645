// The SYN and SYN-ACK of a connection that is being opened: tcp_output.c tcp_connect(), tcp_rtx_synack(); tcp_minisocks.c.
import { tcpFlag } from '../../net/tcp.ts'
import { count } from '../counters.ts'
import { socketState } from './socket.ts'
import { busy, waitsForNeighbour } from './tcp-host-queue.ts'
import type { TcpSocket } from './tcp-socket.ts'
import { causeOf, noData, transmit } from './tcp-transmit.ts'
import { rethinkTxHash } from './tx-hash.ts'

/** Whether this is a SYN or SYN-ACK still under way. */
export function isOpening(socket: TcpSocket): boolean {
  return socket.state === socketState.synSent || socket.state === socketState.synReceived
}

/** A request (struct request_sock): half-open at the called side. It has no queue, and no packet that could still wait in one. */
export function isRequest(socket: TcpSocket): boolean {
  return socket.state === socketState.synReceived && socket.listener !== undefined
}

/** The SYN or SYN-ACK of a connection that is being opened. */
export function sendOpening(socket: TcpSocket): number {
  const first = socket.retransmits === 0
  const request = isRequest(socket)
  if (!first && !request && waitsForNeighbour(socket, socket.iss)) return busy
  const active = socket.state === socketState.synSent
  const kind = active ? 'syn' : 'synack'
  // tcp_rtx_synack(): each answer to a request that is repeated
  if (!first && request) rethinkTxHash(socket)
  const sent = transmit(socket, {
    sequence: socket.iss,
    flags: active ? tcpFlag.syn : tcpFlag.syn | tcpFlag.ack,
    data: noData,
    name: first ? kind : `${kind}.retry${socket.retransmits}`,
    // tcp_make_synack() counts each as sent, tcp_rtx_synack() as repeated what has left
    again: !first && !request,
    ...causeOf(socket),
  })
  if (first || (request && sent !== 0)) return sent
  count(socket.ns, 'TcpExtTCPSynRetrans')
  if (request) count(socket.ns, 'TcpRetransSegs')
  return sent
}
