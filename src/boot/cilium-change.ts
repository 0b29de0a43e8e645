// What the agents of a cluster do when a step tells them something else: pods come, go and get other labels, policies come and
// go. All agents decide again, with the numbers that were given before, and each brings its node from what it had decided to
// what it decides now: maps, programs, devices, routes (cilium pkg/endpoint, pkg/endpointmanager, pkg/ipcache). A step is over
// when everything of this is done.
import { present } from '../base/assert.ts'
import type { AgentState, ClusterState } from '../cilium/agent/agent.ts'
import type { Endpoint } from '../cilium/agent/endpoint.ts'
import { planAgent } from '../cilium/agent/plan/node.ts'
import type { HostPlan } from '../cilium/agent/plan/plan.ts'
import { wireguardDevice } from '../cilium/agent/plan/wireguard.ts'
import { addressBytes } from '../cilium/maps/address-bytes.ts'
import { conntrackTables, staleEntries } from '../cilium/maps/collect.ts'
import { emptyNamespace as endNamespace } from '../kernel/device/remove.ts'
import { setWireguardPeers } from '../kernel/device/wireguard.ts'
import type { Machine } from '../kernel/machine.ts'
import { addNamespace } from '../kernel/namespace.ts'
import { failed } from '../kernel/socket/errno.ts'
import type { CiliumChange, CiliumNodeModel } from '../model/cluster.ts'
import type { NamespaceModel, RouteModel } from '../model/model.ts'
import { formatIp } from '../net/address.ts'
import { formatPrefix } from '../net/prefix.ts'
import type { AgentAct } from '../trace/event.ts'
import { bootLate } from './boot.ts'
import {
  installEndpoint,
  installedNode,
  installHost,
  type RunningCilium,
  type RunningNode,
} from './cilium.ts'
import { identitiesOf, verdictFilter } from './cilium-config.ts'
import { decideAgain } from './cilium-decide.ts'
import { deployHost, emptyNamespace } from './cilium-deploy.ts'
import { syncTables } from './cilium-era.ts'
import { unhookEndpoint } from './cilium-hooks.ts'
import { watchIdentities } from './cilium-identities.ts'
import { takeXfrm } from './cilium-ipsec.ts'
import type { MapEntry } from './cilium-maps.ts'
import { startProxies } from './cilium-proxy.ts'
import { toldCluster } from './cilium-told.ts'
import { type Listener, startListener } from './listeners.ts'
import { MapWriter } from './map-writer.ts'
import { difference, takeRulesets } from './pods.ts'
import { deviceOf, namespaceOf } from './resolved.ts'
import { mergeTables } from './tables.ts'

const cpus = 1

/** What a change did. */
export interface Changed {
  /** What each agent did; nodes where nothing changed are left out. */
  readonly nodes: readonly { readonly node: string; readonly acts: readonly AgentAct[] }[]
  /** Sockets of pods that came. */
  readonly listeners: readonly Listener[]
}

/** One node between two decisions of its agent. */
interface Turn {
  readonly machine: Machine
  readonly running: RunningCilium
  readonly node: RunningNode
  readonly before: AgentState
  readonly after: AgentState
  readonly plans: { readonly before: readonly HostPlan[]; readonly after: readonly HostPlan[] }
  readonly writer: MapWriter
}

/** Tells the cluster of a change; when this returns all agents have done what follows from it. */
export function changeCilium(machine: Machine, running: RunningCilium, change: CiliumChange): Changed {
  const model = { ...running.model, changes: [...running.model.changes, change] }
  const before = running.state
  const after = decideAgain(running, toldCluster(model).cluster)
  const turns = after.agents.map((agent, at): Turn => {
    const old = present(before.agents[at], 'nodes neither come nor go')
    return {
      machine,
      running,
      node: present(running.nodes.get(agent.node.name), 'an agent runs on every node'),
      before: old,
      after: agent,
      plans: { before: planAgent(old, before), after: planAgent(agent, after) },
      writer: new MapWriter(),
    }
  })
  const { installed } = running
  installed.past.push({ packets: machine.trace?.packets.length ?? 0, nodes: new Map(installed.nodes) })
  running.model = model
  running.state = after
  const listeners = turns.flatMap(turnNode)
  rememberIdentities(running, after)
  watchIdentities(machine, running, before)
  const nodes = turns.map(({ after: { node }, writer }) => ({ node: node.name, acts: writer.acts }))
  return { nodes: nodes.filter(({ acts }) => acts.length > 0), listeners }
}

