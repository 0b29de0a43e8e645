// What a warm world knows before the first packet: the MAC address of every neighbour that a host can reach without a
// gateway. Enters: a world; leaves: entries for `boot` to put into neighbour tables, REACHABLE and confirmed at time 0.
//
// Which devices hear each other is worked out once (wires, veth pairs, bridges with their ports, vlans), so that one
// lookup costs nothing even where ten thousand hosts share a net.
import { type IpAddress, isIpv4, isLinkLocal } from '../net/address.ts'
import type { Mac } from '../net/mac.ts'
import { covers, type Prefix } from '../net/prefix.ts'
import type { DeviceModel } from './device-model.ts'
import type { NamespaceModel, World } from './model.ts'

export interface WarmNeighbour {
  readonly namespace: string
  readonly device: string
  readonly address: IpAddress
  readonly mac: Mac
  /** It is no address of the other device: a program there answers for it. */
  readonly program: boolean
}

/** An address of a device, as its neighbours see it. */
interface Heard {
  readonly address: IpAddress
  readonly mac: Mac
  readonly place: string
  readonly program: boolean
}

interface Domain {
  readonly heard: readonly Heard[]
  readonly byAddress: ReadonlyMap<string, Heard>
}

/** Looks up one neighbour: the MAC address behind which a device of a warm namespace reaches an on-link address. */
export type WarmLookup = (namespace: string, device: string, address: IpAddress) => Mac | undefined

/**
 * The lookup of a world, for a neighbour table that is filled when it is asked. Cold namespaces know nobody; entries
 * written in the file are not repeated here and win over these.
 */
export function warmLookup(world: World): WarmLookup {
  const domains = domainsOf(world)
  const places = new Map<string, { readonly host: NamespaceModel; readonly device: DeviceModel }>()
  for (const host of world.namespaces) {
    for (const device of host.devices) places.set(placeOf(host.name, device.name), { host, device })
  }
  return (namespace, device, address) => {
    const place = placeOf(namespace, device)
    const found = places.get(place)
    if (found === undefined || found.host.neighbours === 'cold') return undefined
    const heard = domains.get(place)?.byAddress.get(String(address))
    if (heard === undefined || heard.place === place) return undefined
    return isOnLink(found.host, found.device, address) ? heard.mac : undefined
  }
}

/** Every entry of a warm world, in order of namespaces and devices. Its size is the square of what shares a wire. */
export function warmNeighbours(world: World): readonly WarmNeighbour[] {
  const domains = domainsOf(world)
  const entries: WarmNeighbour[] = []
  for (const host of world.namespaces) {
    if (host.neighbours === 'cold') continue
    for (const device of host.devices) {
      const place = placeOf(host.name, device.name)
      for (const { address, mac, program, place: other } of domains.get(place)?.heard ?? []) {
        if (other === place || !isOnLink(host, device, address)) continue
        entries.push({ namespace: host.name, device: device.name, address, mac, program })
      }
    }
  }
  return entries
}

function placeOf(namespace: string, device: string): string {
  return `${namespace}/${device}`
}

/** Covered by an address of the device or by a route without gateway through it; a written gateway counts too. */
function isOnLink(host: NamespaceModel, device: DeviceModel, address: IpAddress): boolean {
  if (device.master !== undefined) return false
  if (device.addresses.some((prefix) => reaches(prefix, address))) return true
  return host.routes.some((route) =>
    route.nexthops.some(
      (hop) =>
        hop.device === device.name &&
        (hop.via === undefined ? covers(route.prefix, address) : String(hop.via) === String(address)),
    ),
  )
}

function reaches(prefix: Prefix, address: IpAddress): boolean {
  const whole = isIpv4(prefix.address) ? 32 : 128
  if (isIpv4(address) !== isIpv4(prefix.address)) return false
  return prefix.length < whole && (covers(prefix, address) || (!isIpv4(address) && isLinkLocal(address)))
}

/** Groups of things that hear each other, joined two at a time. */
class Groups {
  private readonly parents = new Map<string, string>()

  find(name: string): string {
    let root = name
    for (let next = this.parents.get(root); next !== undefined; next = this.parents.get(root)) root = next
    if (root !== name) this.parents.set(name, root)
    return root
  }

  join(left: string, right: string): void {
    const [a, b] = [this.find(left), this.find(right)]
    if (a !== b) this.parents.set(a, b)
  }
}

/** The broadcast domain of every device. */
function domainsOf(world: World): ReadonlyMap<string, Domain> {
  const groups = new Groups()
  for (const host of world.namespaces) for (const device of host.devices) joinWire(groups, host, device)
  // A vlan hears the same vlan of whatever its lower device hears; a vlan on a vlan needs a second round.
  for (let round = 0; round < 2; round += 1) {
    for (const host of world.namespaces) {
      for (const device of host.devices) {
        if (device.kind !== 'vlan' || device.lower === undefined) continue
        const below = groups.find(placeOf(host.name, device.lower))
        groups.join(placeOf(host.name, device.name), `vlan ${device.vlanId} of ${below}`)
      }
    }
  }
  return collect(world, groups)
}

function joinWire(groups: Groups, host: NamespaceModel, device: DeviceModel): void {
  const place = placeOf(host.name, device.name)
  if (device.segment !== undefined) groups.join(place, `net ${device.segment}`)
  if (device.peer !== undefined) groups.join(place, placeOf(device.peer.namespace, device.peer.device))
  if (device.master !== undefined) groups.join(place, placeOf(host.name, device.master))
  // hosts of one overlay hear each other through it
  if (device.tunnel !== undefined && device.kind !== 'ipip' && !device.tunnel.external)
    groups.join(place, `${device.kind} ${device.tunnel.vni}`)
  if (device.kind === 'macvlan' && device.lower !== undefined)
    groups.join(place, placeOf(host.name, device.lower))
}

function collect(world: World, groups: Groups): ReadonlyMap<string, Domain> {
  const byRoot = new Map<string, { readonly heard: Heard[]; readonly byAddress: Map<string, Heard> }>()
  const domains = new Map<string, Domain>()
  for (const host of world.namespaces) {
    for (const device of host.devices) {
      const place = placeOf(host.name, device.name)
      const root = groups.find(place)
      const domain = byRoot.get(root) ?? { heard: [], byAddress: new Map<string, Heard>() }
      byRoot.set(root, domain)
      domains.set(place, domain)
      if (device.kind === 'lo' || device.master !== undefined || !device.up) continue
      const own = device.addresses.map(({ address }) => ({ address, program: false }))
      const answers = (device.answers ?? []).map((address) => ({ address, program: true }))
      for (const { address, program } of [...own, ...answers]) {
        const heard: Heard = { address, mac: device.mac, place, program }
        domain.heard.push(heard)
        if (!domain.byAddress.has(String(address))) domain.byAddress.set(String(address), heard)
      }
    }
  }
  return domains
}
