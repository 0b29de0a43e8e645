// Which own address a packet gets when nobody chose one: net/ipv4/devinet.c inet_select_addr(), and the questions
// "is this address mine?" that the whole of IPv4 asks.
import { anyIpv4, type IpAddress, type Ipv4, isIpv4, readIpv4 } from '../../net/address.ts'
import { readU8 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { covers, prefixOf } from '../../net/prefix.ts'
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { lookupInTable, lookupRoute } from './lookup.ts'
import { type FibRoute, type Flow, type NextHop, type RouteType, routeScope, routeTable } from './route.ts'
import { familyState, type InterfaceAddress } from './state.ts'

/** Whether an address covers another in its own subnet (inet_ifa_match). */
function sameSubnet(own: InterfaceAddress, address: IpAddress): boolean {
  return covers(prefixOf(own.address, own.length), address)
}

/** The addresses of a device, in order of addition; an empty list for none. */
export function addressesOf(dev: NetDevice, family: 4 | 6): readonly InterfaceAddress[] {
  return familyState(dev.ns, family).addresses.get(dev.ifindex) ?? []
}

/** The own addresses equal to `address`, on whatever device (inet_lookup_ifaddr, ipv6_chk_addr). */
export function ownAddresses(ns: Namespace, address: IpAddress): readonly InterfaceAddress[] {
  return familyState(ns, isIpv4(address) ? 4 : 6).own.get(address) ?? []
}

/** Whether an address is configured on any device of the namespace. */
export function isOwnAddress(ns: Namespace, address: IpAddress): boolean {
  return familyState(ns, isIpv4(address) ? 4 : 6).own.get(address) !== undefined
}

function selectOnDevice(dev: NetDevice, towards: Ipv4, scope: number): Ipv4 {
  const localnet = dev.ns.sysctls.either('net.ipv4.conf.DEV.route_localnet', dev.name)
  const limit = localnet ? routeScope.link : routeScope.host
  let first: Ipv4 = anyIpv4
  for (const own of addressesOf(dev, 4)) {
    if (own.secondary || Math.min(own.scope, limit) > scope || !isIpv4(own.address)) continue
    if (towards === 0 || sameSubnet(own, towards)) return own.address
    if (first === 0) first = own.address
  }
  return first
}

/**
 * inet_select_addr(): the device's own address (one in the subnet of `towards` first), else the first usable address of
 * any device, lo before the others. 0.0.0.0 when the namespace has none. `scope` is RT_SCOPE_*.
 */
export function selectAddress(dev: NetDevice, towards: Ipv4, scope: number): Ipv4 {
  const own = selectOnDevice(dev, towards, scope)
  if (own !== 0) return own
  for (const other of dev.ns.devices.values()) {
    for (const candidate of addressesOf(other, 4)) {
      if (candidate.secondary || candidate.scope === routeScope.link || candidate.scope > scope) continue
      if (isIpv4(candidate.address)) return candidate.address
    }
  }
  return anyIpv4
}

/** fib_result_prefsrc(): the route's preferred source, else the address selected for its next hop. */
export function sourceForRoute(route: FibRoute, nextHop: NextHop): Ipv4 {
  const preferred = route.preferredSource
  if (preferred !== undefined && isIpv4(preferred)) return preferred
  if (nextHop.device === undefined) return anyIpv4
  const gateway = nextHop.gateway !== undefined && isIpv4(nextHop.gateway) ? nextHop.gateway : anyIpv4
  return selectAddress(nextHop.device, gateway, route.scope)
}

/**
 * fib_compute_spec_dst(): the own address that stands for what a packet was sent to: its destination if that is ours
 * alone, else the source of the way back to its sender, else an address of the device.
 */
export function specificDestination(skb: Skb): Ipv4 {
  const { bytes, networkHeader: l3, dev, route } = skb
  const group = route?.type === 'broadcast' || route?.type === 'multicast'
  if (!group && route?.local === true) return readIpv4(bytes, l3 + ipv4At.destination)
  const source = readIpv4(bytes, l3 + ipv4At.source)
  if (source >>> 24 === 0) return selectAddress(dev, source, routeScope.link)
  const mark = dev.ns.sysctls.either('net.ipv4.conf.DEV.src_valid_mark', dev.name) ? skb.mark : 0
  const found = lookupRoute(dev.ns, {
    ...plainFlow(source),
    tos: readU8(bytes, l3 + ipv4At.tos) & 0xfc,
    mark,
  })
  if (typeof found !== 'string') return sourceForRoute(found.route, found.nextHop)
  return selectAddress(dev, source, routeScope.universe)
}

/** A flow to a destination with nothing else said; for questions about addresses. */
export function plainFlow(destination: IpAddress): Flow {
  const isFour = isIpv4(destination)
  return {
    family: isFour ? 4 : 6,
    destination,
    source: isFour ? anyIpv4 : [0, 0, 0, 0],
    oif: 0,
    iif: 1,
    mark: 0,
    tos: 0,
    protocol: 0,
    sport: 0,
    dport: 0,
    scope: routeScope.universe,
  }
}

/**
 * inet_addr_type(): what kind of address this is for the namespace, asked of table local only. 0.0.0.0 and
 * 255.255.255.255 are broadcast, 224.0.0.0/4 multicast, everything unknown unicast; with `dev` (inet_dev_addr_type) also
 * what another device has.
 */
export function addressType(ns: Namespace, address: Ipv4, dev?: NetDevice): RouteType {
  if (address === 0 || address === 0xffff_ffff) return 'broadcast'
  if (address >>> 28 === 14) return 'multicast'
  const found = lookupInTable(ns, routeTable.local, plainFlow(address))
  if (typeof found === 'string' || (dev !== undefined && found.nextHop.device !== dev)) return 'unicast'
  return found.route.type
}

/** inet_addr_onlink(): whether `address` (and `with`, unless 0) lies in a subnet of the device. */
export function isOnLink(dev: NetDevice, address: Ipv4, beside: Ipv4): boolean {
  return addressesOf(dev, 4).some(
    (own) => sameSubnet(own, address) && (beside === 0 || sameSubnet(own, beside)),
  )
}
