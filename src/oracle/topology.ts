// A checked world as lines for iproute2: links first, then what needs both ends of every link. Devices get the ifindex
// that they have in the model, so that programs and maps may speak of them by number.
import type { Namespace } from '../kernel/namespace.ts'
import type { DeviceModel } from '../model/device-model.ts'
import type { NamespaceModel, World } from '../model/model.ts'
import { formatIp } from '../net/address.ts'
import { addressLine, macText } from './table-lines.ts'

/** The namespace of the wires: a bridge for each. */
export const switchName = ' wires'

/** The bridge of a wire in the switch. */
export function wireName(world: World, segment: string): string {
  return `w${world.segments.findIndex(({ name }) => name === segment)}`
}

/** The end of a `phys` device that lies in the switch. */
export function portName(world: World, namespace: string, device: string): string {
  let port = 0
  for (const each of world.namespaces) {
    for (const { name, kind } of each.devices) {
      if (each.name === namespace && name === device) return `p${port}`
      if (kind === 'phys') port += 1
    }
  }
  return `p${port}`
}

/** What the lines need to know of the machine. */
export interface Surroundings {
  readonly world: World
  /** The booted namespace of the model: ifindexes, warm neighbours. */
  readonly booted: (namespace: string) => Namespace
  /** A path that iproute2 takes after `netns`. */
  readonly path: (namespace: string) => string
}

function ifindex({ booted }: Surroundings, namespace: string, device: string): number {
  return booted(namespace).devicesByName.get(device)?.ifindex ?? 0
}

/** The line that makes a device; undefined for lo and for the second end of a pair. */
export function linkLine(
  around: Surroundings,
  namespace: string,
  device: DeviceModel,
  made: ReadonlySet<string>,
): string | undefined {
  const head = `link add name ${device.name} index ${ifindex(around, namespace, device.name)} address ${macText(device.mac)} mtu ${device.mtu}`
  switch (device.kind) {
    case 'lo':
    case 'netkit':
    case 'wireguard':
      return undefined
    case 'phys':
      return `${head} type veth peer name ${portName(around.world, namespace, device.name)} netns ${around.path(switchName)}`
    case 'veth': {
      const { peer } = device
      if (peer === undefined || made.has(`${namespace}/${device.name}`)) return undefined
      const index = ifindex(around, peer.namespace, peer.device)
      const other = around.world.namespaces
        .find(({ name }) => name === peer.namespace)
        ?.devices.find(({ name }) => name === peer.device)
      const address = other === undefined ? '' : ` address ${macText(other.mac)} mtu ${other.mtu}`
      return `${head} type veth peer name ${peer.device} index ${index}${address} netns ${around.path(peer.namespace)}`
    }
    case 'bridge':
      return `${head} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`
    case 'dummy':
      return `${head} type dummy`
    case 'vlan':
      return `link add link ${device.lower} ${head.slice('link add '.length)} type vlan id ${device.vlanId ?? 0}`
    case 'macvlan':
      return `link add link ${device.lower} ${head.slice('link add '.length)} type macvlan mode ${device.macvlanMode ?? 'bridge'}`
    case 'vxlan':
    case 'geneve':
    case 'ipip':
      return tunnelLine(device, ifindex(around, namespace, device.name))
  }
}

/** `ip link add ... type vxlan|geneve|ipip`; an ipip device has no MAC address. */
function tunnelLine(device: DeviceModel, index: number): string {
  const { kind, tunnel, lower } = device
  const mac = kind === 'ipip' ? '' : ` address ${macText(device.mac)}`
  const words = [`link add name ${device.name} index ${index}${mac} type ${kind}`]
  if (tunnel === undefined) return words.join(' ')
  const put = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) words.push(`${name} ${value}`)
  }
  if (tunnel.external) words.push('external')
  else if (kind !== 'ipip') put('id', tunnel.vni)
  put('remote', tunnel.remote === undefined ? undefined : formatIp(tunnel.remote))
  put('local', tunnel.local === undefined || kind === 'geneve' ? undefined : formatIp(tunnel.local))
  put('dev', lower)
  if (kind === 'ipip') {
    words.push(tunnel.pathMtu ? 'pmtudisc' : 'nopmtudisc')
  } else {
    put('dstport', tunnel.dstport ?? (kind === 'vxlan' ? 8472 : 6081))
    words.push(tunnel.udpcsum ? 'udpcsum' : 'noudpcsum')
    if (tunnel.df !== 'unset') put('df', tunnel.df)
  }
  if (kind === 'vxlan') {
    if (tunnel.srcport !== undefined) put('srcport', `${tunnel.srcport.first} ${tunnel.srcport.last}`)
    words.push(tunnel.learning ? 'learning' : 'nolearning')
    if (tunnel.proxy) words.push('proxy')
  }
  if (tunnel.ttl !== 0) put('ttl', tunnel.ttl)
  if (tunnel.tos === 'inherit') put('tos', tunnel.tos)
  else if (tunnel.tos !== 0) put('tos', `0x${tunnel.tos.toString(16)}`)
  return words.join(' ')
}

