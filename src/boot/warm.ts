// A derived topology starts warm: whoever is on a link knows the others on it, REACHABLE and confirmed at time 0, not
// permanent. Nothing is stored until somebody asks: a namespace gets a function that knows the link.

import type { NetDevice } from '../kernel/device/device.ts'
import { AddressMap } from '../kernel/ip/address-map.ts'
import type { Machine } from '../kernel/machine.ts'
import type { DeviceModel, NamespaceModel, World } from '../model/model.ts'
import { type IpAddress, isIpv4, linkLocalOf } from '../net/address.ts'
import { macFrom } from '../net/mac.ts'
import { covers } from '../net/prefix.ts'

/** One link: everybody that a broadcast would reach, by address. */
interface Link {
  readonly macs: AddressMap<number>
}

/** Names of the nodes of the link graph: a device, a segment. */
function deviceKey(namespace: string, device: string): string {
  return `${namespace}/${device}`
}

/** Links by device: devices that share a wire, a veth pair or a bridge share a Link. */
class Links {
  private readonly parent = new Map<string, string>()

  root(key: string): string {
    let at = key
    for (let up = this.parent.get(at); up !== undefined; up = this.parent.get(at)) at = up
    if (at !== key) this.parent.set(key, at)
    return at
  }

  join(left: string, right: string): void {
    const [a, b] = [this.root(left), this.root(right)]
    if (a !== b) this.parent.set(a, b)
  }
}

function joinDevice(links: Links, namespace: NamespaceModel, device: DeviceModel): void {
  const key = deviceKey(namespace.name, device.name)
  if (device.segment !== undefined) links.join(key, `segment ${device.segment}`)
  if (device.peer !== undefined) links.join(key, deviceKey(device.peer.namespace, device.peer.device))
  if (device.master !== undefined) links.join(key, deviceKey(namespace.name, device.master))
  if (device.kind === 'macvlan' && device.lower !== undefined)
    links.join(key, deviceKey(namespace.name, device.lower))
}

/** Tags separate links: VLAN devices of one id on lower devices of one link share a link. */
function joinVlan(links: Links, namespace: NamespaceModel, device: DeviceModel): void {
  if (device.kind !== 'vlan' || device.lower === undefined) return
  const wire = links.root(deviceKey(namespace.name, device.lower))
  links.join(deviceKey(namespace.name, device.name), `vlan ${device.vlanId} on ${wire}`)
}

/** Tells every warm namespace whom it knows. */
export function warmNeighbours(machine: Machine, world: World): void {
  if (world.namespaces.every(({ neighbours }) => neighbours === 'cold')) return
  const links = new Links()
  for (const namespace of world.namespaces)
    for (const device of namespace.devices) joinDevice(links, namespace, device)
  for (const namespace of world.namespaces)
    for (const device of namespace.devices) joinVlan(links, namespace, device)
  const byRoot = new Map<string, Link>()
  for (const namespace of world.namespaces) {
    for (const device of namespace.devices)
      addDevice(byRoot, links.root(deviceKey(namespace.name, device.name)), device)
  }
  for (const namespace of world.namespaces) {
    if (namespace.neighbours === 'cold') continue
    const ns = machine.namespaces.get(namespace.name)
    if (ns === undefined) continue
    const known = new Map<string, { readonly link: Link; readonly model: DeviceModel }>()
    for (const device of namespace.devices) {
      const link = byRoot.get(links.root(deviceKey(namespace.name, device.name)))
      if (link !== undefined) known.set(device.name, { link, model: device })
    }
    ns.ip.warm = (dev, address) => warmMac(known.get(dev.name), dev, address)
  }
}

function addDevice(byRoot: Map<string, Link>, root: string, device: DeviceModel): void {
  const link = byRoot.get(root) ?? { macs: new AddressMap<number>() }
  byRoot.set(root, link)
  for (const { address } of device.addresses) link.macs.set(address, 0, device.mac)
  if (device.mac !== 0) link.macs.set(linkLocalOf(macFrom(device.mac)), 0, device.mac)
}

/** The MAC address of an address on the device's link; undefined off the link, for itself, or for nobody. */
function warmMac(
  known: { readonly link: Link; readonly model: DeviceModel } | undefined,
  dev: NetDevice,
  address: IpAddress,
): number | undefined {
  if (known === undefined) return undefined
  const mac = known.link.macs.get(address, 0)
  if (mac === undefined || mac === dev.mac) return undefined
  const onLink =
    known.model.addresses.some((prefix) => covers(prefix, address)) ||
    (!isIpv4(address) && address[0] >>> 16 === 0xfe80)
  return onLink ? mac : undefined
}
