// Who is in the world: nets, hosts and their devices, with every name and address of the topology read once. The checks
// of the world and the resolved model are both made from these.
import type { Report } from '../../base/diagnostic.ts'
import type { Span } from '../../base/text.ts'
import type { IpAddress } from '../../net/address.ts'
import { isIpv4, isLinkLocal, parseIp } from '../../net/address.ts'
import type { Mac } from '../../net/mac.ts'
import { covers, networkOf, type Prefix, prefixOf } from '../../net/prefix.ts'
import type {
  Cluster,
  Device,
  DeviceOptionName,
  External,
  Host,
  HostItem,
  Net,
  Option,
  Pod,
  Policy,
  Service,
  TopologyItem,
  Word,
} from '../../syntax/ast.ts'
import type { DeviceModelKind } from '../device-model.ts'
import { mistakeIn } from '../diagnose.ts'
import { macIn, prefixIn } from '../words/addresses.ts'
import { isNothing, isOpen } from '../words/fill.ts'
import { isSet, optionValue } from '../words/options.ts'
import { addClusterDevices } from './cluster-devices.ts'
import { deriveMac } from './derive.ts'
import { Hosts } from './hosts.ts'
import type { Linked } from './link.ts'
import { inheritMacs } from './macs.ts'
import { completePeers } from './peers.ts'

export interface NetDraft {
  readonly name: string
  readonly syntax: Net
  readonly prefixes: readonly Prefix[]
}

/** An address of a device, and the word that says it. */
export interface AddressDraft {
  readonly prefix: Prefix
  readonly word: Word
}

export type DraftKind = DeviceModelKind | 'unavailable' | 'unknown'

export interface DeviceDraft {
  readonly host: string
  readonly name: string
  readonly kind: DraftKind
  /** The statement, or undefined for a device that another statement implies. */
  readonly syntax: Device | undefined
  readonly net: string | undefined
  readonly addresses: readonly AddressDraft[]
  /** Whether one of its addresses was wrong, which is reported already. */
  readonly isMisread: boolean
  readonly options: readonly Option<DeviceOptionName>[]
  readonly mac: Mac
  /** veth: the other end, as far as the file says it. */
  readonly peer: { readonly host: string; readonly device: string; readonly word: Word } | undefined
  readonly span: Span
}

export interface HostDraft {
  readonly name: string
  readonly word: Word
  readonly kind: 'node' | 'netns' | 'external' | 'pod'
  /** The node whose kernel it lives on. */
  readonly node: string
  readonly items: readonly HostItem[]
  readonly devices: Map<string, DeviceDraft>
  readonly span: Span
}

/** One world's topology: the items of the file with the variables of a case filled in, and what they name. */
export interface Entities {
  readonly linked: Linked
  readonly items: Linked['topology']
  readonly nets: ReadonlyMap<string, NetDraft>
  readonly hosts: Hosts
  readonly pods: readonly Pod[]
  /** Pods that steps add. */
  readonly latePods: readonly Pod[]
  readonly services: ReadonlyMap<string, Service>
  readonly policies: ReadonlyMap<string, Policy>
  readonly clusters: readonly Cluster[]
}

type Machine = Host | External | Pod

