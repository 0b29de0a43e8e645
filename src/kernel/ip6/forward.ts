// An IPv6 packet for somebody else: net/ipv6/ip6_output.c ip6_forward(), and the answers when there is no way:
// net/ipv6/route.c ip6_pkt_drop(). Facts: linux 9.5.
import { present } from '../../base/assert.ts'
import { isLinkLocal, isLoopback, isMulticast, isUnspecified, readIpv6 } from '../../net/address.ts'
import { readU8, writeU8 } from '../../net/bytes.ts'
import { icmpv6Type, icmpv6Unreachable } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { count } from '../counters.ts'
import { clearTstamp } from '../device/crossing.ts'
import { drop } from '../drop.ts'
import { networkLength } from '../gso.ts'
import { isProxied } from '../ip/admin-neighbour.ts'
import { noteForward } from '../ip/note-forward.ts'
import type { Route } from '../ip/route.ts'
import { pktType, type Skb } from '../skb.ts'
import type { Errno } from '../socket/errno.ts'
import { dropByPolicy, policyCheck, routeForward } from '../xfrm/check.ts'
import { deliverLocally6 } from './deliver.ts'
import { transportOf } from './extension.ts'
import { icmp6Send } from './icmp-send.ts'
import { sendRedirect6 } from './ndisc-redirect.ts'
import { ip6Output, ipv6MtuMin } from './output.ts'

const forwardHook = { family: 6, hook: 'FORWARD' } as const

function dropAtRoute(skb: Skb, reason: KernelDropReason): void {
  drop(skb, { device: '', stage: 'route', reason })
}

/** Whether this namespace forwards at all (devconf_all), which ends as an address error where it does not. */
function forwards(skb: Skb): boolean {
  if (skb.dev.ns.sysctls.device('net.ipv6.conf.DEV.forwarding', 'all') !== 0) return true
  count(skb.dev.ns, 'Ip6InAddrErrors')
  dropAtRoute(skb, 'IP_FORWARDING_OFF_SCN')
  return false
}

/** ip6_forward_proxy_check(): neighbour discovery for a proxied address is ours. */
function isForProxy(skb: Skb): boolean {
  const { ns } = skb.dev
  if (ns.ip.v6.neighbours.proxies.size === 0) return false
  if (ns.sysctls.device('net.ipv6.conf.DEV.proxy_ndp', 'all') === 0) return false
  if (!isProxied(skb.dev, readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination))) return false
  const transport = transportOf(skb.bytes, skb.networkHeader, skb.tail)
  if (transport?.protocol !== ipProtocol.icmp6) return false
  const type = readU8(skb.bytes, transport.offset)
  return type >= icmpv6Type.routerSolicitation && type <= icmpv6Type.redirect
}

/** Sources that stay on their link or in their host (RFC 4291 section 2.5.6). Only a neighbour can be told. */
function sourceStaysHere(skb: Skb): boolean {
  const source = readIpv6(skb.bytes, skb.networkHeader + ipv6At.source)
  if (isLinkLocal(source))
    icmp6Send(skb, { type: icmpv6Type.unreachable, code: icmpv6Unreachable.beyondScope, info: 0 })
  return isUnspecified(source) || isMulticast(source) || isLoopback(source) || isLinkLocal(source)
}

/** ip6_pkt_too_big(): what was put together here may be cut again, unless a piece of it is known to have been too big already. */
function isTooBig(skb: Skb, mtu: number): boolean {
  if (skb.length <= mtu || (skb.gsoSize > 0 && networkLength(skb) <= mtu)) return false
  return skb.fragmentMax === 0 ? !skb.ignoreDf : skb.fragmentMax > mtu
}

