// Counters as people read them: nstat names for namespaces, `ip -s link` and `ethtool -S` names for devices.
import type { DeviceCounters, NetDevice } from './device/device.ts'
import type { Namespace } from './namespace.ts'

/** Counts an SNMP event (`IpForwDatagrams`). */
export function count(ns: Namespace, name: string): void {
  ns.counters.set(name, (ns.counters.get(name) ?? 0) + 1)
}

/** Fresh counters. */
export function createCounters(): DeviceCounters {
  return {
    rx_packets: 0,
    rx_bytes: 0,
    rx_errors: 0,
    rx_dropped: 0,
    tx_packets: 0,
    tx_bytes: 0,
    tx_errors: 0,
    tx_dropped: 0,
    ethtool: new Map(),
  }
}

/** One frame received. */
export function countReceived(dev: NetDevice, lengthBytes: number): void {
  dev.counters.rx_packets += 1
  dev.counters.rx_bytes += lengthBytes
}

/** One frame sent. */
export function countSent(dev: NetDevice, lengthBytes: number): void {
  dev.counters.tx_packets += 1
  dev.counters.tx_bytes += lengthBytes
}

/** One more of a driver's own counters (`rx_queue_0_xdp_drops`). */
export function countDriver(dev: NetDevice, name: string): void {
  dev.counters.ethtool.set(name, (dev.counters.ethtool.get(name) ?? 0) + 1)
}
