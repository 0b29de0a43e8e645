// bpf_redirect_neigh(): net/core/filter.c __bpf_redirect_neigh_v4(). Fills in the MAC addresses by the tables of the
// device's namespace; no TTL, no netfilter. Facts: linux 3.1, 3.7. IPv6 packets have their own function.

import type { IpAddress } from '../../net/address.ts'
import { type Ipv4, isIpv4, readIpv4 } from '../../net/address.ts'
import { readU8 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { etherType } from '../../net/protocol.ts'
import { clearTstamp } from '../device/crossing.ts'
import { type NetDevice, transmitCongested, transmitted } from '../device/device.ts'
import { sendAsLoopback } from '../neighbour-send.ts'
import { dropRecursiveRedirect, tooManyTransmissions } from '../recursion.ts'
import type { Skb } from '../skb.ts'
import { neighbourOutput } from './neighbour-output.ts'
import { routeOutput } from './output-route.ts'
import { routeScope } from './route.ts'

/** The route by the packet's own addresses, out of that device. */
function nextHopOf(skb: Skb, dev: NetDevice): Ipv4 | undefined {
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
  const { gateway } = answer.route
  return gateway !== undefined && isIpv4(gateway) ? gateway : destination
}

/**
 * Sends an IPv4 packet to a next hop on a device, or to the one that the routing tables name. `skb.networkHeader` stands at
 * the IP header; what stands before it is replaced. False when there is no route: the packet is still the caller's.
 */
export function redirectNeigh(skb: Skb, dev: NetDevice, nextHop: IpAddress | undefined): boolean {
  if (skb.protocol !== etherType.ipv4) return false
  skb.data = skb.networkHeader
  clearTstamp(skb)
  const target = nextHop ?? nextHopOf(skb, dev)
  if (target === undefined) {
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
  // ip_neigh_for_gw(): the neighbour stands on the device of the route, which for an own address is lo
  const own = nextHop === undefined && skb.route?.type === 'local'
  const status = own ? sendAsLoopback(dev, skb) : neighbourOutput(skb, dev, target)
  machine.transmitDepth -= 1
  if (status !== transmitted && status !== transmitCongested) dev.counters.tx_dropped += 1
  return true
}
