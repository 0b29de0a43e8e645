// Addresses as system calls take them: a family, a port, and IPv4 addresses inside IPv6 ones.
import {
  type IpAddress,
  ipv4From,
  isIpv4,
  isLinkLocal,
  isMulticast,
  isUnspecified,
} from '../../net/address.ts'
import type { Route } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
import type { Errno } from './errno.ts'
import type { Socket } from './socket.ts'

/** The IPv4 address inside `::ffff:a.b.c.d`, or the address itself. */
export function unmapped(address: IpAddress): IpAddress {
  if (isIpv4(address)) return address
  const mapped = address[0] === 0 && address[1] === 0 && address[2] === 0xffff
  return mapped ? ipv4From(address[3]) : address
}

/** Whether a socket may talk to an address: AF_INET takes IPv4 only, IPV6_V6ONLY no mapped IPv4. */
export function familyProblem(socket: Socket, address: IpAddress): Errno | undefined {
  if (socket.family === 4) return isIpv4(address) ? undefined : 'EAFNOSUPPORT'
  if (!isIpv4(unmapped(address))) return undefined
  return socket.options.v6only ? 'ENETUNREACH' : undefined
}

/** `::` means this host, as in BSD: sockets ask for ::1 in its place. IPv4 leaves 0.0.0.0 to the routes. */
export function reachable(address: IpAddress): IpAddress {
  return isIpv4(address) || !isUnspecified(address) ? address : loopback6
}

const loopback6: IpAddress = [0, 0, 0, 1]

/** __ipv6_addr_needs_scope_id(): an address that means nothing without a device; connect(2) refuses it (EINVAL). */
export function needsDevice(address: IpAddress): boolean {
  if (isIpv4(address)) return false
  const scope = (address[0] >>> 16) & 15
  return isLinkLocal(address) || (isMulticast(address) && (scope === 1 || scope === 2))
}

/** Time to live of a packet: the socket's, else the namespace's (ip_default_ttl, conf.DEV.hop_limit); 1 for multicast. */
export function hopsFor(
  ns: Namespace,
  route: Route,
  packet: { readonly destination: IpAddress; readonly asked: number | undefined },
): number {
  if (isMulticast(packet.destination)) return 1
  if (packet.asked !== undefined) return packet.asked
  if (route.family === 4) return ns.sysctls.get('net.ipv4.ip_default_ttl')
  return ns.sysctls.device('net.ipv6.conf.DEV.hop_limit', route.device.name)
}
