// `ip link del DEV` and the end of a namespace (net/core/dev.c unregister_netdevice_many(), cleanup_net()): a device goes down,
// loses what is bound to it, and is forgotten; with it goes its far end, and every device above it.
import type { Namespace } from '../namespace.ts'
import { releaseMaster } from './bridge.ts'
import { bridgeState } from './bridge-state.ts'
import { type AdminResult, adminDone, notify, refused, setDown } from './change.ts'
import type { NetDevice } from './device.ts'
import { unplug } from './segment.ts'

function uppersOf(dev: NetDevice): readonly NetDevice[] {
  const above = [...(dev.vlans?.values() ?? []), ...(dev.macvlans?.values() ?? [])]
  return [...above, ...[...dev.ns.devices.values()].filter((other) => other.lower === dev)]
}

function letPortsGo(bridge: NetDevice): void {
  if (bridge.kind === 'bridge') for (const { dev } of [...bridgeState(bridge).ports]) releaseMaster(dev)
}

function forget(dev: NetDevice): void {
  const { ns } = dev
  if (ns.devices.get(dev.ifindex) !== dev) return
  for (const upper of uppersOf(dev)) forget(upper)
  setDown(dev)
  letPortsGo(dev)
  releaseMaster(dev)
  for (const above of [dev.lower?.vlans, dev.lower?.macvlans]) {
    for (const [key, other] of above ?? []) if (other === dev) above?.delete(key)
  }
  for (const segment of ns.machine.segments.values()) unplug(segment, dev)
  notify(dev, 'gone')
  ns.devices.delete(dev.ifindex)
  ns.devicesByName.delete(dev.name)
  const { peer } = dev
  dev.peer = undefined
  if (peer === undefined) return
  peer.peer = undefined
  forget(peer)
}

/** `ip link del DEV`: EOPNOTSUPP for lo and for a network card. */
export function removeDevice(dev: NetDevice): AdminResult {
  if (dev.kind === 'loopback' || dev.kind === 'phys') return refused('EOPNOTSUPP')
  forget(dev)
  return adminDone
}

/**
 * The namespace ends: all of its devices go, the far ends of pairs too. A network card would return to the first namespace;
 * here nobody is there, so its cable is pulled. Sockets are left with lo, which is down.
 */
export function emptyNamespace(ns: Namespace): void {
  for (const dev of [...ns.devices.values()]) {
    if (dev.kind === 'loopback') setDown(dev)
    else forget(dev)
  }
}

/** Whether a namespace has come to its end. */
export function isEmptied(ns: Namespace): boolean {
  return [...ns.devices.values()].every((dev) => dev.kind === 'loopback' && !dev.up)
}
