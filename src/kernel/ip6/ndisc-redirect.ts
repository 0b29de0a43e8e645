// Neighbour discovery's "there is a better way": net/ipv6/ndisc.c ndisc_send_redirect(). Before changing this file, read
// RFC 4861 section 8.
import { type Ipv6, isIpv4, isLinkLocal, readIpv6, sameIpv6 } from '../../net/address.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { macFrom } from '../../net/mac.ts'
import { encodeNd, type NdMessage, ndRedirectBytes } from '../../net/nd.ts'
import type { NdOption } from '../../net/nd-options.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { bornFrom } from '../birth.ts'
import { peerAllows } from '../ip/rate-limit.ts'
import { type Flow, type Route, routeScope } from '../ip/route.ts'
import { isValid, neighbourOf } from '../neighbour-entry.ts'
import type { Skb } from '../skb.ts'
import { buildIcmp6, countIcmp6 } from './icmp-build.ts'
import { ip6LocalOut } from './output.ts'
import { linkLocalAddress } from './source.ts'
import { way6 } from './way.ts'

/** IPV6_MIN_MTU, the most that a redirect has. */
const packetMax = 1280
/** One redirect a second, a few at once, for each destination (ip6_forward) and each source (ndisc_send_redirect). */
const intervalMs = 1000
const hopLimit = 255
/** The option's own type, length and reserved bytes. */
const redirectedHead = 8
const linkOptionBytes = 8

function flowTo(destination: Ipv6, source: Ipv6, oif: number): Flow {
  return {
    family: 6,
    destination,
    source,
    oif,
    anyDevice: !isLinkLocal(destination),
    iif: 1,
    mark: 0,
    tos: 0,
    protocol: ipProtocol.icmp6,
    sport: icmpv6Type.redirect,
    dport: 0,
    scope: routeScope.universe,
  }
}

/** ndisc_redirect_opt_addr_space(): where the target's MAC address is known, it is told. */
function optionsOf(skb: Skb, route: Route, target: Ipv6): readonly NdOption[] {
  const neighbour = neighbourOf(route.device, target)
  const options: NdOption[] = []
  if (isValid(neighbour.state)) options.push({ kind: 'target-link', mac: macFrom(neighbour.mac) })
  const taken = ipv6At.payload + ndRedirectBytes + options.length * linkOptionBytes
  const length = skb.tail - skb.networkHeader
  const room = Math.min(packetMax - taken, length + redirectedHead) & ~7
  const data = skb.bytes.slice(skb.networkHeader, skb.networkHeader + room - redirectedHead)
  return [...options, { kind: 'redirected', data }]
}

/**
 * ip6_forward(): the packet leaves by the device it came by. Its sender is told of the next hop, if that is the destination
 * itself or has a link-local address.
 */
export function sendRedirect6(skb: Skb, route: Route): void {
  const { dev } = skb
  const { ns } = dev
  const destination = readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination)
  const source = readIpv6(skb.bytes, skb.networkHeader + ipv6At.source)
  if (!peerAllows(ns, destination, intervalMs)) return
  const { gateway } = route
  const target = gateway === undefined || isIpv4(gateway) ? destination : gateway
  const own = linkLocalAddress(dev)
  if (own === undefined || (!sameIpv6(target, destination) && !isLinkLocal(target))) return
  const way = way6(ns, flowTo(source, own, dev.ifindex))
  if (way.kind === 'error' || way.route.gateway !== undefined) return
  if (!peerAllows(ns, source, intervalMs)) return
  const message: NdMessage = {
    kind: 'redirect',
    target,
    destination,
    options: optionsOf(skb, route, target),
  }
  const redirect = buildIcmp6({
    route: way.route,
    source: own,
    destination: source,
    hopLimit,
    trafficClass: 0,
    mark: 0,
    message: encodeNd(message),
  })
  bornFrom(skb, redirect, 'redirect')
  if (ip6LocalOut(ns, redirect) === 0) countIcmp6(ns, 'Out', icmpv6Type.redirect)
}
