// What each object of a node is compiled and loaded with: the agent's configuration and the numbers of the node's devices in
// the form that the programs take.
import { kernelHz } from '../bpf/helpers/general.ts'
import type { AgentState, ClusterState } from '../cilium/agent/agent.ts'
import { endpointDefines, nodeDefines } from '../cilium/agent/defines.ts'
import type { Endpoint } from '../cilium/agent/endpoint.ts'
import { mtusOf } from '../cilium/agent/plan/mtu.ts'
import { tunnelDevice } from '../cilium/agent/plan/node.ts'
import { wireguardDevice } from '../cilium/agent/plan/wireguard.ts'
import type { AgentNode } from '../cilium/agent/told.ts'
import { atLeast } from '../cilium/agent/verdict.ts'
import {
  type Cidr,
  defaultObject,
  defaultValues,
  type NodeConfig,
  type NodeValues,
  type ObjectConfig,
  type ObjectKind,
  tunnelProtocol,
} from '../cilium/datapath/config.ts'
import { definesOf } from '../cilium/datapath/defines.ts'
import { addressBytes } from '../cilium/maps/address-bytes.ts'
import { type Ipv4, isIpv4 } from '../net/address.ts'
import { covers, maskBits, networkOf, parsePrefix } from '../net/prefix.ts'

/** The numbers of the devices of a node. */
export interface Interfaces {
  readonly ifindexOf: (device: string) => number
  readonly macOf: (device: string) => number
}

const aggregation = { none: 0, low: 1, medium: 3, maximum: 3 } as const
const selection = { random: 1, maglev: 2 } as const

function exclusion(agent: AgentState, version: 4 | 6): Cidr | undefined {
  const { config, podCidrs } = agent.node
  const written = version === 4 ? config.nativeRoutingCidr4 : config.nativeRoutingCidr6
  const own = podCidrs.find(({ address }) => isIpv4(address) === (version === 4))
  const prefix = (written === undefined ? undefined : parsePrefix(written)) ?? own
  return prefix === undefined
    ? undefined
    : { address: addressBytes(networkOf(prefix).address), length: prefix.length }
}

function addressesOf(agent: AgentState): Partial<NodeValues> {
  const { addresses } = agent
  const router4 = addresses.router.find(isIpv4)
  const router6 = addresses.router.find((address) => !isIpv4(address))
  return {
    IPV4_GATEWAY: router4 === undefined ? undefined : addressBytes(router4),
    router_ipv6: router6 === undefined ? undefined : addressBytes(router6),
    IPV4_DIRECT_ROUTING: addresses.ip4 === undefined ? undefined : addressBytes(addresses.ip4),
    IPV6_DIRECT_ROUTING: addresses.ip6 === undefined ? undefined : addressBytes(addresses.ip6),
    IPV4_SNAT_EXCLUSION_DST_CIDR: exclusion(agent, 4),
    IPV6_SNAT_EXCLUSION_DST_CIDR: exclusion(agent, 6),
  }
}

/** Whether strict mode's range has the node itself in it. */
function strictOverlaps({ node, addresses }: AgentState): boolean {
  const prefix = parsePrefix(node.config.strictEgress?.cidr ?? '')
  return prefix !== undefined && addresses.ip4 !== undefined && covers(networkOf(prefix), addresses.ip4)
}

/** STRICT_IPV4_NET and the node's own address, which may send what it likes. */
function strictOf({ node, addresses }: AgentState): Partial<NodeValues> {
  const prefix = parsePrefix(node.config.strictEgress?.cidr ?? '')
  if (prefix === undefined) return {}
  return {
    STRICT_IPV4_NET: { address: addressBytes(prefix.address), length: prefix.length },
    IPV4_ENCRYPT_IFACE: addresses.ip4 === undefined ? undefined : addressBytes(addresses.ip4),
  }
}

type EndpointKind = Pick<Endpoint, 'kind' | 'requiresEgressProgram'>

/** Kernels since 5.2 verify programs that are long enough for more attempts. */
const manyInstructions = '5.2'

/** encrypt-interface of 1.10: the device of the default route, without a tunnel. */
function legacyEncryptDevice({ config, devices: [first] }: AgentNode, { ifindexOf }: Interfaces): number {
  const routes = config.encryption === 'ipsec' && config.routing !== 'tunnel'
  return routes && first !== undefined ? ifindexOf(first.name) : 0
}

/** What 1.10 compiles in otherwise (cilium v1.10 bpf/lib/nat.h, pkg/option, pkg/datapath/linux/config). */
function legacyValues({ node, addresses }: AgentState, interfaces: Interfaces): Partial<NodeValues> {
  const { config, podCidrs, devices } = node
  const own = podCidrs.find(({ address }) => isIpv4(address))
  return {
    CT_CONNECTION_LIFETIME_TCP: 21_600,
    CT_SERVICE_LIFETIME_TCP: 21_600,
    SNAT_COLLISION_RETRIES: atLeast(config.kernel, manyInstructions) ? 128 : 32,
    ENABLE_SKIP_FIB: devices.length === 1,
    ENCRYPT_IFACE: legacyEncryptDevice(node, interfaces),
    HOST_IP: addresses.ip6 === undefined ? undefined : addressBytes(addresses.ip6),
    ...(own === undefined ? {} : { IPV4_MASK: addressBytes(maskBits(own.length) as Ipv4) }),
  }
}

