// Steps that tell the agents of a cluster something else: pods, labels, policies, manifests.
import { didYouMean } from '../../base/closest.ts'
import type { Span } from '../../base/text.ts'
import type { Add, Delete, Manifest, Restart, RotateKey, SetStep } from '../../syntax/ast.ts'
import type { CiliumChange, ManifestPod, ManifestText } from '../cluster.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import { isSet } from '../words/options.ts'
import { clusterCni, podConnection } from '../world/cluster-devices.ts'
import type { HostDraft } from '../world/entities.ts'
import { readPolicy } from './cilium.ts'
import type { Scope } from './scope.ts'
import type { StepsDraft } from './step.ts'
import { notYet } from './unavailable.ts'

/** A title that stands there already gets a number. */
export function uniqueTitle({ steps }: StepsDraft, title: string): string {
  const same = steps.filter(
    (step) => 'title' in step && (step.title === title || step.title.startsWith(`${title} #`)),
  )
  return same.length === 0 ? title : `${title} #${same.length + 1}`
}

/** Adds a change. */
export function pushChange(draft: StepsDraft, change: CiliumChange, title: string, span: Span): void {
  draft.steps.push({ kind: 'cluster', change, title: uniqueTitle(draft, title), span })
}

/** `add ...` of what is known when a pod's plugin or Cilium's agents can carry it out. */
export function readAdd({ item, span }: Add, draft: StepsDraft, scope: Scope): void {
  const { clusters } = scope.entities
  if (item.kind === 'pod' && clusterCni(clusters) !== undefined) {
    draft.steps.push({ kind: 'add-pod', name: item.name.text, span })
    return
  }
  if (podConnection(clusters) === 'cilium' && addToCluster({ kind: 'add', item, span }, draft, scope)) return
  // What is added says so itself where it has no engine; a host that appears in mid-scenario has none.
  if (item.kind !== 'pod' && item.kind !== 'service' && item.kind !== 'policy') {
    notYet(span, `adding a ${item.kind} to a running world`, scope.report)
  }
}

/** `add pod`, `add policy`, `apply manifest`; false for what is not the cluster's. */
function addToCluster({ item, span }: Add, draft: StepsDraft, scope: Scope): boolean {
  switch (item.kind) {
    case 'pod': {
      const name = item.name.text
      if (isSet(item.options, 'hostnetwork')) {
        notYet(span, 'adding a pod on the network of its host', scope.report)
        return true
      }
      const first = scope.entities.pods.find((pod) => pod.name.text === name)
      if (first !== undefined) {
        scope.report(
          mistake('S102', item.name.span, `there is already a host \`${name}\``, {
            hint: 'one that was deleted comes back with `add pod NAME` alone; a new one has a name of its own',
            notes: [{ message: 'the first one is here', span: first.name.span }],
          }),
        )
        return true
      }
      pushChange(draft, { kind: 'add-pod', pod: name }, `add pod ${name}`, span)
      return true
    }
    case 'policy':
      pushChange(
        draft,
        { kind: 'add-policy', policy: readPolicy(item) },
        `add policy ${item.name.text}`,
        span,
      )
      return true
    case 'manifest':
      applyManifest(item, span, draft, scope)
      return true
    default:
      return false
  }
}

/** Whether steps so far have deleted a pod, and not brought it back. */
function isDeleted({ steps }: StepsDraft, name: string): boolean {
  const last = steps.findLast(
    (step) =>
      step.kind === 'cluster' &&
      'pod' in step.change &&
      step.change.pod === name &&
      step.change.kind !== 'set-labels',
  )
  return last?.kind === 'cluster' && last.change.kind === 'delete-pod'
}

/** `restart pod NAME`, and `add pod NAME` of one that was deleted; false for what is restarted otherwise. */
export function bringBack({ what, target, span }: Restart, draft: StepsDraft, scope: Scope): boolean {
  if (what !== 'pod' && what !== 'back') return false
  const name = target.text
  const pod =
    scope.entities.pods.find((each) => each.name.text === name) ??
    scope.entities.latePods.find((each) => each.name.text === name)
  if (pod === undefined || isSet(pod.options, 'hostnetwork')) {
    if (pod !== undefined) notYet(span, 'restarting a pod on the network of its host', scope.report)
    else
      scope.report(
        mistakeIn('S103', target, `no pod is called \`${name}\``, {
          hint: didYouMean(
            name,
            scope.entities.pods.map((each) => each.name.text),
          ),
        }),
      )
    return true
  }
  const gone = isDeleted(draft, name)
  if (what === 'pod' ? gone : !gone) {
    const problem = gone ? `the pod \`${name}\` was deleted` : `the pod \`${name}\` runs`
    const hint = gone
      ? `\`add pod ${name}\` brings it back`
      : `\`delete pod ${name}\` comes first, or \`restart pod ${name}\``
    scope.report(mistakeIn('S102', target, problem, { hint }))
    return true
  }
  if (what === 'pod') pushChange(draft, { kind: 'delete-pod', pod: name }, `delete pod ${name}`, span)
  pushChange(draft, { kind: 'return-pod', pod: name }, `add pod ${name}`, span)
  return true
}

