// The route of an IPv6 packet that is built here: net/ipv6/ip6_output.c ip6_dst_lookup_tail(), ip6_dst_lookup_flow().
import { type Ipv6, isIpv4, isUnspecified } from '../../net/address.ts'
import { count } from '../counters.ts'
import type { Flow, RouteAnswer } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
import { xfrmLookupRoute } from '../xfrm/lookup.ts'
import { isOwnIpv6, selectSource } from './source.ts'
import { ipv6Of, type Way6, way6 } from './way.ts'

/** ip6_route_get_saddr(): the source that a route prefers, else one chosen for its device; `::` when there is none. */
function sourceFor(ns: Namespace, way: Way6, destination: Ipv6): Ipv6 {
  if (way.kind === 'error') return selectSource(ns, undefined, destination)
  const { preferredSource, type } = way.route
  if (type === 'local' && isOwnIpv6(ns, destination)) return destination
  if (preferredSource !== undefined && !isIpv4(preferredSource)) return preferredSource
  return selectSource(ns, way.route.device, destination)
}

/**
 * ip6_dst_lookup_flow(): a route and a source. Where no rule answers without a source the look-up is done again with one.
 * Errors: EINVAL (blackhole), EHOSTUNREACH (unreachable), EACCES (prohibit), ENETUNREACH (no route, which is counted),
 * EADDRNOTAVAIL (no source address), EPERM (an xfrm policy blocks).
 */
export function route6Output(ns: Namespace, flow: Flow): RouteAnswer {
  const { destination, source: asked } = ipv6Of(flow)
  let way = way6(ns, flow)
  let source = asked
  if (isUnspecified(asked)) {
    source = sourceFor(ns, way, destination)
    if (isUnspecified(source)) return { kind: 'error', errno: 'EADDRNOTAVAIL' }
    if (way.kind === 'error') way = way6(ns, { ...flow, source })
  }
  if (way.kind === 'route') {
    const route = ns.xfrm === undefined ? way.route : xfrmLookupRoute(ns, { ...flow, source }, way.route)
    return typeof route === 'string'
      ? { kind: 'error', errno: route }
      : { kind: 'route', route, source, destination }
  }
  if (way.errno === 'ENETUNREACH') count(ns, 'Ip6OutNoRoutes')
  return way
}
