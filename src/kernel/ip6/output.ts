// The way down of IPv6: OUTPUT, POSTROUTING, fragmentation at the source, neighbour. net/ipv6/output_core.c
// __ip6_local_out(), net/ipv6/ip6_output.c ip6_output(), ip6_finish_output2().
import { present } from '../../base/assert.ts'
import { isIpv4, readIpv6 } from '../../net/address.ts'
import { writeU16 } from '../../net/bytes.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { etherType } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import { type NetDevice, transmitCongested } from '../device/device.ts'
import { drop } from '../drop.ts'
import { neighbourOutput } from '../ip/neighbour-output.ts'
import type { Route } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { runCgroupEgress } from '../socket/cgroup-skb.ts'
import { errnoNumber } from '../socket/errno.ts'
import { fragmentPacket6 } from './fragment.ts'

/** IPV6_MIN_MTU, in bytes (RFC 8200 section 5). */
export const ipv6MtuMin = 1280

const outputHook = { family: 6, hook: 'OUTPUT' } as const
const postroutingHook = { family: 6, hook: 'POSTROUTING' } as const

/** Whether a packet that is too big may be cut: `whole` for those of tunnels (ip6_fragment: neither a socket's nor ignore_df). */
interface Output6Options {
  readonly whole?: boolean
}

/**
 * ip6_local_out(): sends a packet that was built here. `skb.data` and `skb.networkHeader` stand at the IPv6 header and
 * `skb.route` is its route. Answers 0, a NET_XMIT code, or -EPERM when OUTPUT or POSTROUTING dropped it.
 */
export function ip6LocalOut(ns: Namespace, skb: Skb, options: Output6Options = {}): number {
  const route = present(skb.route, 'a packet that is sent has a route')
  writeU16(skb.bytes, skb.networkHeader + ipv6At.payloadLength, skb.tail - skb.networkHeader - ipv6At.payload)
  skb.protocol = etherType.ipv6
  count(ns, 'Ip6OutRequests')
  const verdict = ns.netfilter.run(ns, outputHook, skb, { in: undefined, out: route.device })
  if (verdict !== 'accept') return verdict === 'drop' ? -errnoNumber.EPERM : 0
  return ip6Output(ns, skb, options)
}

/** ip6_output(): POSTROUTING and on. `input` is the device a forwarded packet came by. */
export function ip6Output(
  ns: Namespace,
  skb: Skb,
  options: Output6Options & { readonly input?: NetDevice } = {},
): number {
  const route = present(skb.route, 'a packet that is sent has a route')
  skb.dev = route.device
  skb.protocol = etherType.ipv6
  if (ns.sysctls.device('net.ipv6.conf.DEV.disable_ipv6', route.device.name) !== 0) {
    count(ns, 'Ip6OutDiscards')
    drop(skb, { device: '', stage: 'route', reason: 'SKB_DROP_REASON_IPV6DISABLED' })
    return 0
  }
  const verdict = ns.netfilter.run(ns, postroutingHook, skb, { in: options.input, out: route.device })
  if (verdict !== 'accept') return verdict === 'drop' ? -errnoNumber.EPERM : 0
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
  if (fits || skb.gsoSize > 0) return sendPacket(ns, skb, route)
  if (options.whole === true || fragmentMax > mtu) {
    if (fragmentMax > mtu) {
      ns.ip.stack.sendError6(skb, { type: icmpv6Type.packetTooBig, code: 0, info: mtu })
    }
    count(ns, 'Ip6FragFails')
    drop(skb, { device: '', stage: 'route', reason: 'SKB_DROP_REASON_PKT_TOO_BIG' })
    return -errnoNumber.EMSGSIZE
  }
  // no piece is larger than those that came
  return sendFragments(ns, skb, route, fragmentMax > 0 ? Math.max(fragmentMax, ipv6MtuMin) : mtu)
}

/** ip6_fragment(). */
function sendFragments(ns: Namespace, skb: Skb, route: Route, mtu: number): number {
  const identification = ns.machine.random('ip6-ident', ns.machine.packets)
  for (const piece of fragmentPacket6(skb, mtu, identification)) {
    const sent = sendPacket(ns, piece, route)
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

/** ip6_finish_output2(). */
function sendPacket(ns: Namespace, skb: Skb, route: Route): number {
  if (route.type === 'multicast') count(ns, 'Ip6OutMcastPkts')
  count(ns, 'Ip6OutTransmits')
  const { gateway } = route
  const nextHop =
    gateway !== undefined && !isIpv4(gateway) ? gateway : readIpv6(skb.bytes, skb.data + ipv6At.destination)
  return neighbourOutput(skb, route.device, nextHop)
}