/** Reads a topology. Where a name stands twice, the first counts and a check reports the second. */
export function readEntities(
  linked: Linked,
  items: Linked['topology'],
  report: Report,
  latePods: readonly Pod[] = [],
): Entities {
  const nets = new Map<string, NetDraft>()
  for (const item of items) if (item.kind === 'net') keepFirst(nets, item.name.text, readNet(item, report))
  const taken = new Set<number>()
  const hosts = new Hosts()
  for (const item of items) {
    if (!isMachine(item) || hosts.has(item.name.text) || isOnHost(item, items)) continue
    hosts.set(item.name.text, readHost(item, { nets, taken, report }))
  }
  for (const item of items) if (item.kind === 'pod' && isOnHost(item, items)) addOnHost(item, hosts)
  for (const pod of latePods) {
    if (!hosts.has(pod.name.text)) hosts.set(pod.name.text, readHost(pod, { nets, taken, report }))
  }
  completePeers(hosts, taken)
  inheritMacs(hosts)
  const of = <Kind extends TopologyItem['kind']>(kind: Kind): Extract<TopologyItem, { kind: Kind }>[] =>
    items.filter((item): item is Extract<(typeof items)[number], { kind: Kind }> => item.kind === kind)
  const byName = <T extends { readonly name: Word }>(list: readonly T[]): Map<string, T> => {
    const map = new Map<string, T>()
    for (const each of list) keepFirst(map, each.name.text, each)
    return map
  }
  const [pods, clusters] = [of('pod'), of('cluster')]
  const inside = [...pods, ...latePods].filter((pod) => hosts.nodeOf(pod.name.text) === undefined)
  addClusterDevices(hosts, { clusters, pods: inside }, taken)
  return {
    linked,
    items,
    nets,
    hosts,
    pods,
    latePods: latePods.filter((pod) => pods.every(({ name }) => name.text !== pod.name.text)),
    services: byName(of('service')),
    policies: byName(of('policy')),
    clusters,
  }
}

/** A pod on the network of a node that is there. */
function isOnHost(item: TopologyItem, items: Linked['topology']): item is Pod {
  if (item.kind !== 'pod' || !isSet(item.options, 'hostnetwork')) return false
  return items.some((each) => each.kind === 'node' && each.name.text === item.node.text)
}

/** What a pod on the host's network does its node does. */
function addOnHost(pod: Pod, hosts: Hosts): void {
  const node = hosts.get(pod.node.text)
  if (node === undefined || hosts.has(pod.name.text)) return
  hosts.set(node.name, { ...node, items: [...node.items, ...pod.items] })
  hosts.addName(pod.name.text, node.name)
}

function keepFirst<T>(map: Map<string, T>, name: string, value: T): void {
  if (!map.has(name)) map.set(name, value)
}

export function isMachine(item: TopologyItem): item is Machine {
  return item.kind === 'node' || item.kind === 'netns' || item.kind === 'external' || item.kind === 'pod'
}

function readNet(item: Net, report: Report): NetDraft {
  const prefixes: Prefix[] = []
  for (const word of item.prefixes) {
    const prefix = prefixIn(word, report)
    if (prefix !== undefined) prefixes.push(networkOf(prefix))
  }
  return { name: item.name.text, syntax: item, prefixes }
}

interface Reading {
  readonly nets: ReadonlyMap<string, NetDraft>
  readonly taken: Set<number>
  readonly report: Report
}

function readHost(item: Machine, reading: Reading): HostDraft {
  const devices = new Map<string, DeviceDraft>()
  const name = item.name.text
  if (item.kind === 'external' || item.kind === 'pod') {
    const options: readonly Option<DeviceOptionName>[] =
      item.kind === 'external' ? item.options : item.options.filter(isMacOrMtu)
    devices.set('eth0', {
      host: name,
      name: 'eth0',
      kind: item.kind === 'pod' ? 'unavailable' : 'phys',
      syntax: undefined,
      net: item.kind === 'external' ? item.net.text : undefined,
      ...readAddresses(item.addresses, item.kind === 'external' ? item.net.text : undefined, reading),
      options,
      mac: macOf(options, `${name}/eth0`, reading),
      peer: undefined,
      span: item.name.span,
    })
  }
  for (const each of item.items) {
    if (each.kind === 'dev') keepFirst(devices, each.name.text, readDevice(name, each, reading))
  }
  const node =
    item.kind === 'pod' ? item.node.text : item.kind === 'netns' && item.on !== null ? item.on.text : name
  return { name, word: item.name, kind: item.kind, node, items: item.items, devices, span: item.span }
}

