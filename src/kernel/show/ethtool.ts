// `ethtool -S DEV`: the driver's own counters. A veth lists those of its queues even while they are zero
// (drivers/net/veth.c veth_get_strings()); other devices list what was counted.
import type { NetDevice } from '../device/device.ts'

const vethReceive = [
  'xdp_packets',
  'xdp_bytes',
  'drops',
  'xdp_redirect',
  'xdp_drops',
  'xdp_tx',
  'xdp_tx_errors',
]
const vethSend = ['xdp_xmit', 'xdp_xmit_errors']

/** The statistics of a driver, or its refusal. */
export function showDriverStatistics(dev: NetDevice): string {
  const { ethtool } = dev.counters
  const names = new Set<string>()
  if (dev.kind === 'veth') {
    for (const name of vethReceive) names.add(`rx_queue_0_${name}`)
    for (const name of vethSend) names.add(`tx_queue_0_${name}`)
  }
  for (const name of ethtool.keys()) names.add(name)
  if (dev.kind !== 'veth' && dev.kind !== 'phys') return 'no stats available\n'
  if (names.size === 0) return 'no stats available\n'
  const peer = dev.kind === 'veth' && dev.peer !== undefined ? [`     peer_ifindex: ${dev.peer.ifindex}`] : []
  const lines = [...names].map((name) => `     ${name}: ${counted(ethtool, name)}`)
  return ['NIC statistics:', ...peer, ...lines].map((line) => `${line}\n`).join('')
}

/** What was counted, or zero. */
function counted(counters: ReadonlyMap<string, number>, name: string): number {
  return counters.get(name) ?? 0
}
