// The plans of one node: the node itself, its pods and the namespace of its health endpoint.
import { formatIp, isIpv4 } from '../../../net/address.ts'
import { hostPrefix } from '../../../net/prefix.ts'
import type { AgentState, ClusterState } from '../agent.ts'
import { dropHorizon } from '../bandwidth.ts'
import type { AgentConfig } from '../config.ts'
import { type Endpoint, healthPeer } from '../endpoint.ts'
import { hostDeviceAddresses } from '../node-addresses.ts'
import { ipsecPlan, ipsecRoutes } from './ipsec.ts'
import { iptablesPlan } from './iptables.ts'
import { needsNodeSet, nodeSet } from './iptables-masquerade.ts'
import type { ProxyListener } from './iptables-proxy.ts'
import { legacyIpsecPlan, legacyIpsecRoutes } from './legacy-ipsec.ts'
import { mtusOf } from './mtu.ts'
import { nodeNeighbours } from './neighbours.ts'
import { type DevicePlan, emptyPlan, type HostPlan } from './plan.ts'
import { hostDevice, localRulePriority, netDevice, nodeRoutes, podRoutes, proxyRoutes } from './routes.ts'
import { wireguardDevice, wireguardPlan, wireguardRoutes } from './wireguard.ts'

/** The device that encapsulates, by its protocol. */
export const tunnelDevice = { vxlan: 'cilium_vxlan', geneve: 'cilium_geneve' } as const

/** The namespace of a node's health endpoint. */
export function healthNamespace(node: string): string {
  return `${node}-health`
}

/** The MTU of the wires between nodes. */
function baseMtu({ node }: AgentState): number {
  return node.devices[0]?.mtu ?? 1500
}

function nodeDevices(agent: AgentState, mtu: number): readonly DevicePlan[] {
  const { node, addresses, endpoints } = agent
  const { config } = node
  const pair = (name: string, peer: string): DevicePlan => ({
    name,
    mac: node.macOf(name),
    mtu,
    addresses: name === hostDevice ? hostDeviceAddresses(addresses).map(hostPrefix) : [],
    noarp: true,
    kind: { type: 'veth', peer: { host: node.name, device: peer } },
  })
  const tunnels = config.routing === 'tunnel' || config.egressGateway
  const tunnel: DevicePlan = {
    name: tunnelDevice[config.tunnelProtocol],
    mac: node.macOf(tunnelDevice[config.tunnelProtocol]),
    mtu,
    addresses: [],
    kind: { type: config.tunnelProtocol, port: config.tunnelPort },
  }
  const ends = endpoints.flatMap((endpoint): readonly DevicePlan[] => {
    const { device } = endpoint
    if (device === undefined) return []
    const peer = insideOf(endpoint, node.name)
    const answers = addresses.router
    const { name, mac } = device
    return [{ name, mac, mtu, addresses: [], ...pairOf(config, peer, true), ...answersOf(config, answers) }]
  })
  return [pair(netDevice, hostDevice), pair(hostDevice, netDevice), ...(tunnels ? [tunnel] : []), ...ends]
}

/** The kind of a pair to an endpoint (pkg/datapath/connector). Devices of mode l3 ask for no addresses. */
function pairOf(
  { datapathMode }: AgentConfig,
  peer: { readonly host: string; readonly device: string },
  primary: boolean,
): Pick<DevicePlan, 'kind' | 'noarp'> {
  if (datapathMode === 'veth') return { kind: { type: 'veth', peer } }
  const mode = datapathMode === 'netkit' ? 'l3' : 'l2'
  return { kind: { type: 'netkit', mode, primary, peer }, ...(mode === 'l3' ? { noarp: true } : {}) }
}

/** The program answers ARP and ND where somebody asks. */
function answersOf(
  { datapathMode }: AgentConfig,
  answers: DevicePlan['answers'],
): Pick<DevicePlan, 'answers'> {
  return datapathMode === 'netkit' || answers === undefined ? {} : { answers }
}

/** Where the inner end of an endpoint's pair is. */
function insideOf(endpoint: Endpoint, node: string): { readonly host: string; readonly device: string } {
  if (endpoint.kind === 'health') return { host: healthNamespace(node), device: healthPeer }
  return { host: endpoint.pod?.name ?? endpoint.name, device: 'eth0' }
}

function nodeSysctls({ node, endpoints, egress }: AgentState): HostPlan['sysctls'] {
  const { ipv4, ipv6, encryption, routing, version } = node.config
  const on = (key: string, value: number): HostPlan['sysctls'][number] => ({ key, value })
  const both = [hostDevice, netDevice]
  return [
    ...(ipv4 ? [on('net.ipv4.conf.all.forwarding', 1), on('net.ipv4.conf.all.rp_filter', 0)] : []),
    ...(ipv6 ? [on('net.ipv6.conf.all.forwarding', 1)] : []),
    ...both.flatMap((device) => [
      ...(ipv6 ? [on(`net.ipv6.conf.${device}.forwarding`, 1)] : []),
      on(`net.ipv4.conf.${device}.forwarding`, 1),
      on(`net.ipv4.conf.${device}.rp_filter`, 0),
      on(`net.ipv4.conf.${device}.accept_local`, 1),
      on(`net.ipv4.conf.${device}.send_redirects`, 0),
    ]),
    // reinitializeIPSec() of 1.10, where it attaches a program to the device
    ...(version === '1.10' && encryption === 'ipsec' && routing !== 'tunnel'
      ? node.devices.slice(0, 1).map(({ name }) => on(`net.ipv4.conf.${name}.rp_filter`, 0))
      : []),
    ...(ipv4 && encryption === 'wireguard' ? [on(`net.ipv4.conf.${wireguardDevice}.rp_filter`, 0)] : []),
    ...endpoints.flatMap(({ device }) =>
      device === undefined ? [] : [on(`net.ipv4.conf.${device.name}.rp_filter`, 0)],
    ),
    // relaxRPFilter(): replies to a gateway's addresses may come in by another device
    ...egress.devices.map((device) => on(`net.ipv4.conf.${device}.rp_filter`, 2)),
  ]
}

