// One agent: what it is told enters, what it decides for its node leaves. Decisions are values; whoever boots a machine
// writes them into maps and attaches programs by them.

import { type Throttle, throttlesOf } from './bandwidth.ts'
import { ClusterIpcache, type IpcacheParts } from './cluster-ipcache.ts'
import { type EgressState, egressState } from './egress-gateway.ts'
import { type Endpoint, endpointsOf } from './endpoint.ts'
import type { Identity } from './identity.ts'
import { type IpcacheEntry, tunnelMapOf } from './ipcache.ts'
import { labelsKey, reservedLabel } from './labels.ts'
import { type NodeAddresses, nodeAddresses } from './node-addresses.ts'
import { type NodeId, nodeIdsOf } from './node-ids.ts'
import { type EndpointPolicy, type PolicyContext, resolvePolicy } from './policy/resolve.ts'
import { SelectorCache } from './policy/selector-cache.ts'
import { makeRegistry, type Registry } from './registry.ts'
import type { AgentCluster, AgentNode, AgentPod } from './told.ts'

export interface AgentState {
  readonly node: AgentNode
  readonly addresses: NodeAddresses
  readonly endpoints: readonly Endpoint[]
  /** Every identity that the agent knows. */
  readonly identities: readonly Identity[]
  /** Every entry of its ipcache; the list is made when it is asked for. */
  readonly ipcache: readonly IpcacheEntry[]
  /** The same in what it shares with other nodes and what is its own. */
  readonly ipcacheParts: IpcacheParts
  /** 1.10: which node has which range of pods; empty without a tunnel and in 1.19. */
  readonly tunnelMap: ReturnType<typeof tunnelMapOf>
  readonly egress: EgressState
  /** 1.19: numbers of the other nodes. */
  readonly nodeIds: readonly NodeId[]
  /** Entries of cilium_throttle; empty without the bandwidth manager. */
  readonly throttles: readonly Throttle[]
  /** The policy of each endpoint, by its id. */
  readonly policies: ReadonlyMap<number, EndpointPolicy>
}

const protocols = { TCP: 6, UDP: 17, SCTP: 132 } as const

/** Numbers of `name/protocol`; undefined where pods disagree. */
function namedPorts(pods: readonly AgentPod[]): ReadonlyMap<string, number | undefined> {
  const ports = new Map<string, number | undefined>()
  for (const { object } of pods) {
    if (object.hostNetwork) continue
    for (const { name, port, protocol } of object.ports) {
      if (name === undefined) continue
      const key = `${name}/${protocols[protocol]}`
      ports.set(key, !ports.has(key) || ports.get(key) === port ? port : undefined)
    }
  }
  return ports
}

/** Policies of endpoints that policies cannot tell apart are made once. */
class Policies {
  readonly #made = new Map<string, EndpointPolicy>()
  readonly #context: PolicyContext
  readonly #all: ReadonlyMap<string, number | undefined>

  constructor(context: PolicyContext, all: ReadonlyMap<string, number | undefined>) {
    this.#context = context
    this.#all = all
  }

  of(endpoint: Endpoint): EndpointPolicy {
    const own = namedPorts(endpoint.pod === undefined ? [] : [endpoint.pod])
    const ports = [...own].map(([name, port]) => `${name}=${port}`).join(' ')
    const key = `${endpoint.kind} ${labelsKey(endpoint.identity.labels)} ${ports}`
    const known = this.#made.get(key)
    if (known !== undefined) return known
    const made = resolvePolicy(
      {
        labels: endpoint.identity.labels,
        isHost: endpoint.kind === 'host',
        namedPort: (ingress, name, protocol) => (ingress ? own : this.#all).get(`${name}/${protocol}`),
      },
      this.#context,
    )
    this.#made.set(key, made)
    return made
  }
}

/** On the node of the API server the host is the API server, too, for those who choose peers. */
function cacheOf(registry: Registry, addresses: NodeAddresses): SelectorCache {
  if (!addresses.isApiServer || registry.legacy) return registry.cache
  const host = [reservedLabel('host'), reservedLabel('kube-apiserver')]
  return new SelectorCache(
    registry.identities.map((each) => (each.id === 1 ? { ...each, labels: host } : each)),
  )
}

function contextOf({ config }: AgentNode, registry: Registry, cache: SelectorCache): PolicyContext {
  return {
    legacy: registry.legacy,
    mode: config.policyEnforcement,
    // auto is always under Kubernetes
    allowLocalhost: config.allowLocalhost !== 'policy',
    hostFirewall: config.hostFirewall,
    entries: registry.entries,
    cache,
    proxyPort: registry.proxyPort,
    cookie: registry.cookie,
  }
}

export interface ClusterState {
  readonly clusterName: string
  readonly registry: Registry
  readonly agents: readonly AgentState[]
}

/** The decisions of every agent of a cluster; `previous` ones where they run already: numbers that were given stay. */
export function decide(cluster: AgentCluster, previous?: ClusterState): ClusterState {
  const registry = makeRegistry(cluster, previous?.registry)
  const byNode = new Map<string, AgentPod[]>(cluster.nodes.map(({ name }) => [name, []]))
  for (const pod of cluster.pods) byNode.get(pod.node)?.push(pod)
  const all = cluster.nodes.map((node) => nodeAddresses(node, byNode.get(node.name) ?? []))
  const ports = namedPorts(cluster.pods)
  const ipcaches = new ClusterIpcache(all, cluster.pods, registry)
  // nodes with the same options and the same view of the API server share policies
  const shared = new Map<string, Policies>()
  const agents = all.map((addresses): AgentState => {
    const { node } = addresses
    const { policyEnforcement, allowLocalhost, hostFirewall } = node.config
    const key = `${policyEnforcement} ${allowLocalhost} ${hostFirewall} ${addresses.isApiServer}`
    const policies =
      shared.get(key) ?? new Policies(contextOf(node, registry, cacheOf(registry, addresses)), ports)
    shared.set(key, policies)
    const own = byNode.get(node.name) ?? []
    const before = previous?.agents.find((each) => each.node.name === node.name)
    const endpoints = endpointsOf(node, addresses, own, registry, before?.endpoints)
    let list: readonly IpcacheEntry[] | undefined
    return {
      node,
      addresses,
      endpoints,
      identities: registry.identities,
      get ipcache() {
        list ??= ipcaches.of(addresses)
        return list
      },
      get ipcacheParts() {
        return ipcaches.parts(addresses, own)
      },
      tunnelMap: registry.legacy ? tunnelMapOf(addresses, all) : [],
      nodeIds: registry.legacy ? [] : nodeIdsOf(addresses, all),
      egress: egressState(addresses, all, cluster.pods, { registry, policies: cluster.egressPolicies }),
      throttles: throttlesOf(node, endpoints),
      policies: new Map(endpoints.map((endpoint) => [endpoint.id, policies.of(endpoint)])),
    }
  })
  return { clusterName: cluster.name, registry, agents }
}