/** What stops a packet before anything else; true when it is gone. */
function refused(skb: Skb): boolean {
  if (skb.pktType !== pktType.host || skb.sk !== undefined) {
    dropAtRoute(skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
    return true
  }
  if (!policyCheck(skb, 6, 'fwd')) {
    count(skb.dev.ns, 'Ip6InDiscards')
    dropAtRoute(skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
    return true
  }
  if (readU8(skb.bytes, skb.networkHeader + ipv6At.hopLimit) > 1) return false
  icmp6Send(skb, { type: icmpv6Type.timeExceeded, code: 0, info: 0 })
  count(skb.dev.ns, 'Ip6InHdrErrors')
  dropAtRoute(skb, 'SKB_DROP_REASON_IP_INHDR')
  return true
}

/** A packet too big for its way out is answered by the device it would leave by; true when it is gone. */
function tooBig(skb: Skb, route: Route): boolean {
  const mtu = Math.max(route.mtu, ipv6MtuMin)
  if (!isTooBig(skb, mtu)) return false
  const { ns } = skb.dev
  skb.dev = route.device
  icmp6Send(skb, { type: icmpv6Type.packetTooBig, code: 0, info: mtu })
  count(ns, 'Ip6InTooBigErrors')
  count(ns, 'Ip6FragFails')
  dropAtRoute(skb, 'SKB_DROP_REASON_PKT_TOO_BIG')
  return true
}

/** Whether a packet goes to another link, where its source must mean something. Back where it came from, that is a redirect's. */
function mayLeave(skb: Skb, route: Route): boolean {
  // packets that IPsec has opened bring no redirect
  if (route.device === skb.dev && skb.securityPath === undefined) {
    sendRedirect6(skb, route)
    return true
  }
  if (!sourceStaysHere(skb)) return true
  count(skb.dev.ns, 'Ip6InAddrErrors')
  dropAtRoute(skb, 'SKB_DROP_REASON_IP_INADDRERRORS')
  return false
}

/** ip6_forward(): `skb.data` stands at the IPv6 header; the route leads out of `route.device`. */
export function ip6Forward(skb: Skb): void {
  const { ns } = skb.dev
  const input = skb.dev
  if (!forwards(skb) || refused(skb)) return
  if (isForProxy(skb)) {
    deliverLocally6(skb)
    return
  }
  if (!routeForward(ns, skb, 6)) {
    count(ns, 'Ip6InDiscards')
    dropByPolicy(skb, 'route')
    return
  }
  const route = present(skb.route, 'a forwarded packet has a route')
  if (!mayLeave(skb, route)) return
  count(ns, 'Ip6OutForwDatagrams')
  if (tooBig(skb, route)) return
  const at = skb.networkHeader + ipv6At.hopLimit
  writeU8(skb.bytes, at, readU8(skb.bytes, at) - 1)
  noteForward(skb, route)
  const verdict = ns.netfilter.run(ns, forwardHook, skb, { in: input, out: route.device })
  if (verdict !== 'accept') return
  clearTstamp(skb)
  ip6Output(ns, skb, { input })
}

/** ip6_pkt_discard(), ip6_pkt_prohibit(), dst_discard(): the routing decision was an error. */
export function ip6Error(skb: Skb, error: Errno): void {
  const { ns } = skb.dev
  if (error === 'EINVAL') {
    dropAtRoute(skb, 'IP_ROUTE_BLACKHOLE_SCN')
    return
  }
  const destination = readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination)
  count(ns, isUnspecified(destination) ? 'Ip6InAddrErrors' : 'Ip6InNoRoutes')
  const prohibited = error === 'EACCES'
  const code = prohibited ? icmpv6Unreachable.adminProhibited : icmpv6Unreachable.noRoute
  icmp6Send(skb, { type: icmpv6Type.unreachable, code, info: 0 })
  if (prohibited) dropAtRoute(skb, 'IP_ROUTE_PROHIBIT_SCN')
  else if (error === 'EHOSTUNREACH') dropAtRoute(skb, 'IP_ROUTE_UNREACHABLE_SCN')
  else dropAtRoute(skb, 'SKB_DROP_REASON_IP_INNOROUTES')
}
