// ICMP errors that this host sends: net/ipv4/icmp.c __icmp_send(). When one may be sent, from which address, how much of
// the packet it quotes, and how often. Facts: linux 8.13, 8.14.
import { anyIpv4, type Ipv4, ipv4From, readIpv4 } from '../../net/address.ts'
import { readU8 } from '../../net/bytes.ts'
import { icmpType, icmpUnreachable, isIcmpError } from '../../net/icmp.ts'
import { ipv4At, ipv4FragmentOffset, ipv4HeaderLength } from '../../net/ipv4.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { bornFrom } from '../birth.ts'
import { attachFlow } from '../conntrack/attach.ts'
import { count } from '../counters.ts'
import type { Namespace } from '../namespace.ts'
import { pktType, type Skb } from '../skb.ts'
import { buildIcmp, countIcmp } from './icmp-build.ts'
import { icmpIsSending, sendingIcmp } from './icmp-lock.ts'
import { echoOptions } from './options.ts'
import { ipLocalOut } from './output.ts'
import { routeOutput } from './output-route.ts'
import { consumeGlobal, globalAllows, peerAllows } from './rate-limit.ts'
import { type Route, type RouteAnswer, routeScope } from './route.ts'
import type { IcmpErrorSpec } from './state.ts'

/** Bytes of an error with its headers (RFC 792, RFC 1812 4.3.2.3). */
const totalMax = 576
const headersBytes = 28
/** IPTOS_PREC_INTERNETCONTROL. */
const internetControl = 0xc0

/** INADDR_DUMMY (RFC 7600): who speaks without an address of its own. */
const dummyAddress = ipv4From(0xc000_0008)

/** Whether the packet is itself an ICMP error (or an unknown ICMP type), which is never answered by one. */
function quotesError(skb: Skb, l3: number): boolean {
  if (readU8(skb.bytes, l3 + ipv4At.protocol) !== ipProtocol.icmp) return false
  const at = l3 + ipv4HeaderLength(skb.bytes, l3)
  if (at >= skb.tail) return true
  const type = readU8(skb.bytes, at)
  return isIcmpError(type) || type > 18
}

/** The conditions of RFC 1122 3.2.2: nothing about broadcasts, later fragments, or errors. */
function mayAnswer(skb: Skb, route: Route, spec: IcmpErrorSpec): boolean {
  if (skb.pktType !== pktType.host) return false
  if (route.type === 'broadcast' || route.type === 'multicast') return false
  if (ipv4FragmentOffset(skb.bytes, skb.networkHeader) !== 0) return false
  return !(isIcmpError(spec.type) && quotesError(skb, skb.networkHeader))
}

/** icmpv4_mask_allow(): types outside of icmp_ratemask, and path MTU discovery, are never limited. */
function unlimited(ns: Namespace, spec: IcmpErrorSpec): boolean {
  if (spec.type === icmpType.unreachable && spec.code === icmpUnreachable.fragmentationNeeded) return true
  return ((ns.sysctls.get('net.ipv4.icmp_ratemask') >>> spec.type) & 1) === 0
}

/** icmp_global_allow() and icmpv4_xrlim_allow(), with their counters. */
function withinLimits(ns: Namespace, spec: IcmpErrorSpec, route: Route, destination: Ipv4): boolean {
  if (unlimited(ns, spec) || route.device.kind === 'loopback') return true
  if (!globalAllows(ns)) {
    count(ns, 'IcmpOutRateLimitGlobal')
    return false
  }
  if (!peerAllows(ns, destination, ns.sysctls.get('net.ipv4.icmp_ratelimit'))) {
    count(ns, 'IcmpOutRateLimitHost')
    return false
  }
  consumeGlobal(ns)
  return true
}

function routeBack(ns: Namespace, skb: Skb, spec: IcmpErrorSpec, tos: number, mark: number): RouteAnswer {
  const l3 = skb.networkHeader
  const asked = skb.route?.local === true ? readIpv4(skb.bytes, l3 + ipv4At.destination) : anyIpv4
  return routeOutput(ns, {
    family: 4,
    destination: readIpv4(skb.bytes, l3 + ipv4At.source),
    source: asked,
    oif: 0,
    iif: 1,
    mark,
    tos: tos & 0xfc,
    protocol: ipProtocol.icmp,
    sport: spec.type,
    dport: spec.code,
    scope: routeScope.universe,
  })
}

/**
 * icmp_send(): answers a packet with an error. `skb.route` must be set and `skb.networkHeader` stand at its IP header; the
 * packet itself stays the caller's. Delivered packets are answered from the address that was asked, others from the
 * address of the device towards the sender.
 */
export function icmpSend(skb: Skb, spec: IcmpErrorSpec): void {
  const { route } = skb
  if (route === undefined || !mayAnswer(skb, route, spec)) return
  const { ns } = route.device
  if (icmpIsSending(ns, 4)) return
  const l3 = skb.networkHeader
  const tos = (readU8(skb.bytes, l3 + ipv4At.tos) & 0x1e) | internetControl
  const mark = ns.sysctls.get('net.ipv4.fwmark_reflect') !== 0 ? skb.mark : 0
  const answer = routeBack(ns, skb, spec, tos, mark)
  if (answer.kind === 'error') return
  const destination = readIpv4(skb.bytes, l3 + ipv4At.source)
  if (!withinLimits(ns, spec, answer.route, destination)) return
  const own = typeof answer.source === 'number' && answer.source !== 0 ? answer.source : dummyAddress
  const options = echoOptions(skb, own)
  if (options === undefined) return
  const room = Math.min(totalMax, answer.route.mtu) - headersBytes - options.length
  if (room <= ipv4At.options) return
  const end = Math.min(skb.tail, l3 + room)
  const message = buildIcmp(ns, answer.route, {
    source: own,
    options,
    destination,
    tos: isIcmpError(spec.type) ? tos : readU8(skb.bytes, l3 + ipv4At.tos),
    mark,
    type: spec.type,
    code: spec.code,
    rest: spec.info,
    payload: skb.bytes.slice(l3, end),
  })
  countIcmp(ns, 'Out', spec.type)
  attachFlow(message, skb)
  bornFrom(skb, message, 'icmp')
  if (sendingIcmp(ns, 4, () => ipLocalOut(ns, message)) !== 0) count(ns, 'IpOutDiscards')
}