/**
 * The links of a namespace, in the order of the model: first those that stand alone, then those on top of others (a
 * lower device may be the second end of another namespace's pair). `made` collects ends of pairs.
 */
export function linkLines(
  around: Surroundings,
  model: NamespaceModel,
  made: Set<string>,
  which: 'alone' | 'stacked',
): string[] {
  const lines: string[] = []
  for (const device of model.devices) {
    if ((device.lower !== undefined) !== (which === 'stacked')) continue
    const line = linkLine(around, model.name, device, made)
    if (line === undefined) continue
    lines.push(line)
    if (device.peer !== undefined) made.add(`${device.peer.namespace}/${device.peer.device}`)
  }
  return lines
}

/**
 * The switch: a learning bridge for each wire that knows every card from the start. Ports come up first, the last one before the
 * others: a bridge floods to its newest port first, a wire of the model to its first.
 */
export function switchLines(world: World): { readonly ip: string[]; readonly bridge: string[] } {
  const ip = world.segments.map(
    ({ name }) =>
      `link add ${wireName(world, name)} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
  )
  const bridge: string[] = []
  const plugs: string[] = []
  for (const namespace of world.namespaces) {
    for (const device of namespace.devices) {
      if (device.kind !== 'phys') continue
      const port = portName(world, namespace.name, device.name)
      const master = device.segment === undefined ? '' : ` master ${wireName(world, device.segment)}`
      ip.push(`link set ${port} mtu ${Math.min(3498, Math.max(1500, ...mtus(world)))}`)
      plugs.push(`link set ${port}${master} up`)
      if (master !== '') bridge.push(`fdb add ${macText(device.mac)} dev ${port} master static`)
    }
  }
  ip.push(...plugs.reverse(), ...world.segments.map(({ name }) => `link set ${wireName(world, name)} up`))
  return { ip, bridge }
}

function mtus(world: World): number[] {
  return world.namespaces.flatMap(({ devices }) =>
    devices.filter(({ kind }) => kind === 'phys').map(({ mtu }) => mtu),
  )
}

/** What differs from a new port. */
function portFlags({ name, hairpin, isolated, flood, learning }: DeviceModel): string[] {
  const words = [
    ...(hairpin ? [`hairpin ${onOff(hairpin)}`] : []),
    ...(isolated ? [`isolated ${onOff(isolated)}`] : []),
    ...(flood === false ? ['flood off'] : []),
    ...(learning === false ? ['learning off'] : []),
  ]
  return words.length === 0 ? [] : [`link set ${name} type bridge_slave ${words.join(' ')}`]
}

/** Ports, link state, addresses: what needs all links. */
export function deviceLines(model: NamespaceModel): string[] {
  const lines: string[] = ['link set lo up']
  // before there are ports: a bridge whose MTU nobody chose takes the least of theirs
  for (const { kind, name, mtu } of model.devices)
    if (kind !== 'lo' || mtu !== 65536) lines.push(`link set ${name} mtu ${mtu}`)
  for (const device of model.devices) {
    if (device.master !== undefined) {
      lines.push(`link set ${device.name} master ${device.master}`)
      lines.push(...portFlags(device))
    }
    if (device.up && device.kind !== 'lo') lines.push(`link set ${device.name} up`)
  }
  for (const device of model.devices)
    for (const address of device.addresses) lines.push(addressLine(device.name, address))
  return lines
}

function onOff(on: boolean): string {
  return on ? 'on' : 'off'
}
