// The routes that an address brings with it: net/ipv4/fib_frontend.c fib_add_ifaddr(), net/ipv6/addrconf.c. What leaves is
// exactly what `ip route show table local` and `table main` print after `ip addr add`.
import { type IpAddress, isIpv4, isUnspecified, sameIp } from '../../net/address.ts'
import { broadcastOf, isIpv4Prefix, networkOf, type Prefix, prefixOf } from '../../net/prefix.ts'
import type { NetDevice } from '../device/device.ts'
import { dropRoute, insertRoute } from './admin-route.ts'
import { type FibRoute, type RouteType, routeProtocol, routeScope, routeTable } from './route.ts'
import { familyState, type InterfaceAddress } from './state.ts'

const kernelMetric6 = 256

/** fib_magic(): a route of protocol kernel over one device. */
function kernelRoute(
  dev: NetDevice,
  route: { readonly type: RouteType; readonly prefix: Prefix; readonly source: IpAddress | undefined },
): FibRoute {
  const four = isIpv4Prefix(route.prefix)
  const local = route.type === 'local'
  const connected = route.type === 'unicast'
  return {
    family: four ? 4 : 6,
    table: connected ? routeTable.main : routeTable.local,
    prefix: networkOf(route.prefix),
    type: route.type,
    scope: four ? (local ? routeScope.host : routeScope.link) : routeScope.universe,
    protocol: routeProtocol.kernel,
    tos: 0,
    metric: four || local ? 0 : kernelMetric6,
    preferredSource: route.source,
    mtu: 0,
    nextHops: [
      {
        device: dev,
        gateway: undefined,
        weight: 1,
        onlink: false,
        scope: local ? routeScope.nowhere : routeScope.host,
        dead: false,
        linkDown: !local && !dev.carrier,
      },
    ],
  }
}

function add(dev: NetDevice, type: RouteType, prefix: Prefix, source: IpAddress | undefined): void {
  const route = kernelRoute(dev, { type, prefix, source })
  const table = familyState(dev.ns, route.family).tables.get(route.table)
  const same = table?.at(route.prefix.address, route.prefix.length) ?? []
  for (const other of same) if (other.type === type && other.nextHops[0]?.device === dev) return
  insertRoute(dev.ns, route)
}

/** The route to the address itself; there even while its device is down. */
export function addLocalRoute(own: InterfaceAddress): void {
  const full = isIpv4(own.address) ? 32 : 128
  const source = isIpv4(own.address) ? own.address : undefined
  add(own.device, 'local', prefixOf(own.address, full), source)
}

function addSubnetRoutes4(own: InterfaceAddress): void {
  const prefix = prefixOf(own.address, own.length)
  if (!isIpv4Prefix(prefix)) return
  const network = networkOf(prefix)
  const { device, address } = own
  if (own.broadcast !== undefined) add(device, 'broadcast', prefixOf(own.broadcast, 32), address)
  if (isUnspecified(network.address) || own.secondary) return
  if (network.address === address && own.length === 32) return
  add(device, device.kind === 'loopback' ? 'local' : 'unicast', network, address)
  const broadcast = broadcastOf(network)
  if (broadcast !== undefined) add(device, 'broadcast', prefixOf(broadcast, 32), address)
}

/** The routes to the address's subnet and its broadcast address; there while the device is up. */
export function addSubnetRoutes(own: InterfaceAddress): void {
  if (!own.device.up) return
  if (isIpv4(own.address)) addSubnetRoutes4(own)
  else if (own.length < 128) add(own.device, 'unicast', prefixOf(own.address, own.length), undefined)
}

/** ff00::/8 of a device that is up (addrconf_add_mroute). */
export function addMulticastRoute(dev: NetDevice): void {
  add(dev, 'multicast', { address: [0xff00_0000, 0, 0, 0], length: 8 }, undefined)
}

function samePrefix(left: Prefix, right: Prefix): boolean {
  return left.length === right.length && sameIp(left.address, right.address)
}

function subnetOf(own: InterfaceAddress): Prefix {
  return networkOf(prefixOf(own.address, own.length))
}

/** Every prefix that an address brings with it. */
function prefixesOf(own: InterfaceAddress): Prefix[] {
  const subnet = subnetOf(own)
  const full = isIpv4(own.address) ? 32 : 128
  const prefixes = [prefixOf(own.address, full), subnet]
  const broadcast = isIpv4Prefix(subnet) ? broadcastOf(subnet) : undefined
  if (broadcast !== undefined) prefixes.push(prefixOf(broadcast, 32))
  if (own.broadcast !== undefined) prefixes.push(prefixOf(own.broadcast, 32))
  return prefixes
}

/** Whether another address of the device brings the same route. */
function stillNeeded(own: InterfaceAddress, route: FibRoute): boolean {
  const others = familyState(own.device.ns, route.family).addresses.get(own.device.ifindex) ?? []
  return others.some(
    (other) => other !== own && prefixesOf(other).some((prefix) => samePrefix(prefix, route.prefix)),
  )
}

function belongsTo(own: InterfaceAddress, route: FibRoute): boolean {
  if (route.protocol !== routeProtocol.kernel || route.nextHops[0]?.device !== own.device) return false
  return prefixesOf(own).some((prefix) => samePrefix(prefix, route.prefix))
}

/** fib_del_ifaddr(): the routes that only this address brought. Call it after the address is out of its list. */
export function removeAddressRoutes(own: InterfaceAddress): void {
  const { tables } = familyState(own.device.ns, isIpv4(own.address) ? 4 : 6)
  for (const id of [routeTable.local, routeTable.main]) {
    for (const route of [...(tables.get(id)?.routes() ?? [])]) {
      if (belongsTo(own, route) && !stillNeeded(own, route)) dropRoute(own.device.ns, route)
    }
  }
}
