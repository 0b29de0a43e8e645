// bpf_redirect_neigh() for IPv6 packets: net/core/filter.c __bpf_redirect_neigh_v6(). Fills in the MAC addresses by the
// tables of the device's namespace; hop limit and netfilter are left alone.
import { type IpAddress, type Ipv6, isIpv4, isLinkLocal, isUnspecified, readIpv6 } from '../../net/address.ts'
import { readU8 } from '../../net/bytes.ts'
import { ipv6At, ipv6TrafficClass } from '../../net/ipv6.ts'
import { clearTstamp } from '../device/crossing.ts'
import { type NetDevice, transmitCongested, transmitted } from '../device/device.ts'
import { neighbourOutput } from '../ip/neighbour-output.ts'
import { routeScope } from '../ip/route.ts'
import { dropRecursiveRedirect, tooManyTransmissions } from '../recursion.ts'
import type { Skb } from '../skb.ts'
import { route6Output } from './output-route.ts'

/**
 * The next hop by the packet's own addresses. A flow with a source asks without RT6_LOOKUP_F_IFACE: a route over another
 * device serves too, and its next hop is then looked for on `dev`.
 */
function nextHopOf(skb: Skb, dev: NetDevice): Ipv6 | undefined {
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
  const { gateway } = answer.route
  return gateway !== undefined && !isIpv4(gateway) ? gateway : destination
}

/**
 * Sends an IPv6 packet to a next hop on a device, or to the one that the routing tables name. `skb.networkHeader` stands at
 * the IPv6 header. False when there is no route, or the next hop is an IPv4 address: the packet is still the caller's.
 */
export function redirectNeigh6(skb: Skb, dev: NetDevice, nextHop: IpAddress | undefined): boolean {
  skb.data = skb.networkHeader
  clearTstamp(skb)
  const target = nextHop ?? nextHopOf(skb, dev)
  if (target === undefined || isIpv4(target)) {
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
  const status = neighbourOutput(skb, dev, target)
  machine.transmitDepth -= 1
  if (status !== transmitted && status !== transmitCongested) dev.counters.tx_dropped += 1
  return true
}
