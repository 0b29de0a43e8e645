// What all agents of a cluster agree on because they derive it alike: identities of pods, addresses outside that policies
// name, entries of policies, ports of the proxy. Made once for the whole cluster.
import { numbersFor } from '../../base/hash.ts'
import { formatPrefix, hostPrefix, type Prefix } from '../../net/prefix.ts'
import {
  allocateOutside,
  allocatePodIdentities,
  type Identity,
  type IdentityScheme,
  type OutsidePrefix,
  reservedIdentities,
} from './identity.ts'
import { type Label, labelOf, labelsKey, podLabels, sortLabels } from './labels.ts'
import type { PolicyEntry } from './policy/entry.ts'
import { matchesName } from './policy/fqdn.ts'
import { ciliumPolicyEntries } from './policy/from-cilium.ts'
import { networkPolicyEntries } from './policy/from-kubernetes.ts'
import type { Parser } from './policy/l4.ts'
import { resultantCidrs } from './policy/resultant-cidrs.ts'
import { type Selector, selects } from './policy/selector.ts'
import { SelectorCache } from './policy/selector-cache.ts'
import type { AgentCluster, AgentPod } from './told.ts'

export interface Registry {
  readonly scheme: IdentityScheme
  readonly legacy: boolean
  /** The identity of each pod. */
  readonly podIdentities: ReadonlyMap<AgentPod, Identity>
  /** Every identity of pods that was allocated, by the key of its labels. */
  readonly allocated: ReadonlyMap<string, Identity>
  /** Reserved, then pods', then addresses outside. */
  readonly identities: readonly Identity[]
  /** Identities of prefixes outside, and of names without one. */
  readonly outside: readonly Identity[]
  readonly entries: readonly PolicyEntry[]
  readonly cache: SelectorCache
  /** Ports of the proxy's listeners by their names. */
  readonly proxyPorts: ReadonlyMap<string, number>
  readonly proxyPort: (parser: Parser, ingress: boolean, listener: string) => number
  /** Texts of `log`; an entry's cookie is its place, from 1 on. */
  readonly logs: readonly string[]
  readonly cookie: (log: string) => number
  /** Policies that select none of these endpoints, by their origin. */
  readonly idlePolicies: (
    endpoints: readonly { readonly kind: string; readonly identity: Identity }[],
  ) => readonly string[]
}

/** The range of ports that the agent gives to listeners of its proxy (pkg/proxy). */
const firstProxyPort = 10_000
const lastProxyPort = 20_000

/** `cilium-http-ingress`: the agent's own listeners. */
function listenerOf(parser: Parser, ingress: boolean, listener: string): string {
  return listener === '' ? `cilium-${parser}-${ingress ? 'ingress' : 'egress'}` : listener
}

/** In 1.10 a CIDR with exceptions is what is left of it, and a name is the addresses that it resolved to. */
function legacyEntry(entry: PolicyEntry, cluster: AgentCluster): PolicyEntry {
  const { peers } = entry
  if (peers === undefined) return entry
  return { ...entry, peers: peers.flatMap((peer) => legacyPeer(peer, cluster)) }
}

function cidrSelector(prefix: Prefix): Selector {
  return { kind: 'cidr', key: `cidr:${formatPrefix(prefix)}`, prefix, except: [] }
}

function legacyPeer(peer: Selector, { dnsAnswers }: AgentCluster): readonly Selector[] {
  switch (peer.kind) {
    case 'labels':
      return [peer]
    case 'cidr':
      return peer.except.length === 0 ? [peer] : resultantCidrs(peer.prefix, peer.except).map(cidrSelector)
    case 'fqdn': {
      const found = dnsAnswers.filter(({ name }) => matchesName(peer.match, peer.pattern, name))
      const own = found.flatMap(({ addresses }) => addresses.map((each) => cidrSelector(hostPrefix(each))))
      // a rule that names nobody yet is still a rule
      return own.length === 0 ? [{ kind: 'fqdn', key: peer.key, match: '', pattern: false }] : own
    }
  }
}

/** All entries of the cluster's policies. */
function readPolicies(cluster: AgentCluster, legacy: boolean): readonly PolicyEntry[] {
  const dialect = { ranges: !legacy, clusterName: cluster.name }
  const entries = cluster.policies.flatMap((policy) =>
    policy.kind === 'NetworkPolicy'
      ? networkPolicyEntries(policy, dialect.ranges)
      : ciliumPolicyEntries(policy, dialect),
  )
  return legacy ? entries.map((entry) => legacyEntry(entry, cluster)) : entries
}

/** Prefixes that policies name, and addresses that names in policies resolved to. */
function outsidePrefixes(entries: readonly PolicyEntry[], cluster: AgentCluster): readonly OutsidePrefix[] {
  const named = new Map<string, Prefix>()
  const names = new Map<string, Extract<Selector, { kind: 'fqdn' }>>()
  for (const { peers } of entries) {
    for (const peer of peers ?? []) {
      if (peer.kind === 'cidr')
        for (const each of [peer.prefix, ...peer.except]) named.set(formatPrefix(each), each)
      if (peer.kind === 'fqdn' && peer.match !== '') names.set(peer.key, peer)
    }
  }
  const resolved = new Map<string, { readonly prefix: Prefix; readonly names: Set<string> }>()
  for (const { match, pattern } of names.values()) {
    for (const answer of cluster.dnsAnswers.filter(({ name }) => matchesName(match, pattern, name))) {
      for (const prefix of answer.addresses.map(hostPrefix)) {
        const known = resolved.get(formatPrefix(prefix)) ?? { prefix, names: new Set() }
        resolved.set(formatPrefix(prefix), known)
        known.names.add(match)
      }
    }
  }
  const all = new Map([...named, ...[...resolved].map(([key, { prefix }]) => [key, prefix] as const)])
  return [...all].map(([key, prefix]) => ({
    prefix,
    named: named.has(key),
    names: [...(resolved.get(key)?.names ?? [])].sort(),
  }))
}