function isMacOrMtu(option: Option): option is Option<'mac' | 'mtu'> {
  return option.name === 'mac' || option.name === 'mtu'
}

function kindOf(item: Device): DraftKind {
  const type = item.type
  switch (type) {
    case 'wireguard':
      return 'unavailable'
    case null:
      if (item.net !== null) return 'phys'
      if (item.options.some((option) => option.name === 'peer')) return 'veth'
      return item.name.text === 'lo' ? 'lo' : 'unknown'
    default:
      return type
  }
}

/** Reads one device. `host` names the namespace it stands in. */
export function readDevice(host: string, item: Device, reading: Reading): DeviceDraft {
  const net = item.net?.text
  const peer = optionValue(item.options, 'peer')
  const slash = peer?.text.indexOf('/') ?? -1
  return {
    host,
    name: item.name.text,
    kind: kindOf(item),
    syntax: item,
    net,
    ...readAddresses(item.addresses, net, reading),
    options: item.options,
    mac: macOf(item.options, `${host}/${item.name.text}`, reading),
    peer:
      peer === undefined
        ? undefined
        : {
            host: slash < 0 ? host : peer.text.slice(0, slash),
            device: peer.text.slice(slash + 1),
            word: peer,
          },
    span: item.name.span,
  }
}

function macOf(options: readonly Option<DeviceOptionName>[], place: string, reading: Reading): Mac {
  const word = optionValue(options, 'mac')
  const mac = word === undefined ? undefined : macIn(word, reading.report)
  return mac ?? deriveMac(place, reading.taken)
}

/** A bare address on a net has the net's length, that of a link 64; elsewhere it is one host. */
function readAddresses(
  words: readonly Word[],
  net: string | undefined,
  { nets, report }: Reading,
): Pick<DeviceDraft, 'addresses' | 'isMisread'> {
  const addresses: AddressDraft[] = []
  let isMisread = false
  for (const word of words) {
    if (isNothing(word) || isOpen(word)) continue
    const found = net === undefined ? undefined : nets.get(net)
    const bare = parseIp(word.text)
    const prefix = bare !== undefined && found !== undefined ? onNet(bare, found) : prefixIn(word, report)
    if (prefix === undefined) {
      isMisread = true
      if (bare !== undefined && found !== undefined && isRead(found)) report(outside(word, found))
      continue
    }
    if (found !== undefined && isRead(found) && onNet(prefix.address, found) === undefined) {
      report(outside(word, found))
    }
    addresses.push({ prefix, word })
  }
  return { addresses, isMisread }
}

function onNet(address: IpAddress, net: NetDraft): Prefix | undefined {
  if (!isIpv4(address) && isLinkLocal(address)) return prefixOf(address, 64)
  const own = net.prefixes.find((prefix) => covers(prefix, address))
  return own === undefined ? undefined : prefixOf(address, own.length)
}

/** Whether all prefixes of a net are ones: one that is not has its own message. */
function isRead({ prefixes, syntax }: NetDraft): boolean {
  return prefixes.length === syntax.prefixes.length
}

function outside(word: Word, net: NetDraft): ReturnType<typeof mistakeIn> {
  const subnets = net.syntax.prefixes.map((prefix) => prefix.text).join(' or ')
  return mistakeIn('S105', word, `\`${word.text}\` is not an address of net \`${net.name}\``, {
    hint: `it must lie in ${subnets}`,
    notes: [{ message: `net \`${net.name}\` is declared here`, span: net.syntax.span }],
  })
}

/** All addresses of a host in the order of its devices; those of one family where `family` says so. */
export function addressesOf(host: HostDraft, family?: 4 | 6): readonly IpAddress[] {
  const all: IpAddress[] = []
  for (const device of host.devices.values()) {
    for (const { prefix } of device.addresses) {
      if (family === undefined || isIpv4(prefix.address) === (family === 4)) all.push(prefix.address)
    }
  }
  return all
}
