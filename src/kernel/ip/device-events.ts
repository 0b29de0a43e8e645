// What happens to addresses, routes and neighbours when a device comes up, goes down or loses its carrier:
// net/ipv4/fib_frontend.c fib_netdev_event(), net/ipv6/addrconf.c addrconf_notify(), net/ipv4/arp.c arp_netdev_event().
import { ipv4From, linkLocalOf } from '../../net/address.ts'
import { macFrom } from '../../net/mac.ts'
import type { DeviceChange, NetDevice } from '../device/device.ts'
import { forgetNeighbours } from '../neighbour.ts'
import { linkWatchNanoseconds } from '../transmit.ts'
import { addMulticastRoute, addSubnetRoutes } from './address-routes.ts'
import { addAddress, flushAddresses } from './admin-address.ts'
import { announceAddresses } from './arp.ts'
import { disableIp, routesOver } from './disable.ts'
import { routeScope } from './route.ts'
import { addressesOf } from './source.ts'

const loopback4 = { address: ipv4From(0x7f00_0001), length: 8 }
const loopback6 = { address: [0, 0, 0, 1], length: 128 } as const

/** Whether a device speaks IPv6 (disable_ipv6 of the device). */
function speaksIpv6(dev: NetDevice): boolean {
  return dev.ns.sysctls.device('net.ipv6.conf.DEV.disable_ipv6', dev.name) === 0
}

function comeUp(dev: NetDevice): void {
  if (dev.kind === 'loopback') {
    if (addressesOf(dev, 4).length === 0) addAddress(dev, loopback4)
    if (speaksIpv6(dev))
      dev.ns.ip.whenAsked6(() => {
        if (addressesOf(dev, 6).length === 0) addAddress(dev, loopback6)
      })
    return
  }
  for (const own of addressesOf(dev, 4)) addSubnetRoutes(own)
  announceAddresses(dev)
  if (!speaksIpv6(dev) || !dev.arp) return
  const mac = macFrom(dev.mac)
  dev.ns.ip.whenAsked6(() => {
    addMulticastRoute(dev)
    for (const own of addressesOf(dev, 6)) addSubnetRoutes(own)
    addAddress(dev, { address: linkLocalOf(mac), length: 64 })
  })
}

/** A device that starts warm knows its link only until it has lost it. */
function chill(dev: NetDevice): void {
  const { ip } = dev.ns
  const { warm } = ip
  if (warm !== undefined) ip.warm = (at, address) => (at === dev ? undefined : warm(at, address))
}

/** neigh_carrier_down(), when the link watcher tells of it (arp_evict_nocarrier, ndisc_evict_nocarrier): all but permanent ones. */
function evict(dev: NetDevice): void {
  if (dev.carrier || !dev.up) return
  chill(dev)
  for (const family of [4, 6] as const) forgetNeighbours(dev, family, 'learned')
}

function goDown(dev: NetDevice): void {
  chill(dev)
  flushAddresses(dev, 6)
  for (const family of [4, 6] as const) disableIp(dev, family)
}

/** RTNH_F_LINKDOWN: such routes are shown as `linkdown` and used all the same. */
function followCarrier(dev: NetDevice): void {
  if (!dev.carrier && dev.up) dev.ns.machine.clock.after(linkWatchNanoseconds, () => evict(dev))
  for (const family of [4, 6] as const) {
    for (const route of routesOver(dev, family)) {
      for (const nextHop of route.nextHops) {
        if (nextHop.device === dev && nextHop.scope !== routeScope.nowhere) nextHop.linkDown = !dev.carrier
      }
    }
  }
}

/** Neighbours with an old own MAC are asked again; the link-local address follows the MAC (EUI-64). */
function followMac(dev: NetDevice): void {
  if (!dev.up || dev.kind === 'loopback') return
  forgetNeighbours(dev, 4)
  forgetNeighbours(dev, 6)
}

/** The notifier of the network layer, for `Machine.notifiers`. */
export function ipDeviceChanged(dev: NetDevice, change: DeviceChange): void {
  switch (change) {
    case 'up':
      comeUp(dev)
      return
    case 'down':
      goDown(dev)
      return
    case 'carrier':
      followCarrier(dev)
      return
    case 'mac':
      followMac(dev)
      return
    case 'mtu':
    case 'address':
      return
    case 'gone':
      flushAddresses(dev, 4)
      flushAddresses(dev, 6)
      forgetNeighbours(dev, 4)
      return
  }
}
