// A packet for somebody else: net/ipv4/ip_forward.c ip_forward(), and the answers when there is no way:
// net/ipv4/route.c ip_error(). Facts: linux 8 (routing table), 4.3.

import { present } from '../../base/assert.ts'
import { readIpv4 } from '../../net/address.ts'
import { readU8, readU16 } from '../../net/bytes.ts'
import { replaceU16 } from '../../net/checksum.ts'
import { icmpRedirect, icmpTimeExceeded, icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { ipv4At, ipv4Flag } from '../../net/ipv4.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { count } from '../counters.ts'
import { clearTstamp } from '../device/crossing.ts'
import type { NetDevice } from '../device/device.ts'
import { drop } from '../drop.ts'
import { networkLength } from '../gso.ts'
import { pktType, type Skb } from '../skb.ts'
import type { Errno } from '../socket/errno.ts'
import { dropByPolicy, policyCheck, routeForward } from '../xfrm/check.ts'
import { noteForward } from './note-forward.ts'
import { forwardOptions, isSourceRouted } from './options.ts'
import { ipOutput } from './output.ts'
import { redirectAllowed, routeErrorAllowed } from './rate-limit.ts'
import type { Route } from './route.ts'
import { tosPriority } from './tos-priority.ts'

const forwardHook = { family: 4, hook: 'FORWARD' } as const

function dropAtRoute(skb: Skb, reason: KernelDropReason): void {
  drop(skb, { device: '', stage: 'route', reason })
}

/** ip_decrease_ttl(), with the checksum kept right. */
export function decreaseTtl(skb: Skb): void {
  const at = skb.networkHeader + ipv4At.ttl
  replaceU16(skb.bytes, at, readU16(skb.bytes, at) - 0x100, skb.networkHeader + ipv4At.checksum)
}

/** The address a packet is handed to next: the gateway, or its destination. */
function nextHopOf(skb: Skb, route: Route): number {
  const { gateway } = route
  return typeof gateway === 'number' ? gateway : readIpv4(skb.bytes, skb.networkHeader + ipv4At.destination)
}

/** ip_rt_send_redirect(). */
function sendRedirect(skb: Skb, route: Route): void {
  const { ns } = route.device
  const source = readIpv4(skb.bytes, skb.networkHeader + ipv4At.source)
  if (!ns.sysctls.either('net.ipv4.conf.DEV.send_redirects', route.device.name)) return
  if (!redirectAllowed(ns, source)) return
  ns.ip.stack.sendError(skb, {
    type: icmpType.redirect,
    code: icmpRedirect.host,
    info: nextHopOf(skb, route),
  })
}

/** ip_exceeds_mtu(): too big for the way out, and not to be cut. */
function exceedsMtu(skb: Skb, mtu: number): boolean {
  if (skb.length <= mtu || (skb.gsoSize > 0 && networkLength(skb) <= mtu)) return false
  // put together for conntrack: the pieces are what must fit
  if (skb.fragmentMax <= mtu && (skb.fragmentMax > 0 || skb.ignoreDf)) return false
  return (readU16(skb.bytes, skb.networkHeader + ipv4At.flagsAndOffset) & ipv4Flag.dontFragment) !== 0
}

/** What stops a packet before it is changed; true when it is gone. */
function refused(skb: Skb): boolean {
  const { ns } = skb.dev
  // a packet that was given to a socket (TPROXY) and has no local route is nobody's
  if (skb.pktType !== pktType.host || skb.sk !== undefined) {
    dropAtRoute(skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
    return true
  }
  if (!policyCheck(skb, 4, 'fwd')) {
    dropByPolicy(skb, 'route')
    return true
  }
  if (readU8(skb.bytes, skb.networkHeader + ipv4At.ttl) <= 1) {
    count(ns, 'IpInHdrErrors')
    ns.ip.stack.sendError(skb, { type: icmpType.timeExceeded, code: icmpTimeExceeded.transit, info: 0 })
    dropAtRoute(skb, 'SKB_DROP_REASON_IP_INHDR')
    return true
  }
  if (!routeForward(ns, skb, 4)) {
    dropByPolicy(skb, 'route')
    return true
  }
  return false
}

/** The part that knows the way out; true when the packet is gone. */
function tooBig(skb: Skb, route: Route): boolean {
  const { ns } = route.device
  count(ns, 'IpForwDatagrams')
  if (exceedsMtu(skb, route.mtu)) {
    count(ns, 'IpFragFails')
    ns.ip.stack.sendError(skb, {
      type: icmpType.unreachable,
      code: icmpUnreachable.fragmentationNeeded,
      info: route.mtu,
    })
    dropAtRoute(skb, 'SKB_DROP_REASON_PKT_TOO_BIG')
    return true
  }
  return false
}

/** ip_forward(): `skb.data` stands at the IP header; the route leads out of `route.device`. */
export function ipForward(skb: Skb): void {
  const { ns } = skb.dev
  const input: NetDevice = skb.dev
  if (refused(skb)) return
  const route = present(skb.route, 'a forwarded packet has a route')
  if (tooBig(skb, route)) return
  decreaseTtl(skb)
  noteForward(skb, route)
  const told = route.redirect && skb.securityPath === undefined && !isSourceRouted(skb)
  if (told) sendRedirect(skb, route)
  if (ns.sysctls.get('net.ipv4.ip_forward_update_priority') !== 0)
    skb.priority = tosPriority(readU8(skb.bytes, skb.networkHeader + ipv4At.tos))
  const verdict = ns.netfilter.run(ns, forwardHook, skb, { in: input, out: route.device })
  if (verdict !== 'accept') return
  forwardOptions(skb, route)
  clearTstamp(skb)
  ipOutput(ns, skb, { input })
}

interface RouteError {
  /** Code of ICMP destination unreachable, -1 for silence. */
  readonly code: number
  readonly reason: KernelDropReason
  readonly counter?: string
}

const silence: RouteError = { code: -1, reason: 'IP_ROUTE_BLACKHOLE_SCN' }
const forwardingErrors: Partial<Record<Errno, RouteError>> = {
  EHOSTUNREACH: { code: icmpUnreachable.host, reason: 'IP_ROUTE_UNREACHABLE_SCN' },
  ENETUNREACH: {
    code: icmpUnreachable.net,
    reason: 'SKB_DROP_REASON_IP_INNOROUTES',
    counter: 'IpExtInNoRoutes',
  },
  EACCES: { code: icmpUnreachable.adminProhibited, reason: 'IP_ROUTE_PROHIBIT_SCN' },
}

/** ip_error(): the routing decision was an error; where forwarding is off nobody is told. */
export function ipError(skb: Skb, error: Errno): void {
  const { dev } = skb
  const { ns } = dev
  if (ns.sysctls.device('net.ipv4.conf.DEV.forwarding', dev.name) === 0) {
    const address = error === 'EHOSTUNREACH'
    count(ns, address ? 'IpInAddrErrors' : 'IpExtInNoRoutes')
    dropAtRoute(skb, address ? 'SKB_DROP_REASON_IP_INADDRERRORS' : 'SKB_DROP_REASON_IP_INNOROUTES')
    return
  }
  const what = forwardingErrors[error] ?? silence
  if (what.counter !== undefined) count(ns, what.counter)
  const source = readIpv4(skb.bytes, skb.networkHeader + ipv4At.source)
  if (what.code >= 0 && routeErrorAllowed(ns, source)) {
    ns.ip.stack.sendError(skb, { type: icmpType.unreachable, code: what.code, info: 0 })
  }
  dropAtRoute(skb, what.reason)
}
