// Real Kubernetes YAML in, objects and mistakes out. Several documents stand behind `---`; a List is what is in it.
import { type Document, isMap, isScalar, isSeq, type Node, parseAllDocuments, type YAMLMap } from 'yaml'
import { didYouMean } from '../base/closest.ts'
import { hash32 } from '../base/hash.ts'
import { type CiliumIdentityManifest, ciliumIdentity } from './cilium-identity.ts'
import {
  type CiliumPolicyManifest,
  ciliumClusterwideNetworkPolicy,
  ciliumNetworkPolicy,
} from './cilium-policy.ts'
import { ciliumEgressGatewayPolicy, type EgressGatewayManifest } from './egress-gateway-policy.ts'
import type { Metadata } from './meta.ts'
import { type NetworkPolicyManifest, networkPolicy } from './network-policy.ts'
import type { ClusterObject, ContainerPort, PodObject } from './objects.ts'
import {
  type DeploymentManifest,
  deployment,
  type NamespaceManifest,
  type NodeManifest,
  namespace,
  node,
  type PodManifest,
  type PodSpec,
  pod,
} from './pod.ts'
import { type Reading, rangeOf, type Schema } from './schema.ts'
import type { Mistake, Places, Range } from './text.ts'

/** An object and where it was written. */
export interface Manifested {
  readonly object: ClusterObject
  /** The value of metadata.name. */
  readonly name: Range
  /** Other places that later mistakes are about: the subject's selector of a policy, the node of a pod. */
  readonly subject?: Range
}

export interface Manifest {
  readonly objects: readonly Manifested[]
  readonly mistakes: readonly Mistake[]
}

interface Kind<T> {
  readonly apiVersion: string
  readonly schema: Schema<T>
  readonly make: (value: T) => readonly ClusterObject[]
}

const kinds: Readonly<Record<string, Kind<never>>> = {
  Pod: kind('v1', pod, podObjects),
  Deployment: kind('apps/v1', deployment, deploymentObjects),
  Namespace: kind('v1', namespace, namespaceObjects),
  Node: kind('v1', node, nodeObjects),
  NetworkPolicy: kind('networking.k8s.io/v1', networkPolicy, networkPolicyObjects),
  CiliumNetworkPolicy: kind('cilium.io/v2', ciliumNetworkPolicy, (value) =>
    ciliumPolicyObjects(value, 'CiliumNetworkPolicy'),
  ),
  CiliumClusterwideNetworkPolicy: kind('cilium.io/v2', ciliumClusterwideNetworkPolicy, (value) =>
    ciliumPolicyObjects(value, 'CiliumClusterwideNetworkPolicy'),
  ),
  CiliumEgressGatewayPolicy: kind('cilium.io/v2', ciliumEgressGatewayPolicy, egressGatewayObjects),
  CiliumIdentity: kind('cilium.io/v2', ciliumIdentity, identityObjects),
}

function kind<T>(apiVersion: string, schema: Schema<T>, make: Kind<T>['make']): Kind<never> {
  return { apiVersion, schema, make } as unknown as Kind<never>
}

