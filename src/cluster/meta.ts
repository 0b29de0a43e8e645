// What all Kubernetes objects share: names, labels, selectors (k8s.io/apimachinery pkg/util/validation and
// pkg/apis/meta/v1/validation).
import { anything, type Check, type Infer, list, map, object, oneOf, string } from './schema.ts'

const labelName = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** A qualified name: `app`, `app.kubernetes.io/name` (IsQualifiedName). */
function isQualifiedName(text: string): boolean {
  const slash = text.indexOf('/')
  if (slash === -1) return labelName.test(text)
  const prefix = text.slice(0, slash)
  return prefix.length <= 253 && subdomain.test(prefix) && labelName.test(text.slice(slash + 1))
}

const labelKey: Check<string> = (key, wrong) => {
  if (!isQualifiedName(key)) {
    wrong(`\`${key}\` is no label key`, 'letters, digits, `-`, `_` and `.`, up to 63 of them')
  }
}

const labelValue: Check<string> = (value, wrong) => {
  if (value !== '' && !labelName.test(value)) {
    wrong(`\`${value}\` is no label value`, 'letters, digits, `-`, `_` and `.`, up to 63 of them')
  }
}

/** The name of an object (RFC 1123 subdomain). */
export const objectName = string((name, wrong) => {
  if (name.length > 253 || !subdomain.test(name)) {
    wrong(`\`${name}\` is no name of an object`, 'lower-case letters, digits, `-` and `.`')
  }
})

export const labels = map(string(labelValue), labelKey)

/** metadata: the parts that somebody writes, and those that `kubectl get -o yaml` prints. */
export const metadata = object(
  { name: objectName },
  {
    namespace: objectName,
    labels,
    annotations: map(string()),
    uid: string(),
    generateName: string(),
    resourceVersion: anything,
    generation: anything,
    creationTimestamp: anything,
    deletionTimestamp: anything,
    deletionGracePeriodSeconds: anything,
    finalizers: anything,
    managedFields: anything,
    ownerReferences: anything,
    selfLink: anything,
  },
)
export type Metadata = Infer<typeof metadata>

/** metadata of a pod template: a name is allowed and has no meaning. */
export const templateMetadata = object(
  {},
  { name: string(), labels, annotations: map(string()), creationTimestamp: anything },
)

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const

function requirement(key: Check<string>) {
  return object(
    { key: string(key), operator: oneOf(operators) },
    { values: list(string()) },
    ({ operator, values }, wrong) => {
      const needs = operator === 'In' || operator === 'NotIn'
      if (needs && (values === undefined || values.length === 0)) wrong(`\`${operator}\` needs values`)
      if (!needs && values !== undefined && values.length > 0) {
        wrong(`\`${operator}\` has no values`, 'leave the list out', 'values')
      }
    },
  )
}

/** A selector by labels, as Kubernetes checks it. */
export const labelSelector = object(
  {},
  { matchLabels: map(string(labelValue), labelKey), matchExpressions: list(requirement(labelKey)) },
)
export type LabelSelector = Infer<typeof labelSelector>

/** Keys of Cilium's selectors may have a source in front: `k8s:app`, `any:app`, `reserved:host`. */
const sourcedKey: Check<string> = (key, wrong) => {
  const colon = key.indexOf(':')
  labelKey(colon === -1 ? key : key.slice(colon + 1), wrong)
}

/** A selector of Cilium's policies. */
export const endpointSelector = object(
  {},
  { matchLabels: map(string(labelValue), sourcedKey), matchExpressions: list(requirement(sourcedKey)) },
)
