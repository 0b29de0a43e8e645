// Where an arriving IPv6 packet goes: net/ipv6/route.c ip6_route_input(), ip6_pol_route(), and what the error routes answer.
import { present } from '../../base/assert.ts'
import { type Ipv6, isLinkLocal, isMulticast } from '../../net/address.ts'
import type { NetDevice } from '../device/device.ts'
import { isLookupError, lookupRoute } from '../ip/lookup.ts'
import { loopbackOf } from '../ip/output-key.ts'
import { type Route, routeScope } from '../ip/route.ts'
import type { Errno } from '../socket/errno.ts'
import { isOwnIpv6 } from './source.ts'
import { makeRoute6 } from './way.ts'

/** What routing looks at in an arriving packet. */
export interface InputPacket6 {
  readonly source: Ipv6
  readonly destination: Ipv6
  readonly trafficClass: number
  readonly mark: number
  readonly protocol: number
  readonly sport: number
  readonly dport: number
}

export type InputAnswer6 =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'error'; readonly errno: Errno }

function here(dev: NetDevice, type: 'local' | 'multicast'): InputAnswer6 {
  const device = loopbackOf(dev.ns)
  const route = makeRoute6({ type, device, input: dev, local: true, match: undefined, mtu: device.mtu })
  return { kind: 'route', route }
}

/**
 * The route of a packet that arrived on `dev`: `local` (own addresses; link-local ones only on their own device), a
 * group, a way out, or the errno of the route that refuses it (ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL for blackhole).
 * A forwarded packet never uses a learned path MTU.
 */
export function route6Input(dev: NetDevice, packet: InputPacket6): InputAnswer6 {
  const { destination } = packet
  if (isMulticast(destination)) return here(dev, 'multicast')
  const strict = isLinkLocal(destination)
  if (isOwnIpv6(dev.ns, destination, strict ? dev : undefined)) return here(dev, 'local')
  const match = lookupRoute(dev.ns, {
    family: 6,
    destination,
    source: packet.source,
    oif: strict ? dev.ifindex : 0,
    iif: dev.ifindex,
    mark: packet.mark,
    tos: packet.trafficClass & 0xfc,
    protocol: packet.protocol,
    sport: packet.sport,
    dport: packet.dport,
    scope: routeScope.universe,
  })
  if (isLookupError(match)) return { kind: 'error', errno: match }
  if (match.route.type === 'local') return here(dev, 'local')
  const device = present(match.nextHop.device, 'a route without an error has a device')
  // ip6_dst_mtu_maybe_forward(): neither the route's own MTU nor a learned one holds for what is forwarded
  const mtu = Math.max(1280, device.mtu)
  const route = makeRoute6({ type: match.route.type, device, input: dev, local: false, match, mtu })
  return { kind: 'route', route }
}