/** Kinds whose objects reach the datapath, but nothing carries them out yet. */
const laterKinds: readonly string[] = ['Service', 'EndpointSlice', 'Endpoints']
/** Kinds that never touch a packet here: read past, with a warning. */
const besideKinds: readonly string[] = [
  ...['ConfigMap', 'Secret', 'ServiceAccount', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'],
  ...['PersistentVolumeClaim', 'PersistentVolume', 'StorageClass', 'HorizontalPodAutoscaler'],
  ...['PodDisruptionBudget', 'CustomResourceDefinition', 'ResourceQuota', 'LimitRange', 'PriorityClass'],
]

/** The objects of a text of YAML documents. Positions of mistakes are offsets in the text. */
export function readManifest(text: string): Manifest {
  const mistakes: Mistake[] = []
  const objects: Manifested[] = []
  const report = (mistake: Mistake): void => {
    mistakes.push(mistake)
  }
  const documents = parseAllDocuments(text, { keepSourceTokens: false, prettyErrors: false, merge: true })
  for (const document of Array.isArray(documents) ? documents : []) {
    const { errors } = document
    for (const error of errors) report(yamlMistake(error, text))
    if (errors.length === 0) readNode(document.contents, { document, places: new WeakMap(), report }, objects)
  }
  return { objects, mistakes: mistakes.sort((left, right) => left.start - right.start) }
}

/** What the YAML library says, in one lower-case sentence. */
function yamlMistake(error: Document['errors'][number], text: string): Mistake {
  const [start, stop] = error.pos
  const end = Math.max(stop, start + (/^[-\w./]*/.exec(text.slice(start, start + 64))?.[0].length ?? 0))
  const isTab = error.code === 'TAB_AS_INDENT'
  const first = error.message.split('\n')[0] ?? ''
  const message = isTab
    ? 'a tab does not indent in YAML'
    : `${first.charAt(0).toLowerCase()}${first
        .slice(1)
        .replace(/ at line \d+.*$/, '')
        .replace(/:$/, '')}`
  return {
    severity: 'error',
    start,
    end: Math.max(end, start + 1),
    message,
    ...(isTab ? { hint: 'use blanks' } : {}),
  }
}

function field(node: YAMLMap, name: string): Node | null {
  const pair = node.items.find(({ key }) => isScalar(key) && key.value === name)
  return (pair?.value as Node | null | undefined) ?? null
}

function textOf(node: Node | null): string | undefined {
  return isScalar(node) && typeof node.value === 'string' ? node.value : undefined
}

function readNode(root: Node | null, reading: Reading, into: Manifested[]): void {
  const { report } = reading
  if (root === null || (isScalar(root) && root.value === null)) return
  if (!isMap(root)) {
    report({
      severity: 'error',
      ...rangeOf(root),
      message: 'an object is a map with `apiVersion` and `kind`',
    })
    return
  }
  const kindNode = field(root, 'kind')
  const name = textOf(kindNode)
  if (name === undefined) {
    report({ severity: 'error', ...rangeOf(kindNode ?? root), message: 'the object has no `kind`' })
    return
  }
  if (name === 'List') {
    const items = field(root, 'items')
    for (const item of isSeq(items) ? (items.items as Node[]) : []) readNode(item, reading, into)
    return
  }
  const known = kinds[name]
  if (known === undefined) {
    unknownKind(name, rangeOf(kindNode), report)
    return
  }
  readObject(root, known, reading, into)
}

function unknownKind(name: string, at: Range, report: Reading['report']): void {
  if (laterKinds.includes(name)) report({ severity: 'later', ...at, message: `a ${name}` })
  else if (besideKinds.includes(name)) {
    report({ severity: 'warning', ...at, message: `a ${name} reaches no packet`, hint: 'it is read past' })
  } else {
    const all = [...Object.keys(kinds), ...laterKinds, ...besideKinds]
    const hint = didYouMean(name, all) ?? `one of ${Object.keys(kinds).join(', ')}`
    report({ severity: 'error', ...at, message: `there is no kind \`${name}\``, hint })
  }
}

function readObject(root: YAMLMap, known: Kind<never>, reading: Reading, into: Manifested[]): void {
  const { report, places } = reading
  const version = field(root, 'apiVersion')
  if (textOf(version) !== known.apiVersion) {
    const message =
      version === null ? 'the object has no `apiVersion`' : 'the kind is not in this `apiVersion`'
    report({
      severity: 'error',
      ...rangeOf(version ?? root),
      message,
      hint: `apiVersion: ${known.apiVersion}`,
    })
  }
  const rest = root.clone() as YAMLMap
  rest.range = root.range ?? null
  rest.items = rest.items.filter(
    ({ key }) => !isScalar(key) || (key.value !== 'kind' && key.value !== 'apiVersion'),
  )
  const value = (known.schema as Schema<{ readonly metadata: Metadata; readonly spec?: object }>).read(
    rest,
    reading,
  )
  if (value === undefined) return
  const subject = subjectPlace(value.spec, places)
  const named = places.get(value.metadata)?.values.get('name') ?? rangeOf(root)
  for (const object of known.make(value as never)) {
    into.push({ object, name: named, ...(subject === undefined ? {} : { subject }) })
  }
}

const subjects = ['endpointSelector', 'nodeSelector', 'podSelector', 'selectors', 'nodeName'] as const

function subjectPlace(spec: object | undefined, places: Places): Range | undefined {
  const written = spec === undefined ? undefined : places.get(spec)
  for (const name of subjects) {
    const place = written?.values.get(name)
    if (place !== undefined) return place
  }
  return written?.whole
}

function portsOf(spec: PodSpec): readonly ContainerPort[] {
  return [...(spec.initContainers ?? []), ...(spec.containers ?? [])].flatMap(({ ports }) =>
    (ports ?? []).map(({ containerPort, name, protocol, hostPort, hostIP }) => ({
      port: containerPort,
      protocol: protocol ?? 'TCP',
      ...(name === undefined ? {} : { name }),
      ...(hostPort === undefined ? {} : { hostPort }),
      ...(hostIP === undefined ? {} : { hostIP }),
    })),
  )
}

function podOf(
  meta: Pick<Metadata, 'name' | 'namespace' | 'labels' | 'annotations'>,
  spec: PodSpec,
): PodObject {
  return {
    kind: 'Pod',
    name: meta.name,
    namespace: meta.namespace ?? 'default',
    labels: meta.labels ?? {},
    annotations: meta.annotations ?? {},
    serviceAccount: spec.serviceAccountName ?? spec.serviceAccount ?? 'default',
    ...(spec.nodeName === undefined ? {} : { node: spec.nodeName }),
    nodeSelector: spec.nodeSelector ?? {},
    hostNetwork: spec.hostNetwork ?? false,
    addresses: [],
    ports: portsOf(spec),
  }
}

function podObjects({ metadata, spec, status }: PodManifest): readonly PodObject[] {
  const many = status?.podIPs?.map(({ ip }) => ip)
  const addresses = many ?? (status?.podIP === undefined ? [] : [status.podIP])
  return [{ ...podOf(metadata, spec), addresses }]
}

/** A value as text, its keys in order: what is written in another order is the same. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? ''
  const pairs = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1))
  return `{${pairs.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`
}

/** The pods of a Deployment: NAME-1, NAME-2 ..., in place of the random names that a ReplicaSet gives. */
function deploymentObjects({ metadata, spec }: DeploymentManifest): readonly PodObject[] {
  const { template } = spec
  // what the ReplicaSet of this template gives to its pods
  const hash = hash32(canonical(template), 0).toString(36)
  const labels = { ...template.metadata?.labels, 'pod-template-hash': hash }
  return Array.from({ length: spec.replicas ?? 1 }, (_, index) => {
    const meta = { ...template.metadata, labels, name: `${metadata.name}-${index + 1}` }
    return podOf(
      { ...meta, ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }) },
      template.spec,
    )
  })
}

