// A cluster's agents carry out what they decided: maps are made and filled, objects are loaded and attached at their hooks,
// as `facts` 1.2 says which stands where.
import { present } from '../base/assert.ts'
import type { Program } from '../bpf/contract.ts'
import type { AgentState, ClusterState } from '../cilium/agent/agent.ts'
import type { Endpoint } from '../cilium/agent/endpoint.ts'
import type { NameManager } from '../cilium/agent/fqdn/name-manager.ts'
import { IdentityCollector } from '../cilium/agent/identity-gc.ts'
import { tunnelDevice } from '../cilium/agent/plan/node.ts'
import { wireguardDevice } from '../cilium/agent/plan/wireguard.ts'
import type { NodeMaps, ObjectMaps } from '../cilium/datapath/ctx.ts'
import { type LoadedObject, loadObject, programOf } from '../cilium/datapath/object.ts'
import type { InstalledCilium, InstalledNode } from '../cilium/installed.ts'
import { addressBytes } from '../cilium/maps/address-bytes.ts'
import { bpfWireguard } from '../cilium/wireguard/bpf-wireguard.ts'
import type { NetDevice } from '../kernel/device/device.ts'
import type { Machine } from '../kernel/machine.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { attachXdp } from '../kernel/xdp-attach.ts'
import type { CiliumModel } from '../model/cluster.ts'
import { isIpv4 } from '../net/address.ts'
import type { AgentAct, StepTrace } from '../trace/event.ts'
import {
  type Interfaces,
  identitiesOf,
  nodeConfigOf,
  objectConfigOf,
  verdictFilter,
} from './cilium-config.ts'
import type { ConntrackCollector } from './cilium-conntrack.ts'
import { decisionsOf } from './cilium-deploy.ts'
import { type CiliumEra, ciliumEras } from './cilium-era.ts'
import { hook, symbolOf } from './cilium-hooks.ts'
import { fill, fillMasqAgent } from './cilium-maps.ts'
import { deviceOf, mustDo, namespaceOf } from './resolved.ts'

const cpus = 1

/** One node with Cilium on it, as its agent holds it. */
export interface RunningNode {
  /** What its agent decided last. */
  agent: AgentState
  readonly ns: Namespace
  readonly maps: NodeMaps
  readonly policies: Map<number, NonNullable<ObjectMaps['policy']>>
  readonly devices: Interfaces
  /** Ports on which its proxies listen. */
  readonly proxyPorts: Set<number>
  /** The version of Cilium. */
  readonly era: CiliumEra
  /** Programs at hooks of devices, by `device way`. */
  readonly hooked: Map<string, Program>
  /** Objects by the device that they are for, in the order of loading. */
  readonly objects: Map<string, LoadedObject>
  /** Devices of endpoints by id, for traces. */
  readonly names: Map<number, string>
  /** What is told of programs that are attached while the machine runs. */
  onHook: ((act: Extract<AgentAct, { readonly kind: 'program' }>) => void) | undefined
}

function numbersOf(dev: NetDevice): { readonly interface_ifindex: number; readonly interface_mac: number } {
  return { interface_ifindex: dev.ifindex, interface_mac: dev.mac }
}

/** bpf_lxc on the host's end of an endpoint's pair; in place of what is there. */
export function installEndpoint(node: RunningNode, endpoint: Endpoint): void {
  const { agent, ns, maps, policies, devices, era } = node
  const { device, id, identity, addresses } = endpoint
  if (device === undefined) return
  const config = nodeConfigOf(agent, endpoint, devices)
  const four = addresses.find(isIpv4)
  const six = addresses.find((address) => !isIpv4(address))
  const object = objectConfigOf(agent, 'bpf_lxc', {
    ...numbersOf(deviceOf(ns, device.name)),
    security_label: identity.id,
    endpoint_id: id,
    endpoint_ipv4: four === undefined ? undefined : addressBytes(four),
    endpoint_ipv6: six === undefined ? undefined : addressBytes(six),
    policy_verdict_log_filter: verdictFilter(agent, endpoint),
  })
  const loaded = loadObject(era.lxc(config), {
    node: config,
    object,
    maps,
    policy: policies.get(id),
    suffix: String(id).padStart(5, '0'),
    cpus,
  })
  maps.cilium_call_policy.set(id, programOf(loaded, symbolOf(node, 'policy')), 0)
  const { egressPolicy } = era.symbols
  if (egressPolicy !== undefined) maps.cilium_egresscall_policy.set(id, programOf(loaded, egressPolicy), 0)
  if (endpoint.requiresEgressProgram) hook(node, device.name, 'egress', loaded, 'toContainer')
  hook(node, device.name, 'ingress', loaded, 'fromContainer')
}

