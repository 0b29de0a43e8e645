// `ip addr`: net/ipv4/devinet.c inet_insert_ifa(), inet_del_ifa(), net/ipv6/addrconf.c. Addresses of scenarios are usable
// at once: there is no duplicate address detection (as with `nodad`).
import { type IpAddress, isIpv4, isLinkLocal, isLoopback, sameIp } from '../../net/address.ts'
import { covers, type Prefix, prefixOf } from '../../net/prefix.ts'
import { type AdminResult, adminDone, notify, refused } from '../device/change.ts'
import type { NetDevice } from '../device/device.ts'
import { addLocalRoute, addSubnetRoutes, removeAddressRoutes } from './address-routes.ts'
import { disableIp } from './disable.ts'
import { routeScope } from './route.ts'
import { familyState, type InterfaceAddress } from './state.ts'

export interface AddressOptions {
  /** RT_SCOPE_*; absent: host for loopback addresses, link for link-local IPv6 ones, else universe ("global"). */
  readonly scope?: number
  readonly broadcast?: IpAddress
}

function defaultScope(dev: NetDevice, address: IpAddress): number {
  if (isLoopback(address)) return routeScope.host
  if (!isIpv4(address) && isLinkLocal(address)) return routeScope.link
  return dev.kind === 'loopback' && isIpv4(address) && isLoopback(address)
    ? routeScope.host
    : routeScope.universe
}

/** Whether an earlier address of the device has the same subnet and scope (IFA_F_SECONDARY). */
function isSecondary(list: readonly InterfaceAddress[], prefix: Prefix, scope: number): boolean {
  return list.some(
    (other) =>
      !other.secondary &&
      other.scope === scope &&
      other.length === prefix.length &&
      isIpv4(other.address) &&
      covers(prefixOf(other.address, other.length), prefix.address),
  )
}

/** ipv6_link_dev_addr(): the widest scope first, the newest of equal scopes first. */
function linked6(list: readonly InterfaceAddress[], own: InterfaceAddress): InterfaceAddress[] {
  const at = list.findIndex(({ scope }) => scope >= own.scope)
  return at === -1 ? [...list, own] : [...list.slice(0, at), own, ...list.slice(at)]
}

/**
 * `ip addr add PREFIX dev DEV` with its local, connected and broadcast routes. EEXIST when the device has the address
 * already (IPv4: with the same length).
 */
export function addAddress(dev: NetDevice, prefix: Prefix, options: AddressOptions = {}): AdminResult {
  const family = isIpv4(prefix.address) ? 4 : 6
  const state = familyState(dev.ns, family)
  const list = state.addresses.get(dev.ifindex) ?? []
  const exists = list.some(
    (other) => sameIp(other.address, prefix.address) && (family === 6 || other.length === prefix.length),
  )
  if (exists) return refused('EEXIST')
  const scope = options.scope ?? defaultScope(dev, prefix.address)
  const own: InterfaceAddress = {
    device: dev,
    address: prefix.address,
    length: prefix.length,
    scope,
    broadcast: options.broadcast,
    secondary: family === 4 && isSecondary(list, prefix, scope),
  }
  state.addresses.set(dev.ifindex, family === 4 ? [...list, own] : linked6(list, own))
  state.own.set(own.address, 0, [...(state.own.get(own.address) ?? []), own])
  state.generation += 1
  addLocalRoute(own)
  addSubnetRoutes(own)
  return adminDone
}

function takeOut(own: InterfaceAddress): void {
  const { device, address } = own
  const state = familyState(device.ns, isIpv4(address) ? 4 : 6)
  const list = (state.addresses.get(device.ifindex) ?? []).filter((other) => other !== own)
  if (list.length === 0) state.addresses.delete(device.ifindex)
  else state.addresses.set(device.ifindex, list)
  const same = (state.own.get(address) ?? []).filter((other) => other !== own)
  if (same.length === 0) state.own.delete(address)
  else state.own.set(address, 0, same)
  state.generation += 1
  removeAddressRoutes(own)
  // fib_inetaddr_event(): without an address the device speaks no IPv4
  if (list.length === 0 && isIpv4(address)) disableIp(device, 4)
  notify(device, 'address')
}

/** `ip addr del`: secondary addresses of the subnet go with their primary (promote_secondaries is off). */
export function removeAddress(dev: NetDevice, prefix: Prefix): AdminResult {
  const family = isIpv4(prefix.address) ? 4 : 6
  const list = familyState(dev.ns, family).addresses.get(dev.ifindex) ?? []
  const own = list.find((other) => sameIp(other.address, prefix.address) && other.length === prefix.length)
  if (own === undefined) return refused('EADDRNOTAVAIL')
  const subnet = prefixOf(own.address, own.length)
  takeOut(own)
  if (own.secondary || family === 6) return adminDone
  for (const other of list) {
    const dependent = other.secondary && other.length === own.length && other.scope === own.scope
    if (dependent && covers(subnet, other.address)) takeOut(other)
  }
  return adminDone
}

/** Takes every address of a family off a device (`ip addr flush`, `disable_ipv6=1`, an IPv6 device going down). */
export function flushAddresses(dev: NetDevice, family: 4 | 6): void {
  for (const own of familyState(dev.ns, family).addresses.get(dev.ifindex) ?? []) takeOut(own)
}
