// What policies choose identities with: label selectors, CIDRs with exceptions, names. A selector enters as somebody wrote
// it; requirements on labels leave (cilium pkg/policy/types/selector.go, requirements.go).
import type { EndpointSelector } from '../../../cluster/cilium-policy.ts'
import type { LabelSelector } from '../../../cluster/meta.ts'
import { isIpv4, parseIp } from '../../../net/address.ts'
import { covers, formatPrefix, networkOf, type Prefix, parsePrefix, prefixOf } from '../../../net/prefix.ts'
import { type Label, namespaceKey, namespaceLabelsPrefix } from '../labels.ts'

type Operator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'

/** One condition on the labels of an identity. `any` matches labels of every source. */
export interface Requirement {
  readonly source: Label['source'] | 'any' | 'node'
  readonly key: string
  readonly operator: Operator
  readonly values: readonly string[]
}

/** A selector of peers or subjects. Selectors with one key are the same. */
export type Selector =
  | { readonly kind: 'labels'; readonly key: string; readonly requirements: readonly Requirement[] }
  | {
      readonly kind: 'cidr'
      readonly key: string
      readonly prefix: Prefix
      readonly except: readonly Prefix[]
    }
  | { readonly kind: 'fqdn'; readonly key: string; readonly match: string; readonly pattern: boolean }

function keyOf(requirements: readonly Requirement[]): string {
  const texts = requirements.map(({ source, key, operator, values }) => {
    if (operator === 'In' && values.length === 1) return `${source}:${key}=${values[0]}`
    return `${source}:${key} ${operator} (${values.join(',')})`
  })
  return texts.sort().join('&')
}

/** A selector of these requirements; none of them is the wildcard. */
export function selectLabels(requirements: readonly Requirement[]): Selector {
  return { kind: 'labels', key: keyOf(requirements), requirements }
}

/** `{}`: everything, also what is outside the cluster. */
export const wildcard: Selector = selectLabels([])

/** Whether a selector is the one for everything. */
export function isWildcard(selector: Selector): boolean {
  return selector.kind === 'labels' && selector.requirements.length === 0
}

/** The requirement that a label is there with this value. */
export function hasLabel(source: Requirement['source'], key: string, value: string): Requirement {
  return { source, key, operator: 'In', values: [value] }
}

const sources: readonly Requirement['source'][] = ['k8s', 'any', 'reserved', 'cidr', 'fqdn', 'node']

/** `k8s:app` in its parts; a key without a source is `fallback`'s. */
function keyParts(text: string, fallback: Requirement['source']): Pick<Requirement, 'source' | 'key'> {
  const colon = text.indexOf(':')
  const source = sources.find((each) => each === text.slice(0, Math.max(colon, 0)))
  return source === undefined ? { source: fallback, key: text } : { source, key: text.slice(colon + 1) }
}

/** The requirements of a selector in YAML; `rename` puts something before its keys. */
export function requirementsOf(
  selector: LabelSelector | EndpointSelector,
  fallback: Requirement['source'],
  rename: (key: string) => string = (key) => key,
): readonly Requirement[] {
  const labels = Object.entries(selector.matchLabels ?? {}).map(([text, value]): Requirement => {
    const { source, key } = keyParts(text, fallback)
    return hasLabel(source, rename(key), value)
  })
  const expressions = (selector.matchExpressions ?? []).map(
    ({ key: text, operator, values }): Requirement => {
      const { source, key } = keyParts(text, fallback)
      return { source, key: rename(key), operator, values: values ?? [] }
    },
  )
  return [...labels, ...expressions]
}

/** `namespaceSelector`: requirements on the labels of the pod's namespace; an empty one asks for any namespace. */
export function namespaceRequirements(selector: LabelSelector): readonly Requirement[] {
  const own = requirementsOf(selector, 'k8s', (key) => `${namespaceLabelsPrefix}.${key}`)
  if (own.length > 0) return own
  return [{ source: 'k8s', key: namespaceKey, operator: 'Exists', values: [] }]
}

/** A CIDR selector; a bare address is a prefix of its whole length. Undefined for what is neither. */
export function selectCidr(text: string, except: readonly string[] = []): Selector | undefined {
  const prefix = cidrOf(text)
  if (prefix === undefined) return undefined
  const exceptions = except.flatMap((each) => cidrOf(each) ?? [])
  const minus = exceptions.length === 0 ? '' : `-[${exceptions.map(formatPrefix).join(',')}]`
  return { kind: 'cidr', key: `cidr:${formatPrefix(prefix)}${minus}`, prefix, except: exceptions }
}

function cidrOf(text: string): Prefix | undefined {
  const prefix = parsePrefix(text)
  if (prefix !== undefined) return networkOf(prefix)
  const address = parseIp(text)
  return address === undefined ? undefined : prefixOf(address, isIpv4(address) ? 32 : 128)
}

function matchesLabel(label: Label, { source, key }: Requirement): boolean {
  return label.key === key && (source === 'any' || source === label.source)
}

function meets(requirement: Requirement, labels: readonly Label[]): boolean {
  const found = labels.find((label) => matchesLabel(label, requirement))
  switch (requirement.operator) {
    case 'In':
      return found !== undefined && requirement.values.includes(found.value)
    case 'NotIn':
      return found === undefined || !requirement.values.includes(found.value)
    case 'Exists':
      return found !== undefined
    case 'DoesNotExist':
      return found === undefined
  }
}

/** The prefix of an identity's `cidr:` label. */
function cidrIn(labels: readonly Label[]): Prefix | undefined {
  const label = labels.find(({ source }) => source === 'cidr')
  return label === undefined ? undefined : parsePrefix(label.key)
}

function contains(outer: Prefix, inner: Prefix): boolean {
  return outer.length <= inner.length && covers(outer, inner.address)
}

/** Whether an identity with these labels is outside the cluster, in the family of a prefix. */
function isWorld(labels: readonly Label[], version: 4 | 6): boolean {
  return labels.some(
    ({ source, key }) => source === 'reserved' && (key === 'world' || key === `world-ipv${version}`),
  )
}

/** Whether a selector chooses an identity with these labels. */
export function selects(selector: Selector, labels: readonly Label[]): boolean {
  switch (selector.kind) {
    case 'labels':
      return selector.requirements.every((requirement) => meets(requirement, labels))
    case 'fqdn':
      return labels.some(({ source, key }) => source === 'fqdn' && key === selector.match)
    case 'cidr': {
      const own = cidrIn(labels)
      if (own !== undefined && selector.except.some((each) => contains(each, own))) return false
      // a prefix of no bits is the whole world of its family
      if (selector.prefix.length === 0) return isWorld(labels, isIpv4(selector.prefix.address) ? 4 : 6)
      return own !== undefined && contains(selector.prefix, own)
    }
  }
}
