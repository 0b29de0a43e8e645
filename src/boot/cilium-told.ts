// What a checked file says of its cluster becomes what the agents are told: the same objects whether they were written as
// lines of the language or as manifests.
import { hash32 } from '../base/hash.ts'
import type { Span } from '../base/text.ts'
import { nearestVersion, type OptionProblem, readOptions } from '../cilium/agent/read-options.ts'
import { defaultKernel, type Settled, settle } from '../cilium/agent/settle.ts'
import type { AgentCluster, AgentNode, AgentPod, DnsAnswer } from '../cilium/agent/told.ts'
import { readManifest } from '../cluster/manifest.ts'
import type {
  CiliumPolicyObject,
  ClusterObject,
  EgressGatewayObject,
  IdentityObject,
  NamespaceObject,
  NodeObject,
  PodObject,
} from '../cluster/objects.ts'
import type {
  CiliumModel,
  CiliumNodeModel,
  CiliumPodModel,
  ManifestText,
  PolicyModel,
} from '../model/cluster.ts'
import { manifestSpan } from '../model/world/manifests.ts'
import { parseIp } from '../net/address.ts'
import { type Mac, macFrom } from '../net/mac.ts'
import { policyObject } from './policy-lines.ts'

export interface SettledOptions {
  readonly version: '1.10' | '1.19'
  readonly exact: boolean
  readonly problems: readonly OptionProblem[]
  readonly nodes: readonly { readonly node: CiliumNodeModel; readonly settled: Settled }[]
  readonly dnsAnswers: readonly DnsAnswer[]
  readonly clusterName: string
}

/** The options of a cluster as each node's agent settles them. Nodes with one kernel share what came out. */
export function settledOptions(model: CiliumModel): SettledOptions {
  const { version, exact } = nearestVersion(model.version)
  const { settings, problems } = readOptions(model.options, version)
  const byKernel = new Map<string, Settled>()
  const settledOn = (kernel: string): Settled => {
    const known = byKernel.get(kernel) ?? settle(settings, version, kernel)
    byKernel.set(kernel, known)
    return known
  }
  const answers = settings.filter(({ flag }) => flag === 'dns-answer')
  return {
    version,
    exact,
    problems,
    nodes: model.nodes.map((node) => ({ node, settled: settledOn(node.kernel ?? defaultKernel) })),
    dnsAnswers: answers.map(({ values: [name = '', ...addresses] }) => ({
      name,
      addresses: addresses.map(parseIp).filter((address) => address !== undefined),
    })),
    clusterName: settings.findLast(({ flag }) => flag === 'cluster-name')?.value ?? 'default',
  }
}

/** A policy and where its subject was written. */
interface PlacedPolicy {
  readonly origin: string
  readonly span: Span
}

interface Objects {
  readonly all: readonly ClusterObject[]
  readonly places: readonly PlacedPolicy[]
}

/** `default/api`; the name alone for what has no namespace. */
export function originOf({
  namespace = '',
  name,
}: {
  readonly namespace?: string
  readonly name: string
}): string {
  return namespace === '' ? name : `${namespace}/${name}`
}

function isPolicy(
  object: ClusterObject,
): object is Extract<ClusterObject, { readonly kind: 'NetworkPolicy' }> | CiliumPolicyObject {
  return (
    object.kind === 'NetworkPolicy' ||
    object.kind === 'CiliumNetworkPolicy' ||
    object.kind === 'CiliumClusterwideNetworkPolicy'
  )
}

function isEgressPolicy(object: ClusterObject): object is EgressGatewayObject {
  return object.kind === 'CiliumEgressGatewayPolicy'
}

/** An object and the place that speaks of it. */
interface Placed {
  readonly object: ClusterObject
  readonly span: Span
}

function isAnyPolicy(object: ClusterObject): boolean {
  return isPolicy(object) || isEgressPolicy(object)
}

function readObjects(text: ManifestText): readonly Placed[] {
  return readManifest(text.text).objects.map(({ object, subject, name }) => ({
    object,
    span: manifestSpan(text, subject ?? name),
  }))
}

/** Kubernetes has one object of a kind and name: what comes later takes the place of what was there. */
class Store {
  readonly #objects = new Map<string, Placed>()

  apply(placed: readonly Placed[]): void {
    for (const each of placed) this.#objects.set(`${each.object.kind} ${originOf(each.object)}`, each)
  }

