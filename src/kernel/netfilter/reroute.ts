// Routes of packets that netfilter sends or has changed, from whatever source they have: ip_route_me_harder(),
// ip6_route_me_harder(). The source address stays; only the way out is chosen anew (facts: linux 8.7).
import { anyIpv4, type IpAddress, isIpv4, readIpv4, readIpv6 } from '../../net/address.ts'
import { readU8 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At, ipv6TrafficClass } from '../../net/ipv6.ts'
import { count } from '../counters.ts'
import { routeOutput } from '../ip/output-route.ts'
import { type Route, routeScope } from '../ip/route.ts'
import { addressType } from '../ip/source.ts'
import { way6 } from '../ip6/way.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { routeForward } from '../xfrm/check.ts'

interface Question {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly mark: number
  readonly tos: number
  readonly oif: number
}

/** The route out for a packet with any source address (FLOWI_FLAG_ANYSRC); undefined when there is none. */
export function routeFromAnywhere(ns: Namespace, question: Question): Route | undefined {
  const { source, destination } = question
  const family = isIpv4(destination) ? 4 : 6
  const flow = {
    ...question,
    family,
    iif: 1,
    protocol: 0,
    sport: 0,
    dport: 0,
    scope: routeScope.universe,
  } as const
  if (family === 6) {
    const way = way6(ns, flow)
    return way.kind === 'route' ? way.route : undefined
  }
  const type = isIpv4(source) ? addressType(ns, source) : 'unicast'
  const usable = type === 'local' || type === 'unicast'
  const answer = routeOutput(ns, usable ? flow : { ...flow, source: anyIpv4 }, { anySource: usable })
  return answer.kind === 'route' ? answer.route : undefined
}

function questionOf(skb: Skb, family: 4 | 6): Question {
  const { bytes, networkHeader: l3 } = skb
  const oif = skb.sk?.options.device ?? 0
  const common = { mark: skb.mark, oif }
  if (family === 4) {
    const tos = readU8(bytes, l3 + ipv4At.tos) & 0x1c
    const source = readIpv4(bytes, l3 + ipv4At.source)
    return { ...common, source, destination: readIpv4(bytes, l3 + ipv4At.destination), tos }
  }
  return {
    ...common,
    source: readIpv6(bytes, l3 + ipv6At.source),
    destination: readIpv6(bytes, l3 + ipv6At.destination),
    tos: ipv6TrafficClass(bytes, l3),
  }
}

/** Puts the new route into a locally built packet; false when there is none, or policies refuse it: the packet must be dropped. */
export function reroute(ns: Namespace, skb: Skb, family: 4 | 6): boolean {
  const route = routeFromAnywhere(ns, questionOf(skb, family))
  if (route === undefined) {
    if (family === 6) count(ns, 'Ip6OutNoRoutes')
    return false
  }
  skb.route = route
  return skb.transformed || routeForward(ns, skb, family)
}