const templateHash = 'pod-template-hash'

/** The template that a pod of a Deployment was last made from; undefined where none was. */
function templateOf(draft: StepsDraft, { manifests }: Scope, pod: ManifestPod): string | undefined {
  const applied = draft.steps.flatMap((step) =>
    step.kind === 'cluster' && step.change.kind === 'apply' ? [step.change.text] : [],
  )
  const pods = [...(manifests?.world ?? []), ...applied].flatMap(
    ({ text }) => manifests?.read(text).pods ?? [],
  )
  const last = pods.findLast(({ name, namespace }) => name === pod.name && namespace === pod.namespace)
  return last?.labels[templateHash]
}

/** A Deployment whose template has changed: each of its pods that runs ends, and one of the new ReplicaSet takes its name. */
function rollOut(text: ManifestText, span: Span, draft: StepsDraft, scope: Scope): void {
  const { pods, latePods } = scope.entities
  for (const pod of scope.manifests?.read(text.text).pods ?? []) {
    const before = templateOf(draft, scope, pod)
    const { name, labels } = pod
    const runs = [...pods, ...latePods].some((each) => each.name.text === name) && !isDeleted(draft, name)
    if (before === undefined || labels[templateHash] === before || !runs) continue
    pushChange(draft, { kind: 'delete-pod', pod: name }, `delete pod ${name}`, span)
    pushChange(draft, { kind: 'roll-pod', pod: name, labels }, `add pod ${name}`, span)
  }
}

function applyManifest(item: Manifest, span: Span, draft: StepsDraft, scope: Scope): void {
  const { manifests } = scope
  for (const text of manifests?.texts(item) ?? []) {
    rollOut(text, span, draft, scope)
    const objects = manifests?.read(text.text).objects ?? []
    const title = objects.map(({ kind, name }) => `${kind} ${name}`).join(', ')
    pushChange(draft, { kind: 'apply', text }, `apply ${title}`, span)
  }
}

/** `delete policy api`, `delete policy NAMESPACE/api`: of any kind of policy. */
export function deletePolicy({ target, span }: Delete, draft: StepsDraft, scope: Scope): void {
  const [first] = target.segments
  if (first === undefined) return
  const written = target.segments.map(({ text }) => text).join('/')
  const known = scope.manifests?.policies ?? new Set<string>()
  const origin = [`default/${written}`, written].find((each) => known.has(each))
  if (origin === undefined) {
    const names = [...known].map((each) => each.replace(/^default\//, ''))
    scope.report(
      mistakeIn('S103', first, `no policy is called \`${written}\``, { hint: didYouMean(written, names) }),
    )
    return
  }
  pushChange(draft, { kind: 'delete-policy', origin }, `delete policy ${written}`, span)
}

/** `rotate ipsec key`: of a cluster that says somewhere that it encrypts so. */
export function rotateKey({ span }: RotateKey, draft: StepsDraft, scope: Scope): void {
  const [cluster] = scope.entities.clusters
  const written = (cluster?.items ?? []).flatMap((item) =>
    item.kind === 'option' ? [item.name, ...item.values.map(({ text }) => text)] : [],
  )
  if (podConnection(scope.entities.clusters) !== 'cilium' || !written.some((word) => /ipsec/i.test(word))) {
    const hint = '`encryption ipsec` of `cluster cilium` is what has a key'
    scope.report(mistake('S118', span, 'no node encrypts with IPsec', { hint }))
    return
  }
  if (cluster?.version?.text.startsWith('1.10') === true) {
    notYet(span, 'rotating the key of Cilium 1.10', scope.report)
    return
  }
  pushChange(draft, { kind: 'rotate-key' }, 'rotate ipsec key', span)
}

/** `set web labels app=web,tier=x`: all of its labels from now on. */
export function setLabels(
  { target, option, span }: SetStep,
  host: HostDraft,
  draft: StepsDraft,
  scope: Scope,
): void {
  if (host.kind !== 'pod' || podConnection(scope.entities.clusters) !== 'cilium') {
    scope.report(
      mistake('S118', target.span, 'a pod of a cluster of agents is needed here', {
        hint: `\`${host.name}\` has no labels`,
      }),
    )
    return
  }
  const texts = option.values.map(({ text }) => text)
  const pairs = texts.flatMap((key, at) => (at % 2 === 0 ? [[key, texts[at + 1] ?? ''] as const] : []))
  const title = `set ${host.name} labels ${pairs.map(([key, value]) => `${key}=${value}`).join(',')}`
  pushChange(draft, { kind: 'set-labels', pod: host.name, labels: Object.fromEntries(pairs) }, title, span)
}
