// The way down of IPv6: OUTPUT, POSTROUTING, fragmentation at the source, neighbour. net/ipv6/output_core.c
// __ip6_local_out(), net/ipv6/ip6_output.c ip6_output(), ip6_finish_output2().
import { present } from '../../base/assert.ts'
import { type Ipv6, isIpv4, isMulticast, readIpv6 } from '../../net/address.ts'
import { readU8, writeU16 } from '../../net/bytes.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { etherType } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import { type NetDevice, transmitCongested } from '../device/device.ts'
import { drop } from '../drop.ts'
import { networkLength, segmentAt } from '../gso.ts'
import { neighbourOutput } from '../ip/neighbour-output.ts'
import type { Route } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
import { pktType, type Skb } from '../skb.ts'
import { runCgroupEgress } from '../socket/cgroup-skb.ts'
import { errnoNumber } from '../socket/errno.ts'
import { fragmentPacket6 } from './fragment.ts'
import { ipv6Scope, listensTo, scopeOf } from './source.ts'

/** IPV6_MIN_MTU, in bytes (RFC 8200 section 5). */
export const ipv6MtuMin = 1280

const outputHook = { family: 6, hook: 'OUTPUT' } as const
const postroutingHook = { family: 6, hook: 'POSTROUTING' } as const

interface Output6Options {
  /** A packet that is too big is not cut: those of tunnels (ip6_fragment: neither a socket's nor ignore_df). */
  readonly whole?: boolean
  /** What goes to a group is not heard by the sender itself: neighbour discovery (sk_mc_loop, IPV6_MULTICAST_LOOP). */
  readonly unheard?: boolean
  /** nf_send_reset6(): Ip6OutRequests counts what ip6_xmit() and its like send, not ip6_local_out() itself. */
  readonly uncounted?: boolean
}

/**
 * ip6_local_out(): sends a packet that was built here. `skb.data` and `skb.networkHeader` stand at the IPv6 header and
 * `skb.route` is its route. Answers 0, a NET_XMIT code, or -EPERM or another errno when OUTPUT or POSTROUTING dropped it.
 */
export function ip6LocalOut(ns: Namespace, skb: Skb, options: Output6Options = {}): number {
  const route = present(skb.route, 'a packet that is sent has a route')
  writeU16(skb.bytes, skb.networkHeader + ipv6At.payloadLength, skb.tail - skb.networkHeader - ipv6At.payload)
  skb.protocol = etherType.ipv6
  if (options.uncounted !== true) count(ns, 'Ip6OutRequests')
  const verdict = ns.netfilter.run(ns, outputHook, skb, { in: undefined, out: route.device })
  if (verdict !== 'accept') return ns.netfilter.outcome(verdict)
  return ip6Output(ns, skb, options)
}

/** ip6_output(): POSTROUTING and on. `input` is the device a forwarded packet came by. */
export function ip6Output(
  ns: Namespace,
  skb: Skb,
  options: Output6Options & { readonly input?: NetDevice } = {},
): number {
  const route = present(skb.route, 'a packet that is sent has a route')
  skb.protocol = etherType.ipv6
  if (route.xfrm !== undefined) return ns.ip.stack.transform(ns, skb, options)
  skb.dev = route.device
  if (ns.sysctls.device('net.ipv6.conf.DEV.disable_ipv6', route.device.name) !== 0) {
    count(ns, 'Ip6OutDiscards')
    drop(skb, { device: '', stage: 'route', reason: 'SKB_DROP_REASON_IPV6DISABLED' })
    return 0
  }
  const verdict = ns.netfilter.run(ns, postroutingHook, skb, { in: options.input, out: route.device })
  if (verdict !== 'accept') return ns.netfilter.outcome(verdict)
  if (skb.route?.xfrm !== undefined) return ns.ip.stack.transform(ns, skb, { ...options, rerouted: true })
  const asked =
    options.input === undefined && options.whole !== true && skb.sk !== undefined ? runCgroupEgress(skb) : 0
  if (asked !== 0 && asked !== transmitCongested) return asked
  const sent = finishOutput(ns, skb, skb.route ?? route, options)
  return sent === 0 ? asked : sent
}

