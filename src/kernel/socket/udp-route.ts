// The way of a UDP socket's datagrams, found for each one, or kept by a socket that is connected.
import { isIpv4 } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import type { RouteAnswer } from '../ip/route.ts'
import { familyState } from '../ip/state.ts'
import { familyOf } from './base.ts'
import { questionOf, routeFor } from './departure.ts'
import type { SocketAddress } from './hooks.ts'
import type { UdpSocket } from './udp-socket.ts'

/** The way of a datagram; EACCES for a broadcast address without SO_BROADCAST (udp_sendmsg, ip4_datagram_connect). */
export function findRoute(socket: UdpSocket, to: SocketAddress, ask = routeFor): RouteAnswer {
  const answer = ask(socket.ns, questionOf(socket, to, ipProtocol.udp))
  if (answer.kind === 'error' && answer.errno === 'ENETUNREACH' && isIpv4(to.address))
    count(socket.ns, 'IpOutNoRoutes')
  if (answer.kind === 'route' && answer.route.type === 'broadcast' && !socket.options.broadcast) {
    return { kind: 'error', errno: 'EACCES' }
  }
  return answer
}

/** sk_dst_check(): the route of a connected socket, as long as nothing has changed; found anew otherwise. */
export function peerRoute(socket: UdpSocket, to: SocketAddress): RouteAnswer {
  const { route, localAddress: source, remoteAddress: destination } = socket
  const { generation, exceptions } = familyState(socket.ns, familyOf(destination))
  if (route !== undefined && socket.routeGeneration === generation && exceptions.size === 0)
    return { kind: 'route', route, source, destination }
  const answer = findRoute(socket, to)
  if (answer.kind === 'route') keepRoute(socket, answer)
  return answer
}

/** sk_dst_set(). */
export function keepRoute(socket: UdpSocket, answer: Extract<RouteAnswer, { readonly kind: 'route' }>): void {
  socket.route = answer.route
  socket.routeGeneration = familyState(socket.ns, familyOf(answer.destination)).generation
}