/** bpf_host on cilium_host, cilium_net and the native devices, each with a copy of its own; in place of what is there. */
export function installHost(node: RunningNode, host: Endpoint): void {
  const { agent, ns, maps, policies, devices, era } = node
  const config = nodeConfigOf(agent, host, devices)
  const load = (device: string, suffix: string): LoadedObject => {
    const own = agent.node.devices
      .find(({ name }) => name === device)
      ?.addresses.map(({ address }) => address)
    const four = own?.find(isIpv4)
    const six = own?.find((address) => !isIpv4(address))
    const object = objectConfigOf(agent, 'bpf_host', {
      ...numbersOf(deviceOf(ns, device)),
      policy_verdict_log_filter: verdictFilter(agent, host),
      // bpfMasqAddrs(): those of the device, where it has any
      ...(four === undefined ? {} : { nat_ipv4_masquerade: addressBytes(four) }),
      ...(six === undefined ? {} : { nat_ipv6_masquerade: addressBytes(six) }),
    })
    return loadObject(era.host(config), {
      node: config,
      object,
      maps,
      policy: policies.get(host.id),
      suffix,
      cpus,
    })
  }
  const own = load('cilium_host', 'hostns')
  const hostPolicy = own.programs.get(symbolOf(node, 'hostPolicy'))
  if (hostPolicy !== undefined) maps.cilium_call_policy.set(host.id, hostPolicy, 0)
  hook(node, 'cilium_host', 'ingress', own, 'toHost')
  hook(node, 'cilium_host', 'egress', own, 'fromHost')
  hook(node, 'cilium_net', 'ingress', load('cilium_net', 'net'), 'toHost')
  if (!era.selectsDevices(agent.node.config)) return
  for (const { name } of agent.node.devices) {
    const loaded = load(name, `netdev_${devices.ifindexOf(name)}`)
    hook(node, name, 'egress', loaded, 'toNetdev')
    hook(node, name, 'ingress', loaded, 'fromNetdev')
  }
}

function installOverlay(node: RunningNode, host: Endpoint): void {
  const { agent, ns, maps, devices, era } = node
  const { config: own } = agent.node
  if (own.routing !== 'tunnel' && !own.egressGateway) return
  const name = tunnelDevice[own.tunnelProtocol]
  const config = nodeConfigOf(agent, host, devices)
  const object = objectConfigOf(agent, 'bpf_overlay', numbersOf(deviceOf(ns, name)))
  const loaded = loadObject(era.overlay(config), { node: config, object, maps, suffix: 'overlay', cpus })
  hook(node, name, 'ingress', loaded, 'fromOverlay')
  hook(node, name, 'egress', loaded, 'toOverlay')
}

/** bpf_wireguard on cilium_wg0: towards it only where replies of services are translated back on the way. */
function installWireguard(node: RunningNode, host: Endpoint): void {
  const { agent, ns, maps, devices } = node
  const { encryption, routing, l7Proxy, kubeProxyReplacement, version } = agent.node.config
  if (encryption !== 'wireguard' || version !== '1.19') return
  const config = nodeConfigOf(agent, host, devices)
  const dev = deviceOf(ns, wireguardDevice)
  const object = objectConfigOf(agent, 'bpf_wireguard', {
    interface_ifindex: dev.ifindex,
    eth_header_length: 0,
  })
  const suffix = `wireguard_${dev.ifindex}`
  const loaded = loadObject(bpfWireguard(config), { node: config, object, maps, suffix, cpus })
  if (routing !== 'tunnel' && l7Proxy && kubeProxyReplacement)
    hook(node, wireguardDevice, 'egress', loaded, 'toWireguard')
  hook(node, wireguardDevice, 'ingress', loaded, 'fromWireguard')
}

/** bpf_network of 1.10, where ESP arrives without a tunnel. */
function installNetwork(node: RunningNode, host: Endpoint): void {
  const { agent, ns, maps, devices, era } = node
  const { encryption, routing } = agent.node.config
  const [first] = agent.node.devices
  if (era.network === undefined || encryption !== 'ipsec' || routing === 'tunnel' || first === undefined)
    return
  const config = nodeConfigOf(agent, host, devices)
  const object = objectConfigOf(agent, 'bpf_network', numbersOf(deviceOf(ns, first.name)))
  const loaded = loadObject(era.network(config), { node: config, object, maps, suffix: 'network', cpus })
  hook(node, first.name, 'ingress', loaded, 'fromNetwork')
}

