// Entries of the neighbour table: finding and making them, and what their states mean. neighbour.ts moves them.
import type { IpAddress } from '../net/address.ts'
import { isIpv4 } from '../net/address.ts'
import { millisecond } from './clock.ts'
import type { NetDevice } from './device/device.ts'
import { familyState } from './ip/state.ts'
import type { Neighbour, NeighbourState } from './neighbour-table.ts'

/** NUD_CONNECTED: the address is known to be right. */
export function isConnected(state: NeighbourState): boolean {
  return state === 'PERMANENT' || state === 'NOARP' || state === 'REACHABLE'
}

/** NUD_VALID: there is an address to send to. */
export function isValid(state: NeighbourState): boolean {
  return isConnected(state) || state === 'STALE' || state === 'DELAY' || state === 'PROBE'
}

/** Whether `ip neigh` tells its address: of a failed entry the kernel keeps it, but does not hand it out (neigh_fill_info). */
export function tellsAddress({ mac, state }: Neighbour): boolean {
  return mac >= 0 && isValid(state)
}

/** A sysctl of the neighbour's device (`net.ipv4.neigh.DEV.NAME`). */
export function setting(neighbour: Neighbour, name: string): number {
  const { device, family } = neighbour
  return device.ns.sysctls.device(`net.ipv${family}.neigh.DEV.${name}`, device.name)
}

/** How long a proof holds, in nanoseconds. */
export function reachableTime(neighbour: Neighbour): number {
  return setting(neighbour, 'base_reachable_time_ms') * millisecond
}

/** The time on the neighbour's machine. */
export function now(neighbour: Neighbour): number {
  return neighbour.device.ns.machine.clock.now
}

/**
 * A reachable neighbour that nobody used needs no timer: its change to STALE is made up for when somebody looks. So ten
 * thousand warm neighbours cost no timers.
 */
export function settle(neighbour: Neighbour): Neighbour {
  const quiet = neighbour.state === 'REACHABLE' && neighbour.timer === undefined
  if (quiet && now(neighbour) > neighbour.confirmed + reachableTime(neighbour)) neighbour.state = 'STALE'
  return neighbour
}

/** The neighbour of a device with an address, or undefined (neigh_lookup). */
export function findNeighbour(dev: NetDevice, address: IpAddress): Neighbour | undefined {
  const table = familyState(dev.ns, isIpv4(address) ? 4 : 6).neighbours
  const found = table.entries.get(address, dev.ifindex)
  return found === undefined ? warmed(dev, address) : settle(found)
}

/** An entry that was known from the start, stored when it is first looked for. */
function warmed(dev: NetDevice, address: IpAddress): Neighbour | undefined {
  const mac = dev.ns.ip.warm?.(dev, address)
  if (mac === undefined) return undefined
  const made = newNeighbour(dev, address)
  made.state = 'REACHABLE'
  made.mac = mac
  made.confirmed = 0
  made.updated = 0
  return settle(made)
}

/** neigh_create: the entry, made in state NONE when it is missing. */
export function neighbourOf(dev: NetDevice, address: IpAddress): Neighbour {
  return findNeighbour(dev, address) ?? newNeighbour(dev, address)
}

function newNeighbour(dev: NetDevice, address: IpAddress): Neighbour {
  const family = isIpv4(address) ? 4 : 6
  const made: Neighbour = {
    device: dev,
    address,
    family,
    state: 'NONE',
    mac: -1,
    cached: false,
    confirmed: Number.NEGATIVE_INFINITY,
    used: Number.NEGATIVE_INFINITY,
    updated: Number.NEGATIVE_INFINITY,
    probes: 0,
    router: false,
    queue: [],
    queueBytes: 0,
    timer: undefined,
  }
  familyState(dev.ns, family).neighbours.entries.set(address, dev.ifindex, made)
  return made
}