function namespaceObjects({ metadata }: NamespaceManifest): readonly ClusterObject[] {
  return [{ kind: 'Namespace', name: metadata.name, labels: metadata.labels ?? {} }]
}

function nodeObjects({ metadata }: NodeManifest): readonly ClusterObject[] {
  return [{ kind: 'Node', name: metadata.name, labels: metadata.labels ?? {} }]
}

function networkPolicyObjects({ metadata, spec }: NetworkPolicyManifest): readonly ClusterObject[] {
  return [{ kind: 'NetworkPolicy', name: metadata.name, namespace: metadata.namespace ?? 'default', spec }]
}

function ciliumPolicyObjects(
  { metadata, spec, specs }: CiliumPolicyManifest,
  kind: 'CiliumNetworkPolicy' | 'CiliumClusterwideNetworkPolicy',
): readonly ClusterObject[] {
  const rules = [...(spec === undefined ? [] : [spec]), ...(specs ?? [])]
  const namespace = kind === 'CiliumNetworkPolicy' ? (metadata.namespace ?? 'default') : ''
  return [{ kind, name: metadata.name, namespace, rules }]
}

function egressGatewayObjects({ metadata, spec }: EgressGatewayManifest): readonly ClusterObject[] {
  return [{ kind: 'CiliumEgressGatewayPolicy', name: metadata.name, spec }]
}

function identityObjects(manifest: CiliumIdentityManifest): readonly ClusterObject[] {
  const { metadata, 'security-labels': securityLabels } = manifest
  return [{ kind: 'CiliumIdentity', name: metadata.name, securityLabels }]
}