/** Every identity that a pod has had, in the order of time. */
function rememberIdentities({ installed: { identities } }: RunningCilium, state: ClusterState): void {
  for (const [name, identity] of identitiesOf(state)) {
    const known = identities.get(name) ?? []
    if (!known.includes(identity)) identities.set(name, [...known, identity])
  }
}

function turnNode(turn: Turn): readonly Listener[] {
  const { node, before, after, writer, running } = turn
  const { maps, devices, era } = node
  node.onHook = (act) => {
    writer.acts.push(act)
  }
  const names = (agent: AgentState): ReadonlySet<string> => new Set(agent.endpoints.map(({ name }) => name))
  const [old, now] = [names(before), names(after)]
  for (const endpoint of before.endpoints) if (!now.has(endpoint.name)) endpointGoes(turn, endpoint)
  node.agent = after
  const fresh = after.endpoints.filter(({ name }) => !old.has(name))
  const listeners = fresh.length === 0 ? [] : devicesCome(turn, fresh)
  takeSysctls(turn)
  const xfrmOf = (all: readonly HostPlan[]) => all[0]?.xfrm ?? []
  const xfrm = { before: xfrmOf(turn.plans.before), after: xfrmOf(turn.plans.after) }
  writer.acts.push(...takeXfrm(running, node, xfrm))
  syncTables(writer, era.addressTables(maps, before), era.addressTables(maps, after))
  for (const endpoint of after.endpoints) {
    if (old.has(endpoint.name)) endpointStays(turn, endpoint)
    else endpointComes(turn, endpoint)
  }
  const features = (agent: AgentState) => era.featureTables(maps, agent, devices.ifindexOf)
  syncTables(writer, features(before), features(after))
  takePeers(turn)
  takeTables(turn)
  startProxies(running, node)
  node.onHook = undefined
  running.installed.nodes.set(after.node.name, installedNode(node))
  return listeners
}

/** Settings that the agent makes now and did not make before: rp_filter of a gateway's device. */
function takeSysctls({ node, plans }: Turn): void {
  const old = new Set(plans.before[0]?.sysctls.map(({ key, value }) => `${key}=${value}`))
  for (const { key, value } of plans.after[0]?.sysctls ?? [])
    if (!old.has(`${key}=${value}`)) node.ns.sysctls.set(key, value)
}

/** The peers of cilium_wg0: what is behind the other nodes now (pkg/wireguard Agent.OnIPIdentityCacheChange()). */
function takePeers({ node, plans }: Turn): void {
  const kindOf = (all: readonly HostPlan[]) =>
    all[0]?.devices.find(({ kind }) => kind.type === 'wireguard')?.kind
  const after = kindOf(plans.after)
  if (after?.type !== 'wireguard' || JSON.stringify(kindOf(plans.before)) === JSON.stringify(after)) return
  setWireguardPeers(deviceOf(node.ns, wireguardDevice), after.peers)
}

/** The chains of the agent, where what listens for them has changed. */
function takeTables({ running, node, after, plans }: Turn): void {
  const tablesOf = (all: readonly HostPlan[]): HostPlan['tables'] => all[0]?.tables ?? []
  if (JSON.stringify(tablesOf(plans.before)) === JSON.stringify(tablesOf(plans.after))) return
  const model = nodeModel(running, after.node.name)
  takeRulesets(node.ns, mergeTables(model.rulesets, tablesOf(plans.after), model.span))
}

function nodeModel({ model }: RunningCilium, name: string): CiliumNodeModel {
  return present(
    model.nodes.find((each) => each.name === name),
    `node ${name} is in the cluster`,
  )
}

function scrub({ node, writer }: Turn, { addresses }: Endpoint): void {
  const legacy = node.agent.node.config.version === '1.10'
  const filter = { addresses: addresses.map(addressBytes) }
  for (const { map, key } of staleEntries(conntrackTables(node.maps), filter, legacy)) writer.delete(map, key)
}

/** Endpoint.Delete(), deleteMaps(): programs, maps, connections; then the namespace ends with its devices. */
function endpointGoes(turn: Turn, endpoint: Endpoint): void {
  const { machine, node, writer } = turn
  const { id, device, pod } = endpoint
  if (device !== undefined) unhookEndpoint(node, device.name)
  for (const { key } of node.era.endpointEntries([endpoint], node.devices.ifindexOf))
    writer.delete(node.maps.cilium_lxc, key)
  node.maps.cilium_call_policy.remove(id)
  node.maps.cilium_egresscall_policy.remove(id)
  node.policies.delete(id)
  node.names.delete(id)
  scrub(turn, endpoint)
  if (pod === undefined) return
  const gone = plannedRoutes(turn).filter(({ nexthops: [hop] }) => hop?.device === device?.name)
  for (const route of gone) writer.acts.push({ kind: 'route', what: 'delete', text: routeText(route) })
  endNamespace(namespaceOf(machine, pod.name))
}

