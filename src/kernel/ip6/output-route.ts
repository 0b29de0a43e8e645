// The route of an IPv6 packet that is built here, and what in- and output routes have in common:
// net/ipv6/route.c ip6_route_output_flags(), net/ipv6/ip6_output.c ip6_dst_lookup_tail().
import { present } from '../../base/assert.ts'
import { anyIpv6, type Ipv6, isIpv4, isLinkLocal, isMulticast, isUnspecified } from '../../net/address.ts'
import type { NetDevice } from '../device/device.ts'
import type { FibMatch } from '../ip/fib.ts'
import { isLookupError, lookupRoute } from '../ip/lookup.ts'
import { loopbackOf } from '../ip/output-route.ts'
import { routeException } from '../ip/path-mtu.ts'
import type { Flow, Route, RouteAnswer, RouteType } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
import { isOwnIpv6, selectSource } from './source.ts'

const loopbackAddress: Ipv6 = [0, 0, 0, 1]

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

function ipv6Of(flow: Flow): { readonly destination: Ipv6; readonly source: Ipv6 } {
  return {
    destination: isIpv4(flow.destination) ? anyIpv6 : flow.destination,
    source: isIpv4(flow.source) ? anyIpv6 : flow.source,
  }
}

function toSelf(ns: Namespace, destination: Ipv6, source: Ipv6): RouteAnswer {
  const device = loopbackOf(ns)
  const route = makeRoute6({
    type: 'local',
    device,
    input: undefined,
    local: true,
    match: undefined,
    mtu: device.mtu,
  })
  return { kind: 'route', route, source: isUnspecified(source) ? destination : source, destination }
}

/** Groups leave by the device asked for, else by the first one that has ff00::/8. */
function toGroup(ns: Namespace, flow: Flow, destination: Ipv6, source: Ipv6): RouteAnswer {
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
  return {
    kind: 'route',
    route,
    source: isUnspecified(source) ? selectSource(device, destination) : source,
    destination,
  }
}

/**
 * ip6_route_output() and ip6_dst_lookup_flow(). Errors: EINVAL (blackhole), EHOSTUNREACH (unreachable), EACCES
 * (prohibit), ENETUNREACH (no route), EADDRNOTAVAIL (no source address).
 */
export function route6Output(ns: Namespace, flow: Flow): RouteAnswer {
  const { destination, source } = ipv6Of(flow)
  if (isUnspecified(destination)) return toSelf(ns, loopbackAddress, source)
  if (isMulticast(destination)) return toGroup(ns, flow, destination, source)
  const scoped = isLinkLocal(destination) && flow.oif !== 0 ? ns.devices.get(flow.oif) : undefined
  if (isOwnIpv6(ns, destination, scoped)) return toSelf(ns, destination, source)
  const match = lookupRoute(ns, flow)
  if (isLookupError(match)) return { kind: 'error', errno: match }
  if (match.route.type === 'local') return toSelf(ns, destination, source)
  const device = present(match.nextHop.device, 'a route without an error has a device')
  const mtu = mtuTowards(ns, destination, match, device)
  const route = makeRoute6({ type: match.route.type, device, input: undefined, local: false, match, mtu })
  if (!isUnspecified(source)) return { kind: 'route', route, source, destination }
  const { preferredSource } = match.route
  const chosen =
    preferredSource !== undefined && !isIpv4(preferredSource)
      ? preferredSource
      : selectSource(device, destination)
  if (isUnspecified(chosen)) return { kind: 'error', errno: 'EADDRNOTAVAIL' }
  return { kind: 'route', route, source: chosen, destination }
}
