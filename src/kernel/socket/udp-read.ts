// Datagrams on their way from a socket's queue to the program: net/ipv4/udp.c udp_recvmsg(), net/ipv6/udp.c udpv6_recvmsg().
import { isIpv4 } from '../../net/address.ts'
import { count } from '../counters.ts'
import { hookContext, takeError } from './base.ts'
import type { Result } from './errno.ts'
import { hasSocketHook, runSocketHook } from './hooks.ts'
import { dropBroken } from './udp-receive.ts'
import type { Datagram, UdpSocket } from './udp-socket.ts'

/** The oldest datagram that is sound; the sum of a long one is only made while it is copied (udp_recvmsg). */
function nextDatagram(socket: UdpSocket): Datagram | undefined {
  for (;;) {
    const datagram = socket.queue.shift()
    if (datagram === undefined) return undefined
    socket.queueBytes -= datagram.truesize
    if (datagram.broken === undefined) return datagram
    dropBroken(datagram.broken, isIpv4(datagram.source) ? 4 : 6)
  }
}

/**
 * recv(2) without waiting: a pending error first (ECONNREFUSED ...), then the oldest datagram, else EAGAIN. `withSource`
 * is recvfrom: the recvmsg programs run and may change the source that the caller sees.
 */
export function udpReceive(
  socket: UdpSocket,
  options: { readonly withSource?: boolean } = {},
): Result<Datagram> {
  const pending = takeError(socket)
  if (pending !== undefined) return { errno: pending }
  const datagram = nextDatagram(socket)
  if (datagram === undefined) return { errno: 'EAGAIN' }
  // Linux counts a datagram when it is read, not when it is queued
  count(socket.ns, isIpv4(datagram.source) ? 'UdpInDatagrams' : 'Udp6InDatagrams')
  if (options.withSource !== true || !hasSocketHook(socket, 'recvmsg')) return { ok: datagram }
  const context = hookContext(socket, 'recvmsg', { address: datagram.source, port: datagram.sourcePort })
  runSocketHook(context)
  return { ok: { ...datagram, source: context.address, sourcePort: context.port } }
}
