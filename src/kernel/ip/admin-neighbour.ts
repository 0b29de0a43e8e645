// `ip neigh`: entries that a person puts in, and warm ones that a derived topology starts with.
import type { IpAddress } from '../../net/address.ts'
import { isIpv4, sameIp } from '../../net/address.ts'
import { type AdminResult, adminDone, refused } from '../device/change.ts'
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import { removeNeighbour, updateNeighbour } from '../neighbour.ts'
import { findNeighbour, neighbourOf } from '../neighbour-entry.ts'
import type { NeighbourState } from '../neighbour-table.ts'
import { familyState } from './state.ts'

/** `ip neigh replace ADDRESS lladdr MAC dev DEV nud STATE`; PERMANENT when no state is given. */
export function addNeighbour(
  dev: NetDevice,
  address: IpAddress,
  options: { readonly mac: number; readonly state?: NeighbourState; readonly router?: boolean },
): void {
  const neighbour = neighbourOf(dev, address)
  const state = options.state ?? 'PERMANENT'
  const router = options.router === undefined ? {} : { router: options.router }
  updateNeighbour(neighbour, { state, mac: options.mac, override: true, admin: true, ...router })
}

/**
 * A neighbour that a derived topology starts with: REACHABLE, confirmed at time 0, and without a timer until somebody
 * uses it.
 */
export function warmNeighbour(dev: NetDevice, address: IpAddress, mac: number): void {
  const neighbour = neighbourOf(dev, address)
  neighbour.state = 'REACHABLE'
  neighbour.mac = mac
  neighbour.confirmed = 0
  neighbour.updated = 0
}

/** `ip neigh del` (neigh_delete): the entry fails first, so that what waits for it is answered; ENOENT when there is none. */
export function deleteNeighbour(dev: NetDevice, address: IpAddress): AdminResult {
  const found = findNeighbour(dev, address)
  if (found === undefined) return refused('ENOENT')
  updateNeighbour(found, { state: 'FAILED', override: true, admin: true })
  removeNeighbour(found)
  const { ip } = dev.ns
  const { warm } = ip
  // what was known from the start is not known again by itself
  if (warm !== undefined) {
    ip.warm = (at, other) => (at === dev && sameIp(other, address) ? undefined : warm(at, other))
  }
  return adminDone
}

/** `ip neigh add proxy ADDRESS dev DEV`; without a device on all of the namespace. */
export function addProxyNeighbour(ns: Namespace, address: IpAddress, dev: NetDevice | undefined): void {
  const table = familyState(ns, isIpv4(address) ? 4 : 6).neighbours
  table.proxies.set(address, dev?.ifindex ?? 0, { device: dev, address })
}

/** pneigh_lookup(): whether the namespace answers for an address on a device. */
export function isProxied(dev: NetDevice, address: IpAddress): boolean {
  const { proxies } = familyState(dev.ns, isIpv4(address) ? 4 : 6).neighbours
  return proxies.get(address, dev.ifindex) !== undefined || proxies.get(address, 0) !== undefined
}