function installXdp(node: RunningNode, host: Endpoint): void {
  const { agent, ns, maps, devices, era } = node
  const { kubeProxyReplacement, lbAcceleration } = agent.node.config
  if (!kubeProxyReplacement || lbAcceleration === 'disabled') return
  const config = nodeConfigOf(agent, host, devices)
  for (const { name } of agent.node.devices) {
    const dev = deviceOf(ns, name)
    const object = objectConfigOf(agent, 'bpf_xdp', { interface_ifindex: dev.ifindex })
    const loaded = loadObject(era.xdp(config), {
      node: config,
      object,
      maps,
      suffix: `xdp_${dev.ifindex}`,
      cpus,
    })
    const symbol = symbolOf(node, 'xdp')
    mustDo(attachXdp(dev, programOf(loaded, symbol), 'native'), `${ns.name}/${name} takes ${symbol}`)
    node.hooked.set(`${name} xdp`, programOf(loaded, symbol))
    node.objects.set(`${name} xdp`, loaded)
  }
}

function installNode(machine: Machine, agent: AgentState): RunningNode {
  const { node, endpoints } = agent
  const ns = namespaceOf(machine, node.name)
  const era = ciliumEras[node.config.version]
  const maps = era.createNodeMaps(cpus)
  const devices: Interfaces = {
    ifindexOf: (name) => deviceOf(ns, name).ifindex,
    macOf: (name) => deviceOf(ns, name).mac,
  }
  const policies = new Map(endpoints.map(({ id }) => [id, era.createPolicyMap(id, cpus)]))
  for (const { id } of endpoints) {
    const entries = agent.policies.get(id)?.entries ?? []
    fill(present(policies.get(id), 'an endpoint has a policy map'), era.policyEntries(entries))
  }
  fill(maps.cilium_lxc, era.endpointEntries(endpoints, devices.ifindexOf))
  era.fillAddresses(maps, agent)
  fillMasqAgent(maps, agent)
  for (const { map, entries } of era.featureTables(maps, agent, devices.ifindexOf)) fill(map, entries)
  const names = new Map(
    endpoints.flatMap(({ id, device }) => (device === undefined ? [] : [[id, device.name] as const])),
  )
  maps.cilium_call_policy.deviceOf = (index) => names.get(index)
  maps.cilium_egresscall_policy.deviceOf = (index) => names.get(index)
  const hooked = new Map<string, Program>()
  const installing: RunningNode = {
    ...{ agent, ns, maps, policies, devices, era, hooked, names },
    objects: new Map(),
    proxyPorts: new Set(),
    onHook: undefined,
  }
  const host = present(
    endpoints.find(({ kind }) => kind === 'host'),
    'a node has a host endpoint',
  )
  installHost(installing, host)
  installOverlay(installing, host)
  installWireguard(installing, host)
  installNetwork(installing, host)
  installXdp(installing, host)
  for (const endpoint of endpoints) installEndpoint(installing, endpoint)
  return installing
}

/** The agents of a cluster while a machine runs; steps change what they are told. */
export interface RunningCilium {
  model: CiliumModel
  state: ClusterState
  readonly nodes: ReadonlyMap<string, RunningNode>
  /** What the DNS proxy of each node has learnt. */
  readonly names: Map<string, NameManager>
  /** The collectors of conntrack by node. */
  readonly conntrack: Map<string, ConntrackCollector>
  /** The operator's collector of identities, whether its next round is set, and the names of those that it has deleted. */
  readonly identityGc: IdentityCollector
  collecting: boolean
  readonly deletedIdentities: Set<string>
  /** Told of what a collector did. */
  onJob: ((title: string, nodes: StepTrace['nodes']) => void) | undefined
  /** What traces, claims and views read; its tables change with the agents. */
  readonly installed: InstalledCilium & {
    readonly nodes: Map<string, InstalledNode>
    readonly past: { readonly packets: number; readonly nodes: ReadonlyMap<string, InstalledNode> }[]
    readonly identities: Map<string, readonly number[]>
  }
}

/** What is read of a node. */
export function installedNode({ agent, maps, policies }: RunningNode): InstalledNode {
  return { name: agent.node.name, maps, policies, agent }
}

/** Puts Cilium on all nodes of a machine whose devices are there. */
export function installCilium(machine: Machine, model: CiliumModel): RunningCilium {
  const state: ClusterState = decisionsOf(model)
  const nodes = new Map(state.agents.map((agent) => [agent.node.name, installNode(machine, agent)]))
  const installed = {
    clusterName: state.clusterName,
    era: state.registry.legacy ? ('1.10' as const) : ('1.19' as const),
    nodes: new Map([...nodes].map(([name, node]) => [name, installedNode(node)])),
    past: [],
    identities: new Map([...identitiesOf(state)].map(([name, identity]) => [name, [identity]])),
  }
  const config = state.agents[0]?.node.config
  const identityGc = new IdentityCollector(
    config?.identityGc ?? { interval: 0, timeout: 0 },
    !state.registry.legacy,
  )
  const collectors = { names: new Map(), identityGc, collecting: false, deletedIdentities: new Set<string>() }
  return { model, state, nodes, installed, conntrack: new Map(), ...collectors, onJob: undefined }
}
