// What `ip link` says of a device's state: flags, operational state, queueing discipline, the device it is linked to.
// net/core/link_watch.c default_operstate(), iproute2 ip/ipaddress.c print_link_flags()
import type { DeviceKind, NetDevice } from '../device/device.ts'

/** IFLA_LINK: the far end of a pair, the device below a vlan; undefined for all others, tunnels among them. */
export function linkedTo(dev: NetDevice): NetDevice | undefined {
  return dev.peer ?? (dev.kind === 'vlan' || dev.kind === 'macvlan' ? dev.lower : undefined)
}

function hasCarrier(dev: NetDevice): boolean {
  return dev.up && dev.carrier
}

/** `<BROADCAST,MULTICAST,UP,LOWER_UP>` */
export function flagsText(dev: NetDevice): string {
  const link = linkedTo(dev)
  const isLoopback = dev.kind === 'loopback'
  const tunnel = dev.kind === 'ipip' || dev.kind === 'wireguard'
  const words = [
    ...(dev.up && !hasCarrier(dev) ? ['NO-CARRIER'] : []),
    ...(isLoopback
      ? ['LOOPBACK']
      : tunnel
        ? [...(dev.kind === 'wireguard' ? ['POINTOPOINT'] : []), 'NOARP']
        : ['BROADCAST', 'MULTICAST']),
    ...(!isLoopback && !tunnel && !dev.arp ? ['NOARP'] : []),
    ...(dev.up ? ['UP'] : []),
    ...(hasCarrier(dev) ? ['LOWER_UP'] : []),
    ...(link !== undefined && link.ns === dev.ns && !link.up ? ['M-DOWN'] : []),
  ]
  return `<${words.join(',')}>`
}

/** Kinds without a carrier of their own: the kernel never learns more than "unknown". */
const carrierless: ReadonlySet<DeviceKind> = new Set([
  'loopback',
  'vxlan',
  'geneve',
  'ipip',
  'dummy',
  'wireguard',
])

/**
 * `UP`, `DOWN`, `UNKNOWN`, `LOWERLAYERDOWN`. The kernel looks the linked index up among the devices of the device's own
 * namespace, whatever namespace the linked device is in.
 */
export function operationalState(dev: NetDevice): string {
  if (!dev.up) return 'DOWN'
  if (carrierless.has(dev.kind)) return 'UNKNOWN'
  if (dev.carrier) return 'UP'
  const link = linkedTo(dev)
  const found = link === undefined ? undefined : dev.ns.devices.get(link.ifindex)
  if (found === undefined || found === dev) return 'DOWN'
  return found.carrier && found.up ? 'DOWN' : 'LOWERLAYERDOWN'
}

/** The root qdisc: software devices have none; a network card gets net.core.default_qdisc when it comes up. */
export function qdiscName(dev: NetDevice): string {
  if (!dev.up) return 'noop'
  if (dev.qdisc !== undefined) return dev.qdisc.discipline.kind
  return dev.kind === 'phys' ? 'pfifo_fast' : 'noqueue'
}

/** `veth0@if3`, `vlan5@eth0`, `eth0`. */
export function nameWithLink(dev: NetDevice): string {
  const link = linkedTo(dev)
  if (dev.kind === 'ipip') return `${dev.name}@NONE`
  if (link === undefined) return dev.name
  return `${dev.name}@${link.ns === dev.ns ? link.name : `if${link.ifindex}`}`
}
