// What Cilium's agents install becomes part of the world, as if the file had said it: devices, addresses, routes, rules,
// sysctls, iptables chains, and the namespace of each node's health endpoint. What the file says itself wins.
import type { Span } from '../base/text.ts'
import { type ClusterState, decide } from '../cilium/agent/agent.ts'
import { describeAgent, describeIdentities } from '../cilium/agent/describe.ts'
import { planAgent } from '../cilium/agent/plan/node.ts'
import type { DevicePlan, HostPlan, RoutePlan, RulePlan } from '../cilium/agent/plan/plan.ts'
import type { CiliumModel } from '../model/cluster.ts'
import type { DeviceModel } from '../model/device-model.ts'
import type { NamespaceModel, RouteModel, RuleModel, World } from '../model/model.ts'
import { sameIp } from '../net/address.ts'
import { withLinkLocal } from '../net/prefix.ts'
import { toldCluster } from './cilium-told.ts'
import { mergeTables } from './tables.ts'

const decided = new WeakMap<CiliumModel, ClusterState>()

/** The decisions of a cluster's agents. Made once for each model. */
export function decisionsOf(model: CiliumModel): ClusterState {
  const known = decided.get(model) ?? decide(toldCluster(model).cluster)
  decided.set(model, known)
  return known
}

/** A world with everything that the agents of its cluster install. */
export function deployCilium(model: CiliumModel, world: World): World {
  const state = decisionsOf(model)
  const plans = new Map(
    state.agents.flatMap((agent) => planAgent(agent, state)).map((plan) => [plan.name, plan]),
  )
  const notes = new Map(state.agents.map((agent) => [agent.node.name, () => describeAgent(agent)]))
  const known = new Set(world.namespaces.map(({ name }) => name))
  const hosts = world.namespaces.map((host) => {
    const plan = plans.get(host.name)
    const own = notes.get(host.name)
    const deployed = plan === undefined ? host : deployHost(host, plan)
    return own === undefined ? deployed : { ...deployed, notes: own }
  })
  const fresh = [...plans.values()].filter(({ name }) => !known.has(name))
  const made = state.agents.flatMap(({ node }) => {
    const home = world.namespaces.find(({ name }) => name === node.name)
    if (home === undefined) return []
    return fresh
      .filter(({ devices }) => devices.some(({ kind }) => 'peer' in kind && kind.peer.host === node.name))
      .map((plan) => ({ ...deployHost(emptyNamespace(plan.name, home), plan), listens: [responder(home)] }))
  })
  return { ...world, namespaces: [...hosts, ...made], notes: () => describeIdentities(state) }
}

/** cilium-health-responder: what the probes of other nodes connect to (`facts` 2.11). */
function responder({ span }: NamespaceModel): NamespaceModel['listens'][number] {
  return { protocol: 'tcp', port: 4240, app: 'http', span }
}

/** A namespace that an agent makes on a node. */
export function emptyNamespace(
  name: string,
  home: Pick<NamespaceModel, 'name' | 'neighbours' | 'span' | 'kernel'>,
): NamespaceModel {
  return {
    name,
    kind: 'netns',
    node: home.name,
    mute: false,
    neighbours: home.neighbours,
    devices: [],
    routes: [],
    rules: [],
    entries: [],
    fdb: [],
    sysctls: [],
    listens: [],
    span: home.span,
    ...(home.kernel === undefined ? {} : { kernel: home.kernel }),
  }
}

/** A host with what a plan says of it; what it has already wins. */
export function deployHost(host: NamespaceModel, plan: HostPlan): NamespaceModel {
  const { span } = host
  const known = new Set(host.devices.map(({ name }) => name))
  const stated = new Set(host.sysctls.map(({ key }) => key))
  const sets =
    plan.sets.length === 0 ? [] : [{ tool: 'ipset' as const, text: `${plan.sets.join('\n')}\n`, span }]
  const { xfrm } = plan
  const ipsec = xfrm.length === 0 ? [] : [{ tool: 'xfrm' as const, text: `${xfrm.join('\n')}\n`, span }]
  const rulesets = [...sets, ...ipsec, ...mergeTables(host.rulesets ?? [], plan.tables, span)]
  return {
    ...host,
    devices: [
      ...host.devices.map((device) => withQueue(device, plan)),
      ...plan.devices.filter(({ name }) => !known.has(name)).map((device) => deviceModel(device, span)),
    ],
    routes: [...host.routes, ...plan.routes.map((route) => routeModel(route, span))],
    rules: [...host.rules, ...plan.rules.map((rule) => ruleModel(rule, span))],
    entries: [...host.entries, ...neighboursFor(host, plan)],
    sysctls: [
      ...plan.sysctls.filter(({ key }) => !stated.has(key)).map((setting) => ({ ...setting, span })),
      ...host.sysctls,
    ],
    ...(rulesets.length === 0 ? {} : { rulesets }),
    ...(plan.localRulePriority === undefined ? {} : { localRulePriority: plan.localRulePriority }),
  }
}

