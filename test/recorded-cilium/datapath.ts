// Cilium on the recorded topology: maps filled as the agent would fill them, objects loaded and attached.
import type { Program } from '../../src/bpf/contract.ts'
import {
  defaultObject,
  defaultValues,
  type NodeConfig,
  type ObjectConfig,
  type ObjectKind,
} from '../../src/cilium/datapath/config.ts'
import { type LoadedObject, loadObject, programOf } from '../../src/cilium/datapath/object.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import type { Machine } from '../../src/kernel/machine.ts'
import { attachTc } from '../../src/kernel/tc/attach.ts'
import { attachXdp } from '../../src/kernel/xdp-attach.ts'
import type { RecordedConfig, RecordedSetup } from './case.ts'
import { eraOf, legacyValues, symbolOf, type Version, versionOf } from './era.ts'
import { addressBytes, applyPolicy, type FilledNode, fillNode, putPolicy } from './fill.ts'
import { applyMap } from './raw-entry.ts'
import { putServices } from './services.ts'
import { definesFor, nodeConstants, objectConstantsOf, xdpMode } from './settings.ts'
import { ifindex, mac, macs, must, type Pod, pods } from './topology.ts'

/** LB_SELECTION_* */
const selections: Readonly<Record<string, number>> = { random: 1, maglev: 2, first: 3 }

type Watch = (program: Program, dev: NetDevice, direction: string) => Program

function nodeConfig(number: 1 | 2, config: RecordedConfig, version: Version): NodeConfig {
  const six = config.v6 === true
  return {
    ...definesFor(config),
    ...defaultValues,
    ...(version === 'v1.10' ? legacyValues : {}),
    ENCAP_IFINDEX: ifindex.cilium_vxlan,
    CILIUM_HOST_IFINDEX: ifindex.cilium_host,
    CILIUM_NET_IFINDEX: ifindex.cilium_net,
    CILIUM_HOST_MAC: mac(macs.ciliumHost(number)),
    CILIUM_NET_MAC: mac(macs.ciliumNet(number)),
    nativeDeviceMacs: new Map([[ifindex.eth0, mac(macs.eth0(number))]]),
    IPV4_GATEWAY: addressBytes(`10.0.${number}.1`),
    IPV4_DIRECT_ROUTING: addressBytes(`192.168.0.${number}`),
    direct_routing_dev_ifindex: ifindex.eth0,
    IPV4_SNAT_EXCLUSION_DST_CIDR: { address: addressBytes('10.0.0.0'), length: 16 },
    ...(six
      ? {
          router_ipv6: addressBytes(`fd00:${number}::1`),
          IPV6_DIRECT_ROUTING: addressBytes(`fd01::${number}`),
          IPV6_SNAT_EXCLUSION_DST_CIDR: { address: addressBytes('fd00::'), length: 16 },
        }
      : {}),
    MONITOR_AGGREGATION: config.aggregation ?? 0,
    LB_SELECTION: selections[config.lb ?? 'random'] ?? 1,
    LB_MAGLEV_LUT_SIZE: maglevSlots,
    HASH_INIT4_SEED: 1,
    HASH_INIT6_SEED: 1,
    ...nodeConstants(config),
  }
}

function objectConfig(
  number: 1 | 2,
  kind: ObjectKind,
  extra: Partial<ObjectConfig>,
  recorded: RecordedConfig,
): ObjectConfig {
  const six = recorded.v6 === true
  return {
    ...defaultObject,
    kind,
    security_label: kind === 'bpf_host' ? 1 : 0,
    host_ep_id: 100 + number,
    nat_ipv4_masquerade: addressBytes(`192.168.0.${number}`),
    nat_ipv6_masquerade: six ? addressBytes(`fd01::${number}`) : undefined,
    ...objectConstantsOf(recorded),
    ...extra,
  }
}

/** What a node is configured with, and the words of the recording for it. */
interface Settings {
  readonly config: NodeConfig
  readonly recorded: RecordedConfig
}

/** One node with Cilium on it. */
export type CiliumNode = FilledNode

/** Takes a program of an object by its name in 1.19. */
function programNamed(node: CiliumNode, object: LoadedObject, symbol: string): Program {
  return programOf(object, symbolOf(versionOf(node.maps), symbol))
}

const cpus = 1
const maglevSlots = 251

function hook(
  node: CiliumNode,
  at: readonly [dev: NetDevice, way: 'ingress' | 'egress'],
  object: LoadedObject,
  symbol: string,
  watch: Watch,
): void {
  const [dev, way] = at
  const program = watch(programNamed(node, object, symbol), dev, way)
  const done = attachTc(dev, way, { kind: 'tcx', program })
  if (!done.ok) throw new Error(`${symbol} on ${dev.name}`)
}

function installPod(
  node: CiliumNode,
  each: Pod,
  { config, recorded }: Settings,
  dev: NetDevice,
  watch: Watch,
): void {
  const six = config.ENABLE_IPV6
  const object = objectConfig(
    node.number,
    'bpf_lxc',
    {
      interface_ifindex: each.ifindex,
      interface_mac: mac(each.nodeMac),
      security_label: each.identity,
      endpoint_id: each.endpointId,
      endpoint_ipv4: addressBytes(each.address4),
      endpoint_ipv6: six ? addressBytes(each.address6) : undefined,
    },
    recorded,
  )
  const loaded = loadObject(eraOf(versionOf(node.maps)).bpfLxc(config), {
    node: config,
    object,
    maps: node.maps,
    policy: must(node.policies.get(each.endpointId), 'policy'),
    suffix: String(each.endpointId).padStart(5, '0'),
    cpus,
  })
  node.maps.cilium_call_policy.set(each.endpointId, programNamed(node, loaded, 'cil_lxc_policy'), 0)
  hook(node, [dev, 'ingress'], loaded, 'cil_from_container', watch)
}