/** ip6_finish_output(): what was built here and is too big is cut now, and what was put together here in any case. */
function finishOutput(ns: Namespace, skb: Skb, route: Route, options: Output6Options): number {
  const mtu = Math.max(route.mtu, ipv6MtuMin)
  const { fragmentMax } = skb
  const fits = skb.length <= mtu && (fragmentMax === 0 || skb.length <= fragmentMax)
  if (fits || (skb.gsoSize > 0 && networkLength(skb) <= mtu)) return sendPacket(ns, skb, route, options)
  if (skb.gsoSize > 0) {
    let result = 0
    for (const piece of segmentAt(route.device, skb, 'gso'))
      result = finishOutput(ns, piece, route, options) || result
    return result
  }
  if (options.whole === true || fragmentMax > mtu) {
    if (fragmentMax > mtu) {
      ns.ip.stack.sendError6(skb, { type: icmpv6Type.packetTooBig, code: 0, info: mtu })
    }
    count(ns, 'Ip6FragFails')
    drop(skb, { device: '', stage: 'route', reason: 'SKB_DROP_REASON_PKT_TOO_BIG' })
    return -errnoNumber.EMSGSIZE
  }
  // no piece is larger than those that came
  const most = fragmentMax > 0 ? Math.max(fragmentMax, ipv6MtuMin) : mtu
  return sendFragments(ns, skb, { route, mtu: most, options })
}

/** ip6_fragment(). */
function sendFragments(
  ns: Namespace,
  skb: Skb,
  { route, mtu, options }: { readonly route: Route; readonly mtu: number; readonly options: Output6Options },
): number {
  const identification = ns.machine.random('ip6-ident', ns.machine.packets)
  for (const piece of fragmentPacket6(skb, mtu, identification)) {
    const sent = sendPacket(ns, piece, route, options)
    if (sent !== 0) {
      // ip6_fragment(): what cannot be sent takes the pieces behind it along
      count(ns, 'Ip6FragFails')
      return sent
    }
    count(ns, 'Ip6FragCreates')
  }
  count(ns, 'Ip6FragOKs')
  return 0
}

/** dev_loopback_xmit(): the copy passes POSTROUTING once more, and is received on the out-going device. */
function loopBack(ns: Namespace, skb: Skb, route: Route): void {
  const copy = skb.clone()
  const verdict = ns.netfilter.run(ns, postroutingHook, copy, { in: undefined, out: route.device })
  if (verdict !== 'accept') return
  copy.macHeader = -1
  copy.networkHeader = copy.data
  copy.pktType = pktType.loopback
  copy.route = { ...route, local: true, input: route.device }
  ns.machine.clock.soon(() => ns.machine.wiring.netifReceive(copy))
}

/** The part for groups: a copy for the sender, where its device is in the group. True when nothing may leave the host. */
function staysForGroup(ns: Namespace, skb: Skb, group: Ipv6, options: Output6Options): boolean {
  const route = present(skb.route, 'a packet that is sent has a route')
  const { device } = route
  if (device.kind === 'loopback') return false
  if (options.unheard !== true && listensTo(device, group)) {
    loopBack(ns, skb, route)
    if (readU8(skb.bytes, skb.data + ipv6At.hopLimit) === 0) {
      count(ns, 'Ip6OutDiscards')
      drop(skb, { device: '', stage: 'route', reason: 'SKB_DROP_REASON_NOT_SPECIFIED' })
      return true
    }
  }
  if (scopeOf(group) > ipv6Scope.interfaceLocal) return false
  drop(skb, { device: '', stage: 'route', reason: 'SKB_DROP_REASON_NOT_SPECIFIED' })
  return true
}

/** ip6_finish_output2(). */
function sendPacket(ns: Namespace, skb: Skb, route: Route, options: Output6Options): number {
  const destination = readIpv6(skb.bytes, skb.data + ipv6At.destination)
  if (isMulticast(destination)) {
    if (staysForGroup(ns, skb, destination, options)) return 0
    count(ns, 'Ip6OutMcastPkts')
  }
  count(ns, 'Ip6OutTransmits')
  const { gateway } = route
  const nextHop = gateway !== undefined && !isIpv4(gateway) ? gateway : destination
  return neighbourOutput(skb, route.device, nextHop)
}