/** Identities that were allocated before, and those that exist as objects; of several for the same labels the oldest counts. */
function existing(
  { identities }: AgentCluster,
  allocated: Registry['allocated'] = new Map(),
): Registry['allocated'] {
  const known = new Map(allocated)
  for (const { name, securityLabels } of identities) {
    const labels = sortLabels(Object.entries(securityLabels).map(([key, value]) => labelOf(key, value)))
    const key = labelsKey(labels)
    if (!known.has(key)) known.set(key, { id: Number(name), labels })
  }
  return known
}

/** Names in policies that choose a pod: what they may resolve to has its identity already. */
function namesAhead(
  entries: readonly PolicyEntry[],
  pods: readonly (readonly [AgentPod, readonly Label[]])[],
): readonly string[] {
  const named = entries.filter(({ peers = [] }) => peers.some(({ kind }) => kind === 'fqdn'))
  const used = named.filter(({ subject, node }) => !node && pods.some(([, own]) => selects(subject, own)))
  const names = used.flatMap(({ peers = [] }) =>
    peers.flatMap((peer) => (peer.kind === 'fqdn' ? peer.match : [])),
  )
  return [...new Set(names)].filter((name) => name !== '').sort()
}

/** Everything that does not depend on the node. What was allocated before keeps its numbers. */
export function makeRegistry(cluster: AgentCluster, previous?: Registry): Registry {
  const legacy = cluster.nodes.some(({ config }) => config.version === '1.10')
  const dual = cluster.nodes.some(({ config }) => config.ipv4 && config.ipv6)
  const scheme: IdentityScheme = { splitsWorld: dual && !legacy, hasApiServer: !legacy }
  const namespaceLabels = new Map(cluster.namespaces.map(({ name, labels }) => [name, labels]))
  const labels = cluster.pods
    .filter(({ object }) => !object.hostNetwork)
    .map(
      (pod) =>
        [pod, podLabels(pod.object, namespaceLabels.get(pod.object.namespace) ?? {}, cluster.name)] as const,
    )
  const pods = allocatePodIdentities(
    labels.map(([, own]) => own),
    existing(cluster, previous?.allocated),
  )
  const unknown: Identity = { id: 0, labels: [] }
  const podIdentities = new Map(labels.map(([pod, own]) => [pod, pods.get(labelsKey(own)) ?? unknown]))
  const entries = readPolicies(cluster, legacy)
  const ahead = cluster.nodes.some(({ config }) => config.preallocatesNames)
    ? namesAhead(entries, labels)
    : []
  const outside = allocateOutside(outsidePrefixes(entries, cluster), scheme, previous?.outside, ahead)
  const identities = [...reservedIdentities(scheme), ...pods.values(), ...outside]
  const ports = proxyPorts(entries, previous?.proxyPorts)
  const logs = logsOf(entries, previous?.logs)
  return {
    scheme,
    legacy,
    podIdentities,
    allocated: pods,
    identities,
    outside,
    entries,
    cache: new SelectorCache(identities),
    proxyPorts: ports,
    proxyPort: (parser, ingress, listener) => ports.get(listenerOf(parser, ingress, listener)) ?? 0,
    logs,
    cookie: (log) => logs.indexOf(log) + 1,
    idlePolicies: (endpoints) => idlePolicies(entries, endpoints),
  }
}

function proxyPorts(
  entries: readonly PolicyEntry[],
  known: Registry['proxyPorts'] = new Map(),
): Registry['proxyPorts'] {
  const own = (['http', 'dns', 'tls'] as const).flatMap((parser) =>
    [true, false].map((ingress) => listenerOf(parser, ingress, '')),
  )
  const named = entries.flatMap(({ ports, origin }) =>
    ports.flatMap(({ listener }) => {
      if (listener === undefined) return []
      const clusterwide = listener.envoyConfig.kind === 'CiliumClusterwideEnvoyConfig'
      const scope = clusterwide ? '' : (origin.split('/').at(-2) ?? '')
      return [`${scope}/${listener.envoyConfig.name}/${listener.name}`]
    }),
  )
  return numbersFor([...own, ...named], firstProxyPort, lastProxyPort, undefined, known)
}

function logsOf(entries: readonly PolicyEntry[], known: readonly string[] = []): readonly string[] {
  const fresh = new Set(entries.flatMap(({ log }) => log ?? []))
  return [...known, ...[...fresh].filter((log) => !known.includes(log)).sort()]
}

function idlePolicies(
  entries: readonly PolicyEntry[],
  endpoints: Parameters<Registry['idlePolicies']>[0],
): readonly string[] {
  const sets = new Map(endpoints.map((each) => [`${each.kind} ${labelsKey(each.identity.labels)}`, each]))
  const used = new Set<string>()
  for (const { subject, node, origin } of entries) {
    if (used.has(origin)) continue
    for (const { kind, identity } of sets.values()) {
      if ((kind === 'host') !== node || !selects(subject, identity.labels)) continue
      used.add(origin)
      break
    }
  }
  return [...new Set(entries.map(({ origin }) => origin))].filter((origin) => !used.has(origin))
}
