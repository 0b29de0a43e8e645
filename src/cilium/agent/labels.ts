// Labels as Cilium has them, with a source in front, and which of a pod's labels make its identity (cilium pkg/labels,
// pkg/labelsfilter).
import type { PodObject } from '../../cluster/objects.ts'

/** `k8s:app=web`; reserved labels and CIDR labels have no value. */
export interface Label {
  readonly source: 'k8s' | 'reserved' | 'cidr' | 'fqdn'
  readonly key: string
  readonly value: string
}

/** The key of the namespace among a pod's labels. */
export const namespaceKey = 'io.kubernetes.pod.namespace'
/** What stands before the keys of a namespace's own labels. */
export const namespaceLabelsPrefix = 'io.cilium.k8s.namespace.labels'
/** The key of the cluster's name among a pod's labels. */
export const clusterKey = 'io.cilium.k8s.policy.cluster'
const serviceAccountKey = 'io.cilium.k8s.policy.serviceaccount'

/** `k8s:app=web`, `reserved:host`. */
export function formatLabel({ source, key, value }: Label): string {
  return value === '' ? `${source}:${key}` : `${source}:${key}=${value}`
}

/** The label of a key with its source in front, as a CiliumIdentity has it (`k8s:app`). */
export function labelOf(key: string, value: string): Label {
  const colon = key.indexOf(':')
  return { source: key.slice(0, colon) as Label['source'], key: key.slice(colon + 1), value }
}

/** `reserved:world`. */
export function reservedLabel(key: string): Label {
  return { source: 'reserved', key, value: '' }
}

const kept: readonly RegExp[] = [
  /^io\.kubernetes\.pod\.namespace/,
  /^io\.cilium\.k8s\.namespace\.labels/,
  /^app\.kubernetes\.io/,
  /^io\.cilium\.k8s\.policy\.cluster/,
  /^io\.cilium\.k8s\.policy\.serviceaccount/,
]

const dropped: readonly RegExp[] = [
  /^io\.kubernetes/,
  /^kubernetes\.io/,
  /^statefulset\.kubernetes\.io\/pod-name/,
  /^apps\.kubernetes\.io\/pod-index/,
  /^batch\.kubernetes\.io\/job-completion-index/,
  /^batch\.kubernetes\.io\/controller-uid/,
  /^.*beta\.kubernetes\.io/,
  /^k8s\.io/,
  /^pod-template-generation/,
  /^pod-template-hash/,
  /^controller-revision-hash/,
  /^annotation.*/,
  /^controller-uid/,
  /^etcd_node/,
]

/** Whether a label counts for identities (the default of `--labels`). */
export function isIdentityRelevant(key: string): boolean {
  return kept.some((pattern) => pattern.test(key)) || !dropped.some((pattern) => pattern.test(key))
}

function k8s(key: string, value: string): Label {
  return { source: 'k8s', key, value }
}

/** The security-relevant labels of a pod, sorted by key (pkg/k8s GetPodMetadata, then the filter). */
export function podLabels(
  pod: Pick<PodObject, 'labels' | 'namespace' | 'serviceAccount'>,
  namespaceLabels: Readonly<Record<string, string>>,
  clusterName: string,
): readonly Label[] {
  const labels = [
    ...Object.entries(pod.labels).map(([key, value]) => k8s(key, value)),
    // every namespace has its name among its labels (NamespaceDefaultLabelName)
    ...Object.entries({ 'kubernetes.io/metadata.name': pod.namespace, ...namespaceLabels }).map(
      ([key, value]) => k8s(`${namespaceLabelsPrefix}.${key}`, value),
    ),
    k8s(clusterKey, clusterName),
    k8s(serviceAccountKey, pod.serviceAccount),
    k8s(namespaceKey, pod.namespace),
  ]
  return sortLabels(labels.filter(({ key }) => isIdentityRelevant(key)))
}

/** Labels in the order of their keys, as they are shown and hashed. */
export function sortLabels(labels: readonly Label[]): readonly Label[] {
  return [...labels].sort((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0))
}

/** One text for a set of labels: `k8s:app=web;k8s:io.kubernetes.pod.namespace=default;` (SortedList). */
export function labelsKey(labels: readonly Label[]): string {
  return labels.map((label) => `${formatLabel(label)};`).join('')
}