function plannedRoutes({ plans }: Turn): readonly RouteModel[] {
  return plans.before.slice(0, 1).flatMap((plan) => nodeHost(plan).routes)
}

/** `10.0.1.30/32 dev lxc-web scope link`. */
function routeText({ prefix, nexthops: [hop] }: RouteModel): string {
  const via = hop?.via === undefined ? '' : ` via ${formatIp(hop.via)}`
  return `${formatPrefix(prefix)}${via}${hop?.device === undefined ? '' : ` dev ${hop.device}`}`
}

const nowhere = { source: { name: '', text: '' }, start: 0, end: 0 } as const

/** What a plan gives to a node, alone. */
function nodeHost(plan: HostPlan): NamespaceModel {
  return deployHost(emptyNamespace(plan.name, { name: plan.name, neighbours: 'cold', span: nowhere }), plan)
}

/** The CNI plugin's part: namespaces and devices of pods that come, routes to them, and the sockets that wait in them. */
function devicesCome(turn: Turn, fresh: readonly Endpoint[]): readonly Listener[] {
  const { machine, running, plans, writer } = turn
  const [before, after] = [plans.before[0], plans.after[0]]
  if (before === undefined || after === undefined) return []
  const more = difference(nodeHost(before), nodeHost(after))
  const pods = fresh.flatMap(({ pod }) => {
    const host = running.model.insides.get(pod?.name ?? '')
    const plan = plans.after.find(({ name }) => name === pod?.name)
    return host === undefined || plan === undefined ? [] : [{ host, plan }]
  })
  for (const { host } of pods) addNamespace(machine, { name: host.name, mute: host.mute })
  const hosts = pods.map(({ host, plan }) => deployHost({ ...host, neighbours: 'cold' }, plan))
  const { localRulePriority: _, ...rest } = more
  bootLate(machine, [{ ...rest, rulesets: [], rules: [] }, ...hosts])
  for (const route of more.routes) writer.acts.push({ kind: 'route', what: 'add', text: routeText(route) })
  return hosts.flatMap((host) => {
    const ns = namespaceOf(machine, host.name)
    return host.listens.flatMap((listen) => {
      const started = startListener(ns, listen)
      return failed(started) ? [] : [started.ok]
    })
  })
}

function policyOf({ node }: Turn, agent: AgentState, { id }: Endpoint): readonly MapEntry[] {
  return node.era.policyEntries(agent.policies.get(id)?.entries ?? [])
}

/** A new endpoint: connections of whoever had its addresses go, its policy is there before its programs are. */
function endpointComes(turn: Turn, endpoint: Endpoint): void {
  const { node, after, writer } = turn
  scrub(turn, endpoint)
  const policy = node.era.createPolicyMap(endpoint.id, cpus)
  node.policies.set(endpoint.id, policy)
  writer.sync(policy, [], policyOf(turn, after, endpoint))
  if (endpoint.device !== undefined) node.names.set(endpoint.id, endpoint.device.name)
  installEndpoint(node, endpoint)
  writer.sync(node.maps.cilium_lxc, [], node.era.endpointEntries([endpoint], node.devices.ifindexOf))
}

/** An endpoint that was there: its policy map, and its programs where what they are compiled with has changed. */
function endpointStays(turn: Turn, endpoint: Endpoint): void {
  const { node, before, after, writer } = turn
  const old = before.endpoints.find(({ name }) => name === endpoint.name) ?? endpoint
  const policy = node.policies.get(endpoint.id)
  if (policy !== undefined) writer.sync(policy, policyOf(turn, before, old), policyOf(turn, after, endpoint))
  const isNew =
    old.identity.id !== endpoint.identity.id || verdictFilter(before, old) !== verdictFilter(after, endpoint)
  if (isNew && endpoint.kind === 'host') installHost(node, endpoint)
  else if (isNew) installEndpoint(node, endpoint)
  const entries = (each: Endpoint): readonly MapEntry[] =>
    node.era.endpointEntries([each], node.devices.ifindexOf)
  writer.sync(node.maps.cilium_lxc, entries(old), entries(endpoint))
}
