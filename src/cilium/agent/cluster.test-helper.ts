// A small cluster out of YAML for tests: nodes n1 and n2, pods by their manifests, and who reaches whom by the policy maps.
import { readManifest } from '../../cluster/manifest.ts'
import type { NamespaceObject, PodObject } from '../../cluster/objects.ts'
import { parseIp } from '../../net/address.ts'
import { macFrom } from '../../net/mac.ts'
import { parsePrefix } from '../../net/prefix.ts'
import { type AgentState, type ClusterState, decide } from './agent.ts'
import type { CiliumVersion } from './config.ts'
import { addressIdentity } from './identity-of.test-helper.ts'
import { lookupLegacyPolicy } from './policy/legacy-map-state.ts'
import type { PolicyMapEntry } from './policy/map-entry.ts'
import { lookupPolicy } from './policy/map-state.ts'
import { readOptions } from './read-options.ts'
import { settle } from './settle.ts'
import type { AgentCluster, DnsAnswer } from './told.ts'

export interface TestOptions {
  readonly version?: CiliumVersion
  readonly settings?: Readonly<Record<string, string>>
  readonly dns?: Readonly<Record<string, readonly string[]>>
  readonly nodeLabels?: Readonly<Record<string, Readonly<Record<string, string>>>>
}

const present = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw new Error(`no ${what}`)
  return value
}

/** The cluster of a manifest. Pods need `spec.nodeName` and `status.podIP`. */
export function clusterOf(yaml: string, options: TestOptions = {}): AgentCluster {
  const { version = '1.19' } = options
  const { objects, mistakes } = readManifest(yaml)
  if (mistakes.length > 0) throw new Error(mistakes.map(({ message }) => message).join('\n'))
  const all = objects.map(({ object }) => object)
  const written = Object.entries(options.settings ?? {}).map(([key, value]) => ({
    form: 'flag' as const,
    key,
    values: [value],
  }))
  const { settings } = readOptions(written, version)
  const { config } = settle(settings, version)
  const pods = all.filter((each): each is PodObject => each.kind === 'Pod')
  const dnsAnswers: readonly DnsAnswer[] = Object.entries(options.dns ?? {}).map(([name, texts]) => ({
    name,
    addresses: texts.map((text) => present(parseIp(text), text)),
  }))
  return {
    name: 'default',
    nodes: ['n1', 'n2'].map((name, index) => ({
      name,
      labels: options.nodeLabels?.[name] ?? {},
      config,
      log: [],
      devices: [
        {
          name: 'eth0',
          mac: macFrom(index + 1),
          mtu: 1500,
          addresses: [
            present(parsePrefix(`192.168.0.${index + 1}/24`), 'prefix'),
            ...(config.ipv6 ? [present(parsePrefix(`fd01::${index + 1}/64`), 'prefix')] : []),
          ],
        },
      ],
      defaultRoutes: { four: 'eth0', six: 'eth0' },
      podCidrs: [
        present(parsePrefix(`10.0.${index + 1}.0/24`), 'prefix'),
        ...(config.ipv6 ? [present(parsePrefix(`fd00:${index + 1}::/64`), 'prefix')] : []),
      ],
      reserved: [],
      rotations: 0,
      macOf: () => macFrom(100 + index),
    })),
    pods: pods.map((object, index) => ({
      object,
      name: object.name,
      node: object.node ?? 'n1',
      addresses: object.addresses.map((text) => present(parseIp(text), text)),
      mac: macFrom(1000 + index),
      hostDevice: `lxc-${object.name}`,
      hostMac: macFrom(2000 + index),
      returned: 0,
    })),
    namespaces: all.filter((each): each is NamespaceObject => each.kind === 'Namespace'),
    policies: all.filter((each) => each.kind.endsWith('NetworkPolicy')) as AgentCluster['policies'],
    egressPolicies: all.filter((each) => each.kind === 'CiliumEgressGatewayPolicy'),
    dnsAnswers,
    identities: all.filter((each) => each.kind === 'CiliumIdentity'),
  }
}

/** One pod's manifest; `labels` as `app=web,tier=x`; the namespace stands before a slash. */
export function podYaml(name: string, address: string, labels: string, rest = ''): string {
  const [namespace, own] = name.includes('/') ? name.split('/') : ['default', name]
  const pairs = labels.split(',').filter((each) => each !== '')
  const yaml = pairs.map((pair) => `${pair.replace('=', ': "')}"`).join(', ')
  const node = address.startsWith('10.0.2.') ? 'n2' : 'n1'
  return `---
apiVersion: v1
kind: Pod
metadata: { name: ${own}, namespace: ${namespace}, labels: { ${yaml} } }
spec: { nodeName: ${node}${rest} }
status: { podIP: ${address} }
`
}

type Lookup = typeof lookupPolicy

/** One letter for a verdict: `.` allowed, `p` redirected, `a` authentication, `-` no entry (133), `x` denied (181). */
function letter(entry: PolicyMapEntry | undefined): string {
  if (entry === undefined) return '-'
  if (entry.deny) return 'x'
  if (entry.authType > 0) return 'a'
  return entry.proxyPort > 0 ? 'p' : '.'
}

export interface Probe {
  readonly protocol: number
  readonly port: number
}

/** The entries of an endpoint of a node. */
export function entriesOf(agent: AgentState, name: string): readonly PolicyMapEntry[] {
  const endpoint = present(
    agent.endpoints.find((each) => each.name === name),
    name,
  )
  return present(agent.policies.get(endpoint.id), name).entries
}

/** An end of traffic: the name of a pod, of a node, or an address outside. */
function endOf(state: ClusterState, cluster: AgentCluster, name: string) {
  const pod = cluster.pods.find((each) => each.name === name)
  const home = pod?.node ?? (cluster.nodes.some((node) => node.name === name) ? name : undefined)
  const agent = state.agents.find(({ node }) => node.name === home)
  const addresses = pod?.addresses ?? agent?.addresses.own ?? [present(parseIp(name), name)]
  return { pod, agent, address: present(addresses[0], `address of ${name}`) }
}

/** The verdict of egress at the source and of ingress at the destination; a side that is no pod is not asked. */
export function verdict(
  cluster: AgentCluster,
  state: ClusterState,
  from: string,
  to: string,
  probe: Probe,
): string {
  const lookup: Lookup = state.registry.legacy ? lookupLegacyPolicy : lookupPolicy
  const source = endOf(state, cluster, from)
  const target = endOf(state, cluster, to)
  const out =
    source.pod === undefined || source.agent === undefined
      ? ''
      : letter(
          lookup(entriesOf(source.agent, `${source.pod.object.namespace}/${from}`), {
            ...probe,
            egress: true,
            identity: addressIdentity(source.agent, target.address),
          }),
        )
  if (out === '-' || out === 'x' || target.pod === undefined || target.agent === undefined) return out || '.'
  const identity = addressIdentity(target.agent, source.address)
  const entries = entriesOf(target.agent, `${target.pod.object.namespace}/${to}`)
  const into = letter(lookup(entries, { ...probe, egress: false, identity }))
  return into === '.' ? out || '.' : into
}

/** Everybody to everybody: one line for each source, one letter for each target. */
export function reachability(
  cluster: AgentCluster,
  names: readonly string[],
  probe: Probe,
): readonly string[] {
  const state = decide(cluster)
  return names.map((from) => {
    const row = names.map((to) => (from === to ? ' ' : verdict(cluster, state, from, to, probe)))
    return `${from} ${row.join('')}`
  })
}
