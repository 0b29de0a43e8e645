// Routes of packets that netfilter sends or has changed, from whatever source they have: ip_route_me_harder(),
// ip6_route_me_harder(). The source address stays; only the way out is chosen anew (facts: linux 8.7).
import { anyIpv4, type IpAddress, isIpv4, readIpv4, readIpv6 } from '../../net/address.ts'
import { readU8 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At, ipv6TrafficClass } from '../../net/ipv6.ts'
import { count } from '../counters.ts'
import { dissect4, dissect6, type FlowKeys } from '../early-dissect.ts'
import { routeOutput } from '../ip/output-route.ts'
import { type Route, routeScope } from '../ip/route.ts'
import { addressType } from '../ip/source.ts'
import { way6 } from '../ip6/way.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import type { Errno } from '../socket/errno.ts'
import { routeForward } from '../xfrm/check.ts'

type Way =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'error'; readonly errno: Errno }

interface Question {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly mark: number
  readonly tos: number
  readonly oif: number
  /** What rules may ask of the transport header, where they do. */
  readonly transport?: FlowKeys
}

const nothingKnown: FlowKeys = { protocol: 0, sport: 0, dport: 0 }

/** The route out for a packet with any source address (FLOWI_FLAG_ANYSRC), or why there is none. */
function wayFromAnywhere(ns: Namespace, { transport = nothingKnown, ...question }: Question): Way {
  const { source, destination } = question
  const family = isIpv4(destination) ? 4 : 6
  const flow = { ...question, ...transport, family, iif: 1, scope: routeScope.universe } as const
  if (family === 6) return way6(ns, flow)
  const type = isIpv4(source) ? addressType(ns, source) : 'unicast'
  const usable = type === 'local' || type === 'unicast'
  return routeOutput(ns, usable ? flow : { ...flow, source: anyIpv4 }, { anySource: usable })
}

/** The route out for a packet with any source address; undefined when there is none. */
export function routeFromAnywhere(ns: Namespace, question: Question): Route | undefined {
  const way = wayFromAnywhere(ns, question)
  return way.kind === 'route' ? way.route : undefined
}

/** Protocol and ports, which only rules ask for. */
function transportKey(ns: Namespace, skb: Skb, family: 4 | 6): FlowKeys {
  const { rules } = family === 4 ? ns.ip.v4 : ns.ip.v6
  if (rules === undefined) return nothingKnown
  return family === 4 ? dissect4(skb) : dissect6(skb)
}

function questionOf(ns: Namespace, skb: Skb, family: 4 | 6): Question {
  const { bytes, networkHeader: l3 } = skb
  const oif = skb.sk?.options.device ?? 0
  const common = { mark: skb.mark, oif, transport: transportKey(ns, skb, family) }
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

/**
 * Puts the new route into a locally built packet. Where there is none, or policies refuse it, the packet must be dropped: the
 * answer is what its sender is told (NF_DROP_ERR()).
 */
export function reroute(ns: Namespace, skb: Skb, family: 4 | 6): Errno | undefined {
  const way = wayFromAnywhere(ns, questionOf(ns, skb, family))
  if (way.kind === 'error') {
    if (family === 6) count(ns, 'Ip6OutNoRoutes')
    return way.errno
  }
  skb.route = way.route
  return skb.transformed || routeForward(ns, skb, family) ? undefined : 'EPERM'
}
