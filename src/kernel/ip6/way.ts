// The way to an IPv6 destination, and what in- and output routes have in common: net/ipv6/route.c ip6_route_output_flags().
import { present } from '../../base/assert.ts'
import { anyIpv6, type Ipv6, isIpv4, isMulticast } from '../../net/address.ts'
import type { NetDevice } from '../device/device.ts'
import type { FibMatch } from '../ip/fib.ts'
import { isLookupError, lookupRoute } from '../ip/lookup.ts'
import { loopbackOf } from '../ip/output-key.ts'
import { routeException } from '../ip/path-mtu.ts'
import type { Flow, Route, RouteType } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
import type { Errno } from '../socket/errno.ts'
import { isOwnIpv6 } from './source.ts'

/** A route that leads out of a device, or back into this namespace. */
export function makeRoute6(parts: {
  readonly type: RouteType
  readonly device: NetDevice
  readonly input: NetDevice | undefined
  readonly local: boolean
  readonly match: FibMatch | undefined
  readonly mtu: number
}): Route {
  const { match } = parts
  return {
    family: 6,
    type: parts.type,
    error: undefined,
    device: parts.device,
    input: parts.input,
    gateway: parts.local ? undefined : match?.nextHop.gateway,
    local: parts.local,
    redirect: false,
    mtu: parts.mtu,
    table: match?.route.table ?? 0,
    metric: match?.route.metric ?? 0,
    prefixLength: match?.prefixLength ?? 128,
    preferredSource: match?.route.preferredSource,
    entry: match?.route,
  }
}

/** ip6_mtu(): the route's own, a learned one, or the device's; never below 1280. */
export function mtuTowards(
  ns: Namespace,
  destination: Ipv6,
  match: FibMatch | undefined,
  dev: NetDevice,
): number {
  const configured = match?.route.mtu ?? 0
  const base = configured > 0 ? configured : dev.mtu
  const learned = routeException(ns, destination)
  return learned !== undefined && learned.mtu > 0 ? Math.min(learned.mtu, base) : base
}

/** The addresses of a flow of IPv6. */
export function ipv6Of(flow: Flow): { readonly destination: Ipv6; readonly source: Ipv6 } {
  return {
    destination: isIpv4(flow.destination) ? anyIpv6 : flow.destination,
    source: isIpv4(flow.source) ? anyIpv6 : flow.source,
  }
}

/** ip6_route_output(): the way to a destination, or the errno of the route that refuses it. Counts nothing. */
export type Way6 =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'error'; readonly errno: Errno }

function toSelf(ns: Namespace): Way6 {
  const device = loopbackOf(ns)
  const route = makeRoute6({
    type: 'local',
    device,
    input: undefined,
    local: true,
    match: undefined,
    mtu: device.mtu,
  })
  return { kind: 'route', route }
}

/** Groups leave by the device asked for, else by the first one that has ff00::/8. */
function toGroup(ns: Namespace, flow: Flow): Way6 {
  const asked = flow.oif === 0 ? undefined : ns.devices.get(flow.oif)
  const match = asked === undefined ? lookupRoute(ns, flow) : undefined
  const found = match === undefined || isLookupError(match) ? undefined : match.nextHop.device
  const device = asked ?? found
  if (device === undefined || !device.up) return { kind: 'error', errno: 'ENETUNREACH' }
  const route = makeRoute6({
    type: 'multicast',
    device,
    input: undefined,
    local: false,
    match: undefined,
    mtu: device.mtu,
  })
  return { kind: 'route', route }
}

/** ip6_route_output(): the source of the flow matters to rules only. */
export function way6(ns: Namespace, flow: Flow): Way6 {
  const { destination } = ipv6Of(flow)
  if (isMulticast(destination)) return toGroup(ns, flow)
  // RT6_LOOKUP_F_IFACE: an own address counts on the device that is asked for
  const scoped = flow.oif !== 0 && flow.anyDevice !== true ? ns.devices.get(flow.oif) : undefined
  if (isOwnIpv6(ns, destination, scoped)) return toSelf(ns)
  const match = lookupRoute(ns, flow)
  if (isLookupError(match)) return { kind: 'error', errno: match }
  if (match.route.type === 'local') return toSelf(ns)
  const device = present(match.nextHop.device, 'a route without an error has a device')
  const mtu = mtuTowards(ns, destination, match, device)
  const route = makeRoute6({ type: match.route.type, device, input: undefined, local: false, match, mtu })
  return { kind: 'route', route }
}