function makeNodeConfig(agent: AgentState, endpoint: EndpointKind, devices: Interfaces): NodeConfig {
  const { node } = agent
  const { config } = node
  const [first] = node.devices
  const tunnels = config.routing === 'tunnel' || config.egressGateway
  return {
    ...definesOf([
      ...nodeDefines(config),
      ...endpointDefines(config, endpoint),
      ...(strictOverlaps(agent) ? (['STRICT_IPV4_OVERLAPPING_CIDR'] as const) : []),
    ]),
    ...defaultValues,
    ...addressesOf(agent),
    TUNNEL_PROTOCOL: tunnels ? tunnelProtocol[config.tunnelProtocol] : tunnelProtocol.none,
    TUNNEL_PORT: config.tunnelPort,
    ENCAP_IFINDEX: tunnels ? devices.ifindexOf(tunnelDevice[config.tunnelProtocol]) : 0,
    CILIUM_HOST_IFINDEX: devices.ifindexOf('cilium_host'),
    CILIUM_NET_IFINDEX: devices.ifindexOf('cilium_net'),
    CILIUM_HOST_MAC: devices.macOf('cilium_host'),
    CILIUM_NET_MAC: devices.macOf('cilium_net'),
    nativeDeviceMacs: new Map(node.devices.map(({ name, mac }) => [devices.ifindexOf(name), mac])),
    direct_routing_dev_ifindex: first === undefined ? 0 : devices.ifindexOf(first.name),
    enable_jiffies: config.clockSource === 'jiffies',
    kernel_hz: kernelHz,
    MONITOR_AGGREGATION: aggregation[config.monitorAggregation],
    ...strictOf(agent),
    wg_ifindex: config.encryption === 'wireguard' ? devices.ifindexOf(wireguardDevice) : 0,
    enable_netkit: config.datapathMode !== 'veth',
    MTU: mtusOf(config, first?.mtu ?? 1500, 4).device,
    LB_SELECTION: selection[config.lbAlgorithm],
    LB_MAGLEV_LUT_SIZE: config.maglevTableSize,
    policy_deny_response_enabled: config.policyDenyResponse === 'icmp',
    enable_remote_node_masquerade: config.remoteNodeMasquerade,
    allow_icmp_frag_needed: config.allowIcmpFragNeeded,
    ...(config.version === '1.10' ? legacyValues(agent, devices) : {}),
  }
}

/** The devices whose numbers and addresses a node's settings have. */
function numbersIn({ node }: AgentState, devices: Interfaces): string {
  const { config } = node
  const tunnels = config.routing === 'tunnel' || config.egressGateway
  const names = [
    ...(tunnels ? [tunnelDevice[config.tunnelProtocol]] : []),
    ...(config.encryption === 'wireguard' ? [wireguardDevice] : []),
    ...node.devices.map(({ name }) => name),
  ]
  const own = ['cilium_host', 'cilium_net'].map((name) => `${devices.ifindexOf(name)} ${devices.macOf(name)}`)
  return [...own, ...names.map((name) => devices.ifindexOf(name))].join(' ')
}

interface Made {
  readonly agent: AgentState
  readonly configs: Map<string, NodeConfig>
}

/** Of a machine that runs; and of all machines that one decision has made. */
const made = new WeakMap<Interfaces, Made>()
const known = new WeakMap<AgentState, Map<string, Made>>()

function madeOf(agent: AgentState, devices: Interfaces): Made {
  const last = made.get(devices)
  if (last?.agent === agent) return last
  const all = known.get(agent) ?? new Map<string, Made>()
  known.set(agent, all)
  const numbers = numbersIn(agent, devices)
  const own = all.get(numbers) ?? { agent, configs: new Map<string, NodeConfig>() }
  all.set(numbers, own)
  made.set(devices, own)
  return own
}

/** The settings that all objects of a node share, with those of one kind of endpoint. Endpoints of one kind share one object. */
export function nodeConfigOf(agent: AgentState, endpoint: EndpointKind, devices: Interfaces): NodeConfig {
  const { configs } = madeOf(agent, devices)
  const key = `${endpoint.kind} ${endpoint.requiresEgressProgram}`
  const config = configs.get(key) ?? makeNodeConfig(agent, endpoint, devices)
  configs.set(key, config)
  return config
}

/** What is set when one object is loaded. */
export function objectConfigOf(
  agent: AgentState,
  kind: ObjectKind,
  extra: Partial<ObjectConfig>,
): ObjectConfig {
  const { addresses, endpoints, node } = agent
  const host = endpoints.find((endpoint) => endpoint.kind === 'host')
  return {
    ...defaultObject,
    kind,
    security_label: kind === 'bpf_host' ? 1 : 0,
    host_ep_id: host?.id ?? 0,
    nat_ipv4_masquerade: addresses.ip4 === undefined ? undefined : addressBytes(addresses.ip4),
    nat_ipv6_masquerade: addresses.ip6 === undefined ? undefined : addressBytes(addresses.ip6),
    device_mtu: node.config.mtu ?? node.devices[0]?.mtu ?? 1500,
    encryption_strict_ingress: node.config.strictIngress,
    ...extra,
  }
}

/** Bits of policy_verdict_log_filter: the directions that are enforced. */
export function verdictFilter(agent: AgentState, endpoint: Endpoint): number {
  const policy = agent.policies.get(endpoint.id)
  return (policy?.ingressEnforced === true ? 1 : 0) | (policy?.egressEnforced === true ? 2 : 0)
}

/** The identity of each pod by its name in the world. */
export function identitiesOf({ registry }: ClusterState): ReadonlyMap<string, number> {
  return new Map([...registry.podIdentities].map(([pod, { id }]) => [pod.name, id]))
}