/** What the agent knows of other nodes, where the file says nothing else. */
function neighboursFor({ entries, span }: NamespaceModel, plan: HostPlan): NamespaceModel['entries'] {
  const isStated = ({ address, device }: HostPlan['neighbours'][number]): boolean =>
    entries.some((each) => each.device === device && sameIp(each.address, address))
  return plan.neighbours
    .filter((each) => !isStated(each))
    .map((each) => ({ ...each, state: 'permanent' as const, span }))
}

/** The queue of the bandwidth manager, unless the file says one. */
function withQueue(device: DeviceModel, { queues }: HostPlan): DeviceModel {
  const queue = queues.find((each) => each.device === device.name)
  if (queue === undefined || device.qdisc !== undefined) return device
  return { ...device, qdisc: { kind: 'fq', horizon: queue.horizon } }
}

function deviceModel(device: DevicePlan, span: Span): DeviceModel {
  const { name, mac, mtu, addresses, noarp, answers, kind } = device
  const base = {
    name,
    mac,
    mtu,
    addresses: withLinkLocal(addresses, mac),
    up: true,
    hairpin: false,
    isolated: false,
    attachments: [],
    sysctls: [],
    span,
    ...(noarp === true ? { noarp } : {}),
    ...(answers === undefined ? {} : { answers }),
  }
  if (kind.type === 'wireguard') {
    const { type, ...wireguard } = kind
    return { ...base, addresses: [], kind: type, wireguard }
  }
  if (kind.type === 'netkit') {
    const peer = { namespace: kind.peer.host, device: kind.peer.device }
    return { ...base, kind: 'netkit', peer, netkit: { ...podNetkit, mode: kind.mode, primary: kind.primary } }
  }
  if (kind.type === 'veth') {
    return { ...base, kind: 'veth', peer: { namespace: kind.peer.host, device: kind.peer.device } }
  }
  return { ...base, kind: kind.type, tunnel: { ...collecting, dstport: kind.port } }
}

/** connector.SetupNetkit(): nothing leaves a pod before its program is there; marks on the way to it stay. */
const podNetkit = { policy: 'forward', peerPolicy: 'blackhole', scrub: 'none', peerScrub: 'default' } as const

/** A tunnel that collects its metadata: `external`, as cilium_vxlan is made. */
const collecting = {
  vni: 0,
  external: true,
  learning: false,
  proxy: false,
  udpcsum: false,
  pathMtu: true,
  ttl: 0,
  tos: 0,
  df: 'unset',
} as const

const scopeLink = 253
const tableMain = 254
/** RTPROT_KERNEL, as the agent marks its routes. */
const protocolKernel = 2

function routeModel(route: RoutePlan, span: Span): RouteModel {
  const { type, prefix, device, via, source, mtu, table = tableMain } = route
  return {
    type,
    prefix,
    table,
    metric: typeof prefix.address === 'number' ? 0 : 1024,
    tos: 0,
    nexthops: [{ weight: 1, onlink: route.onlink ?? false, device, ...(via === undefined ? {} : { via }) }],
    protocol: protocolKernel,
    span,
    ...(route.scopeLink ? { scope: scopeLink } : {}),
    ...(source === undefined ? {} : { source }),
    ...(mtu === undefined ? {} : { mtu }),
  }
}

function ruleModel({ family, priority, mark, mask, table }: RulePlan, span: Span): RuleModel {
  return {
    family,
    priority,
    not: false,
    mark: { value: mark, mask },
    action: { kind: 'lookup', table },
    span,
  }
}