function listenersOf(agent: AgentState, { registry }: ClusterState): readonly ProxyListener[] {
  const { config } = agent.node
  if (!config.l7Proxy) return []
  const used = new Map<string, number>([['cilium-dns-egress', registry.proxyPort('dns', false, '')]])
  for (const { redirects } of agent.policies.values()) {
    for (const { parser, ingress, listener, proxyPort } of redirects) {
      used.set(listener === '' ? `cilium-${parser}-${ingress ? 'ingress' : 'egress'}` : listener, proxyPort)
    }
  }
  return [...used].sort().map(([name, port]) => ({ name, port }))
}

/** The addresses of all other nodes in a set, for those that native routing must not masquerade. */
function nodeSets(agent: AgentState, others: readonly AgentState[]): readonly string[] {
  const { config } = agent.node
  return ([4, 6] as const).flatMap((family) => {
    const isOn = family === 4 ? config.ipv4 : config.ipv6
    const masquerades = family === 4 ? config.masquerade4 : config.masquerade6
    if (!isOn || !needsNodeSet(config, masquerades)) return []
    const members = others.flatMap(({ addresses }) =>
      addresses.own.filter((each) => isIpv4(each) === (family === 4)),
    )
    return [
      `create ${nodeSet[family]} hash:ip family ${family === 4 ? 'inet' : 'inet6'}`,
      ...members.map((each) => `add ${nodeSet[family]} ${formatIp(each)}`),
    ]
  })
}

/** The plan of a pod's namespace, or of the health endpoint's. */
function insidePlan(
  endpoint: Endpoint,
  agent: AgentState,
  mtus: { readonly device: number; readonly route: number },
): HostPlan {
  const { node, addresses } = agent
  const inside = insideOf(endpoint, node.name)
  const outer = endpoint.device ?? { name: hostDevice, mac: node.macOf(hostDevice) }
  return {
    ...emptyPlan(inside.host),
    devices: [
      {
        name: inside.device,
        mac: endpoint.mac ?? node.macOf(`${outer.name}/${inside.device}`),
        mtu: mtus.device,
        addresses: endpoint.addresses.map(hostPrefix),
        ...pairOf(node.config, { host: node.name, device: outer.name }, false),
      },
    ],
    routes: podRoutes(addresses.router, inside.device, mtus.route),
  }
}

/** What leads to and comes from encryption. `mtu` is that of devices. */
function encryptionOf(
  agent: AgentState,
  others: readonly AgentState[],
  mtu: number,
): Pick<HostPlan, 'routes' | 'rules' | 'xfrm'> {
  const { addresses, node } = agent
  const elsewhere = others.map((each) => each.addresses)
  if (node.config.version === '1.10') {
    const ipsec = legacyIpsecRoutes(addresses, elsewhere, mtu)
    const wireguard = wireguardRoutes(agent)
    return {
      routes: [...ipsec.routes, ...wireguard.routes],
      rules: [...ipsec.rules, ...wireguard.rules],
      xfrm: legacyIpsecPlan(agent, others),
    }
  }
  const tunnel = tunnelDevice[node.config.tunnelProtocol]
  return { ...ipsecRoutes(addresses, elsewhere, { tunnel, mtu }), xfrm: ipsecPlan(agent, others) }
}

/** Everything that one agent installs. */
export function planAgent(agent: AgentState, cluster: ClusterState): readonly HostPlan[] {
  const { node, addresses, endpoints } = agent
  const mtus = mtusOf(node.config, baseMtu(agent), addresses.ip4 === undefined ? 6 : 4)
  const others = cluster.agents.filter((each) => each !== agent)
  const proxy = proxyRoutes(addresses, mtus.route)
  const encryption = encryptionOf(agent, others, mtus.device)
  const own: HostPlan = {
    ...emptyPlan(node.name),
    devices: [...nodeDevices(agent, mtus.device), ...wireguardPlan(agent, others, mtus.device)],
    routes: [
      ...nodeRoutes(
        addresses,
        others.map((each) => each.addresses),
        endpoints,
        mtus.route,
      ),
      ...proxy.routes,
      ...encryption.routes,
    ],
    rules: [...encryption.rules, ...proxy.rules],
    neighbours: nodeNeighbours(
      addresses,
      others.map((each) => each.addresses),
    ),
    sysctls: nodeSysctls(agent),
    tables: iptablesPlan(addresses, listenersOf(agent, cluster)),
    queues: node.config.bandwidthManager
      ? node.devices.map(({ name }) => ({ device: name, horizon: dropHorizon }))
      : [],
    xfrm: encryption.xfrm,
    sets: nodeSets(agent, others),
    localRulePriority,
  }
  const inside = endpoints
    .filter(({ device }) => device !== undefined)
    .map((endpoint) => insidePlan(endpoint, agent, mtus))
  return [own, ...inside]
}
