// bpf_redirect_neigh(): net/core/filter.c __bpf_redirect_neigh(). Fills in the MAC addresses by the tables of the device's
// namespace; TTL, hop limit and netfilter are left alone. Facts: linux 3.1, 3.7.
import type { IpAddress } from '../net/address.ts'
import { isIpv4, isLinkLocal, isUnspecified, readIpv4, readIpv6 } from '../net/address.ts'
import { readU8 } from '../net/bytes.ts'
import { ipv4At } from '../net/ipv4.ts'
import { ipv6At, ipv6TrafficClass } from '../net/ipv6.ts'
import { etherType } from '../net/protocol.ts'
import { clearTstamp } from './device/crossing.ts'
import { type NetDevice, transmitCongested, transmitted } from './device/device.ts'
import { neighbourOutput } from './ip/neighbour-output.ts'
import { routeOutput } from './ip/output-route.ts'
import { routeScope } from './ip/route.ts'
import { route6Output } from './ip6/output-route.ts'
import { sendAsLoopback } from './neighbour-send.ts'
import { dropRecursiveRedirect, tooManyTransmissions } from './recursion.ts'
import type { Skb } from './skb.ts'

/** __bpf_redirect_neigh_v4(): the next hop by the packet's own addresses, out of that device. */
function nextHopOf4(skb: Skb, dev: NetDevice): IpAddress | undefined {
  const { bytes, networkHeader: l3 } = skb
  const destination = readIpv4(bytes, l3 + ipv4At.destination)
  const answer = routeOutput(
    dev.ns,
    {
      family: 4,
      destination,
      source: readIpv4(bytes, l3 + ipv4At.source),
      oif: dev.ifindex,
      iif: 1,
      mark: skb.mark,
      tos: readU8(bytes, l3 + ipv4At.tos) & 0xfc,
      protocol: readU8(bytes, l3 + ipv4At.protocol),
      sport: 0,
      dport: 0,
      scope: routeScope.universe,
    },
    { anySource: true },
  )
  if (answer.kind === 'error') return undefined
  if (answer.route.type !== 'unicast' && answer.route.type !== 'local') return undefined
  skb.route = answer.route
  return answer.route.gateway ?? destination
}

/**
 * __bpf_redirect_neigh_v6(). A flow with a source asks without RT6_LOOKUP_F_IFACE: a route over another device serves too, and
 * its next hop is then looked for on `dev`.
 */
function nextHopOf6(skb: Skb, dev: NetDevice): IpAddress | undefined {
  const { bytes, networkHeader: l3 } = skb
  const source = readIpv6(bytes, l3 + ipv6At.source)
  const destination = readIpv6(bytes, l3 + ipv6At.destination)
  const answer = route6Output(dev.ns, {
    family: 6,
    destination,
    source,
    oif: dev.ifindex,
    anyDevice: !isUnspecified(source) && !isLinkLocal(destination), // rt6_need_strict()
    iif: 1,
    mark: skb.mark,
    tos: ipv6TrafficClass(bytes, l3) & 0xfc,
    protocol: readU8(bytes, l3 + ipv6At.nextHeader),
    sport: 0,
    dport: 0,
    scope: routeScope.universe,
  })
  if (answer.kind === 'error') return undefined
  skb.route = answer.route
  return answer.route.gateway ?? destination
}

/**
 * Sends an IP packet to a next hop on a device, or to the one that the routing tables name. `skb.networkHeader` stands at
 * the IP header; what stands before it is replaced. False for other packets, without a route, and for an IPv6 packet with an
 * IPv4 next hop: the packet is still the caller's.
 */
export function redirectNeigh(skb: Skb, dev: NetDevice, nextHop: IpAddress | undefined): boolean {
  const four = skb.protocol === etherType.ipv4
  if (!four && skb.protocol !== etherType.ipv6) return false
  skb.data = skb.networkHeader
  clearTstamp(skb)
  const target = nextHop ?? (four ? nextHopOf4(skb, dev) : nextHopOf6(skb, dev))
  if (target === undefined || (!four && isIpv4(target))) {
    dev.counters.tx_dropped += 1
    return false
  }
  const { machine } = dev.ns
  if (tooManyTransmissions(machine)) {
    dev.counters.tx_dropped += 1
    dropRecursiveRedirect(skb)
    return true
  }
  machine.transmitDepth += 1
  // ip_neigh_for_gw(): an IPv4 neighbour stands on the device of the route, which for an own address is lo
  const own = four && nextHop === undefined && skb.route?.type === 'local'
  const status = own ? sendAsLoopback(dev, skb) : neighbourOutput(skb, dev, target)
  machine.transmitDepth -= 1
  if (status !== transmitted && status !== transmitCongested) dev.counters.tx_dropped += 1
  return true
}
