// What an administrator does to any device: up and down, MTU, MAC address, carrier. Everybody who depends on it is told.
import { resetQdisc } from '../tc/qdisc.ts'
import type { DeviceChange, NetDevice, Tap } from './device.ts'

/** The answer of an administrative call: done, or its errno, and what the kernel said of it (extack) where that is more. */
export type AdminResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly errno: string; readonly said?: string }

export const adminDone: AdminResult = { ok: true }

/** A refusal with its errno. */
export function refused(errno: string): AdminResult {
  return { ok: false, errno }
}

/** call_netdevice_notifiers: the device's own kind first, then everybody else. */
export function notify(dev: NetDevice, change: DeviceChange): void {
  dev.ops.changed?.(dev, change)
  for (const notifier of dev.ns.machine.notifiers) notifier(dev, change)
}

/** netif_carrier_on, netif_carrier_off. */
export function setCarrier(dev: NetDevice, carrier: boolean): void {
  if (dev.carrier === carrier) return
  dev.carrier = carrier
  dev.carrierChanged = dev.ns.machine.clock.now
  notify(dev, 'carrier')
}

/** `ip link set DEV up`. */
export function setUp(dev: NetDevice): void {
  if (dev.up) return
  dev.up = true
  notify(dev, 'up')
}

/** `ip link set DEV down`. */
export function setDown(dev: NetDevice): void {
  if (!dev.up) return
  dev.up = false
  if (dev.qdisc !== undefined) resetQdisc(dev, dev.qdisc)
  notify(dev, 'down')
}

/** Largest MTU of a device whose far end runs native XDP: page, headroom, skb_shared_info and Ethernet header. */
export const xdpMtuMax = 4096 - 256 - 320 - 14

const ethernetMtuMin = 68
const mtuMax = 65_535
const loopbackMtuMax = 65_536

/** `ip link set DEV mtu N`; EINVAL outside of what the device can do (dev_validate_mtu). */
export function setMtu(dev: NetDevice, mtu: number): AdminResult {
  if (mtu === dev.mtu) return adminDone
  const max = dev.kind === 'loopback' ? loopbackMtuMax : mtuMax
  if (mtu < (dev.kind === 'loopback' ? 0 : ethernetMtuMin) || mtu > max) return refused('EINVAL')
  const farNative = dev.peer?.xdp?.mode === 'native' || (dev.kind === 'phys' && dev.xdp?.mode === 'native')
  if (farNative && mtu > xdpMtuMax) return refused('EINVAL')
  if (dev.kind === 'vlan' && dev.lower !== undefined && mtu > dev.lower.mtu) return refused('ERANGE')
  if (dev.mtuMax !== undefined && mtu > dev.mtuMax) return refused('EINVAL')
  dev.mtu = mtu
  notify(dev, 'mtu')
  return adminDone
}

/** `ip link set DEV address MAC`; a group address is EADDRNOTAVAIL (eth_prepare_mac_addr_change). */
export function setMac(dev: NetDevice, mac: number): AdminResult {
  if (mac === 0 || Math.floor(mac / 0x100_0000_0000) % 2 === 1) return refused('EADDRNOTAVAIL')
  dev.mac = mac
  notify(dev, 'mac')
  return adminDone
}

/** `ip link set DEV arp on|off` (IFF_NOARP): its neighbours are forgotten, as after a change of address (arp_netdev_event). */
export function setArp(dev: NetDevice, arp: boolean): void {
  if (dev.arp === arp) return
  dev.arp = arp
  notify(dev, 'mac')
}

/** Binds an AF_PACKET socket to a device: it sees every frame after XDP on receive, after tc egress on send. */
export function addTap(dev: NetDevice, tap: Tap): void {
  dev.taps.push(tap)
}
