// A segment that has not left this host yet is not sent again: net/ipv4/tcp_output.c skb_still_in_host_queue().
import { readU32 } from '../../net/bytes.ts'
import { tcpAt } from '../../net/tcp.ts'
import { count } from '../counters.ts'
import { findNeighbour } from '../neighbour-entry.ts'
import type { TcpSocket } from './tcp-socket.ts'
import { currentRoute } from './tcp-transmit.ts'

/** -EBUSY: the segment itself still waits on this host, so sending it again would be pointless. */
export const busy = -16

/**
 * skb_still_in_host_queue(): whether the segment that starts at `sequence` waits for its neighbour's address. Looked at
 * only when it should be sent again.
 */
export function waitsForNeighbour(socket: TcpSocket, sequence: number): boolean {
  const route = currentRoute(socket)
  if (route === undefined) return false
  const neighbour = findNeighbour(route.device, route.gateway ?? socket.remoteAddress)
  if (neighbour === undefined) return false
  const header = route.family === 4 ? 20 : 40
  const waits = neighbour.queue.some(
    (skb) =>
      skb.sk === socket && readU32(skb.bytes, skb.networkHeader + header + tcpAt.sequence) === sequence,
  )
  if (waits) count(socket.ns, 'TcpExtTCPSpuriousRtxHostQueues')
  return waits
}