function installHost(
  node: CiliumNode,
  { config, recorded }: Settings,
  devices: Map<string, NetDevice>,
  watch: Watch,
): void {
  const device = (name: string): NetDevice => must(devices.get(name), name)
  const policy = must(node.policies.get(100 + node.number), 'host policy')
  const version = versionOf(node.maps)
  const load = (name: string) => {
    const dev = device(name)
    const extra = { interface_ifindex: dev.ifindex, interface_mac: dev.mac }
    const object = objectConfig(node.number, 'bpf_host', extra, recorded)
    return loadObject(eraOf(version).bpfHost(config), {
      node: config,
      object,
      maps: node.maps,
      policy,
      suffix: name,
      cpus,
    })
  }
  const host = load('cilium_host')
  hook(node, [device('cilium_host'), 'ingress'], host, 'cil_to_host', watch)
  hook(node, [device('cilium_host'), 'egress'], host, 'cil_from_host', watch)
  hook(node, [device('cilium_net'), 'ingress'], load('cilium_net'), 'cil_to_host', watch)
  const netdev = load('eth0')
  hook(node, [device('eth0'), 'ingress'], netdev, 'cil_from_netdev', watch)
  hook(node, [device('eth0'), 'egress'], netdev, 'cil_to_netdev', watch)
  // 1.10 has that program only with the host firewall and a route for each endpoint
  if (version === 'v1.10') return
  node.maps.cilium_call_policy.set(100 + node.number, programOf(host, 'cil_host_policy'), 0)
}

function installNode(
  machine: Machine,
  number: 1 | 2,
  recorded: RecordedConfig,
  watch: Watch,
  version: Version,
): CiliumNode {
  const ns = must(machine.namespaces.get(`n${number}`), 'node')
  const config = nodeConfig(number, recorded, version)
  const settings = { config, recorded }
  const era = eraOf(version)
  const maps = era.createNodeMaps(cpus, maglevSlots)
  const ids = [
    ...pods.filter(({ node }) => node === number).map(({ endpointId }) => endpointId),
    100 + number,
  ]
  const policies = new Map(ids.map((id) => [id, era.createPolicyMap(id, cpus)]))
  const node: CiliumNode = { number, maps, policies }
  fillNode(maps, number, recorded)
  // pods allow everything until a case says otherwise; a host endpoint has only the rules that are given
  for (const [id, map] of policies) {
    if (id !== 100 + number) for (const egress of [false, true]) putPolicy(map, { egress })
  }
  for (const each of pods.filter((candidate) => candidate.node === number)) {
    installPod(node, each, settings, must(ns.devicesByName.get(`lxc${each.name}`), each.name), watch)
  }
  installHost(node, settings, ns.devicesByName, watch)
  if (recorded.tunnel === true) {
    const dev = must(ns.devicesByName.get('cilium_vxlan'), 'cilium_vxlan')
    const extra = { interface_ifindex: dev.ifindex, interface_mac: dev.mac }
    const object = objectConfig(number, 'bpf_overlay', extra, recorded)
    const source = era.bpfOverlay(config)
    const loaded = loadObject(source, { node: config, object, maps, suffix: 'overlay', cpus })
    hook(node, [dev, 'ingress'], loaded, 'cil_from_overlay', watch)
    hook(node, [dev, 'egress'], loaded, 'cil_to_overlay', watch)
  }
  const mode = xdpMode(recorded)
  if (mode !== undefined) {
    const dev = must(ns.devicesByName.get('eth0'), 'eth0')
    const object = objectConfig(number, 'bpf_xdp', { interface_ifindex: dev.ifindex }, recorded)
    const loaded = loadObject(era.bpfXdp(config), { node: config, object, maps, suffix: 'xdp', cpus })
    const done = attachXdp(dev, watch(programNamed(node, loaded, 'cil_xdp_entry'), dev, 'xdp'), mode)
    if (!done.ok) throw new Error('xdp')
    // a frame that XDP sends back reaches the far end of a veth only if that runs native XDP too
    const port = must(dev.peer, 'port of the switch')
    if (mode === 'native' && !attachXdp(port, { name: 'pass', type: 'xdp', run: () => 2 }, 'native').ok)
      throw new Error('pass')
  }
  return node
}

/** Puts Cilium on both nodes; `watch` sees every program that is attached. */
export function installCilium(
  machine: Machine,
  config: RecordedConfig,
  setup: RecordedSetup | undefined,
  watch: Watch,
  version: Version,
): CiliumNode[] {
  const nodes = ([1, 2] as const).map((number) => installNode(machine, number, config, watch, version))
  putServices(nodes, config, setup?.services, maglevSlots)
  for (const rule of setup?.policy ?? []) applyPolicy(nodes, rule)
  for (const entry of setup?.maps ?? []) applyMap(nodes, entry)
  return nodes
}