  deletePolicy(origin: string): void {
    for (const [key, { object }] of this.#objects)
      if (isAnyPolicy(object) && originOf(object) === origin) this.#objects.delete(key)
  }

  all(): readonly Placed[] {
    return [...this.#objects.values()]
  }
}

/** The objects of a cluster, as the steps so far have changed them. */
function objectsOf(model: CiliumModel): Objects {
  const store = new Store()
  const ofPolicy = (policy: PolicyModel): Placed => ({ object: policyObject(policy), span: policy.span })
  for (const text of model.manifests) store.apply(readObjects(text))
  store.apply(model.policies.map(ofPolicy))
  for (const change of model.changes) {
    if (change.kind === 'apply') store.apply(readObjects(change.text))
    else if (change.kind === 'add-policy') store.apply([ofPolicy(change.policy)])
    else if (change.kind === 'delete-policy') store.deletePolicy(change.origin)
  }
  const both = store.all()
  return {
    all: both.map(({ object }) => object),
    places: both.flatMap(({ object, span }) =>
      isAnyPolicy(object) ? [{ origin: originOf(object), span }] : [],
    ),
  }
}

/** A pod that runs, and how often it has come back. */
interface RunningPod extends CiliumPodModel {
  readonly returned?: number
}

/** A pod once more: its pair of devices is a new one. */
function anew(pod: RunningPod, returned: number): RunningPod {
  const mac = (of: string): Mac => macFrom(0x0200_0000_0000 + hash32(`${of} ${returned}`, 1))
  return {
    ...pod,
    returned,
    mac: pod.keepsMac ? pod.mac : mac(`${pod.name}/eth0`),
    hostMac: mac(`${pod.node}/${pod.hostDevice}`),
  }
}

/** The pods that run now. */
function podsOf(model: CiliumModel): readonly RunningPod[] {
  const pods = new Map<string, RunningPod>(model.pods.map((pod) => [pod.name, pod]))
  const returns = new Map<string, number>()
  const comeBack = (name: string): void => {
    const own = [...model.pods, ...model.late.map(({ pod }) => pod)].find((pod) => pod.name === name)
    const returned = (returns.get(name) ?? 0) + 1
    returns.set(name, returned)
    if (own !== undefined) pods.set(name, anew(own, returned))
  }
  const add = (wanted: (pod: CiliumPodModel) => boolean): void => {
    for (const { pod } of model.late) if (wanted(pod)) pods.set(pod.name, pod)
  }
  const label = (name: string, labels: CiliumPodModel['labels']): void => {
    const pod = pods.get(name)
    if (pod !== undefined) pods.set(name, { ...pod, labels })
  }
  for (const change of model.changes) {
    if (change.kind === 'add-pod') add(({ name }) => name === change.pod)
    else if (change.kind === 'delete-pod') pods.delete(change.pod)
    else if (change.kind === 'return-pod') comeBack(change.pod)
    else if (change.kind === 'roll-pod') {
      comeBack(change.pod)
      label(change.pod, change.labels)
    } else if (change.kind === 'set-labels') label(change.pod, change.labels)
    else if (change.kind === 'apply') {
      for (const { object } of readObjects(change.text)) {
        if (object.kind !== 'Pod') continue
        const origin = originOf(object)
        const running = [...pods.values()].find((pod) => originOf(pod) === origin)
        if (running === undefined) add((pod) => originOf(pod) === origin)
        else label(running.name, object.labels)
      }
    }
  }
  return [...pods.values()]
}

function podObject(pod: CiliumPodModel, manifested: PodObject | undefined): PodObject {
  const { name, namespace, labels, serviceAccount, node } = pod
  return {
    kind: 'Pod',
    name,
    namespace,
    labels,
    annotations: { ...manifested?.annotations, ...pod.annotations },
    serviceAccount,
    node,
    nodeSelector: {},
    // pods on the host's network are no endpoints: no agent is told of them
    hostNetwork: false,
    addresses: [],
    ports: manifested?.ports ?? [],
  }
}

/** The MAC address of a device that the language has no draft of: the inner end of the health endpoint. */
function madeMac(place: string): Mac {
  return macFrom(0x0200_0000_0000 + hash32(place, 1))
}

const told = new WeakMap<CiliumModel, ReturnType<typeof makeTold>>()

/** What all agents of a cluster are told, and where its policies were written. Made once for each model. */
export function toldCluster(model: CiliumModel): ReturnType<typeof makeTold> {
  const known = told.get(model) ?? makeTold(model)
  told.set(model, known)
  return known
}

function makeTold(model: CiliumModel): {
  readonly cluster: AgentCluster
  readonly policies: readonly PlacedPolicy[]
} {
  const { nodes, dnsAnswers, clusterName } = settledOptions(model)
  const { all, places } = objectsOf(model)
  const labels = new Map(
    all.filter((each): each is NodeObject => each.kind === 'Node').map((each) => [each.name, each.labels]),
  )
  const manifested = new Map(
    all.filter((each): each is PodObject => each.kind === 'Pod').map((each) => [originOf(each), each]),
  )
  const cluster: AgentCluster = {
    name: clusterName,
    nodes: nodes.map(({ node, settled }): AgentNode => {
      const { config } = settled
      return {
        name: node.name,
        labels: { 'kubernetes.io/hostname': node.name, ...labels.get(node.name) },
        config,
        log: settled.notices.flatMap(({ kind, message }) => (kind === 'fallback' ? [message] : [])),
        devices: node.devices,
        defaultRoutes: node.defaultRoutes,
        podCidrs: node.podCidrs.filter(({ address }) =>
          typeof address === 'number' ? config.ipv4 : config.ipv6,
        ),
        rotations: model.changes.filter(({ kind }) => kind === 'rotate-key').length,
        reserved: model.late.filter(({ pod }) => pod.node === node.name).flatMap(({ pod }) => pod.addresses),
        macOf: (device) => node.macs.get(device) ?? madeMac(`${node.name}/${device}`),
      }
    }),
    pods: podsOf(model).map((pod): AgentPod => {
      const object = podObject(pod, manifested.get(originOf(pod)))
      const { name, node, addresses, mac, hostDevice, hostMac, returned = 0 } = pod
      return { object, name, node, addresses, mac, hostDevice, hostMac, returned }
    }),
    namespaces: all.filter((each): each is NamespaceObject => each.kind === 'Namespace'),
    policies: all.filter(isPolicy),
    egressPolicies: all.filter(isEgressPolicy),
    dnsAnswers,
    identities: all.filter((each): each is IdentityObject => each.kind === 'CiliumIdentity'),
  }
  return { cluster, policies: places }
}
