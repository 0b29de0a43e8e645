// CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy as the agent reads them: selectors get the policy's namespace,
// entities become selectors of reserved labels (cilium pkg/k8s/apis/cilium.io/utils, pkg/policy/utils/parserules.go).
import type {
  CidrRule,
  CiliumRule,
  EgressRule,
  EndpointSelector,
  Entity,
  IngressRule,
} from '../../../cluster/cilium-policy.ts'
import type { FqdnSelector, PortRule } from '../../../cluster/cilium-ports.ts'
import { icmpTypeOf } from '../../../cluster/icmp-types.ts'
import type { CiliumPolicyObject } from '../../../cluster/objects.ts'
import { clusterKey, namespaceKey, namespaceLabelsPrefix } from '../labels.ts'
import type { PolicyEntry } from './entry.ts'
import {
  hasLabel,
  type Requirement,
  requirementsOf,
  type Selector,
  selectCidr,
  selectLabels,
  wildcard,
} from './selector.ts'

const reserved = (name: string): Selector => selectLabels([hasLabel('reserved', name, '')])

function entitySelectors(entity: Entity, clusterName: string): readonly Selector[] {
  switch (entity) {
    case 'all':
      return [wildcard]
    case 'world':
      return [reserved('world'), reserved('world-ipv4'), reserved('world-ipv6')]
    case 'cluster':
      return [
        ...['host', 'remote-node', 'init', 'ingress', 'health', 'unmanaged', 'kube-apiserver'].map(reserved),
        selectLabels([hasLabel('k8s', clusterKey, clusterName)]),
      ]
    default:
      return [reserved(entity)]
  }
}

/** What the selectors of one policy are read with. */
interface Reading {
  /** Empty: clusterwide. */
  readonly namespace: string
  readonly clusterName: string
  /** The policy is about pods that have no labels yet. */
  readonly matchesInit: boolean
  readonly origin: string
}

function hasKey(requirements: readonly Requirement[], key: string): boolean {
  return requirements.some((each) => each.key === key && (each.source === 'k8s' || each.source === 'any'))
}

/** getEndpointSelector: peers are in the policy's namespace unless they say where they are. */
function peerSelector(written: EndpointSelector, { namespace, matchesInit }: Reading): Selector {
  const own = requirementsOf(written, 'any')
  if (own.some(({ source }) => source === 'reserved')) return selectLabels(own)
  if (hasKey(own, namespaceKey)) return selectLabels(own)
  if (namespace === '') {
    const inSome: Requirement = { source: 'k8s', key: namespaceKey, operator: 'Exists', values: [] }
    return selectLabels(matchesInit ? own : [...own, inSome])
  }
  const says = own.some(({ key, source }) => key.startsWith(namespaceLabelsPrefix) && source !== 'reserved')
  return selectLabels(says ? own : [...own, hasLabel('k8s', namespaceKey, namespace)])
}

interface Peers {
  readonly endpoints: readonly EndpointSelector[] | undefined
  readonly entities: readonly Entity[] | undefined
  readonly cidrs: readonly string[] | undefined
  readonly cidrSet: readonly CidrRule[] | undefined
  readonly names: readonly FqdnSelector[] | undefined
}

function ingressPeers(rule: Omit<IngressRule, 'toPorts'>): Peers {
  return {
    endpoints: rule.fromEndpoints,
    entities: rule.fromEntities,
    cidrs: rule.fromCIDR,
    cidrSet: rule.fromCIDRSet,
    names: undefined,
  }
}

function egressPeers(rule: Omit<EgressRule, 'toPorts'>): Peers {
  return {
    endpoints: rule.toEndpoints,
    entities: rule.toEntities,
    cidrs: rule.toCIDR,
    cidrSet: rule.toCIDRSet,
    names: rule.toFQDNs,
  }
}

/** mergeEndpointSelectors: an empty list selects nothing, no list at all is every peer of the given ports. */
function peerSelectors(peers: Peers, reading: Reading): readonly Selector[] | undefined {
  const { endpoints, entities, cidrs, cidrSet, names } = peers
  if ([endpoints, entities, cidrs, cidrSet].some((list) => list?.length === 0)) return undefined
  return [
    ...(endpoints ?? []).map((each) => peerSelector(each, reading)),
    ...(entities ?? []).flatMap((each) => entitySelectors(each, reading.clusterName)),
    ...(cidrs ?? []).flatMap((text) => selectCidr(text) ?? []),
    ...(cidrSet ?? []).flatMap(({ cidr, except }) =>
      cidr === undefined ? [] : (selectCidr(cidr, except) ?? []),
    ),
    ...(names ?? []).map(({ matchName, matchPattern }): Selector => {
      const match = matchName ?? matchPattern ?? ''
      return { kind: 'fqdn', key: `fqdn:${match}`, match, pattern: matchName === undefined }
    }),
  ]
}

type Icmps = NonNullable<IngressRule['icmps']>

/** ICMP rules are port rules whose port is the type (ICMPField.PortProtocol). */
function icmpPorts(icmps: Icmps | undefined): readonly PortRule[] {
  return (icmps ?? []).map(({ fields }) => ({
    ports: (fields ?? []).map(({ type, family }) => ({
      port: String(icmpTypeOf(type, family ?? 'IPv4') ?? 0),
      protocol: family === 'IPv6' ? ('ICMPv6' as const) : ('ICMP' as const),
    })),
  }))
}

type Section = {
  readonly ingress: boolean
  readonly deny: boolean
  readonly rules: readonly (IngressRule & EgressRule)[]
}

function sectionsOf(rule: CiliumRule): readonly Section[] {
  const of = (ingress: boolean, deny: boolean, rules: readonly object[] | undefined): Section => ({
    ingress,
    deny,
    rules: (rules ?? []) as readonly (IngressRule & EgressRule)[],
  })
  return [
    of(true, false, rule.ingress),
    of(true, true, rule.ingressDeny),
    of(false, false, rule.egress),
    of(false, true, rule.egressDeny),
  ]
}

/** What a version of the agent makes of fields that it may not know. */
export interface PolicyDialect {
  /** `endPort`, and `enableDefaultDeny`, `icmps`, `authentication`: not in 1.10. */
  readonly ranges: boolean
  readonly clusterName: string
}

function withoutRanges(rules: readonly PortRule[]): readonly PortRule[] {
  return rules.map((rule) => ({ ...rule, ports: (rule.ports ?? []).map(({ endPort: _, ...rest }) => rest) }))
}

function ruleEntries(
  rule: CiliumRule,
  policy: CiliumPolicyObject,
  dialect: PolicyDialect,
): readonly PolicyEntry[] {
  const { namespace, name } = policy
  const written = rule.nodeSelector ?? rule.endpointSelector ?? {}
  const own = requirementsOf(written, 'any')
  const node = rule.nodeSelector !== undefined
  // endpointSelector always speaks of the policy's own namespace
  const subject = selectLabels(namespace === '' ? own : [...own, hasLabel('k8s', namespaceKey, namespace)])
  const origin = namespace === '' ? name : `${namespace}/${name}`
  const matchesInit = own.some(({ source, key }) => source === 'reserved' && key === 'init')
  const reading: Reading = { namespace, clusterName: dialect.clusterName, matchesInit, origin }
  return sectionsOf(rule).flatMap(({ ingress, deny, rules }) => {
    const wish = dialect.ranges ? rule.enableDefaultDeny?.[ingress ? 'ingress' : 'egress'] : undefined
    return rules.map((each): PolicyEntry => {
      const ports = [...(each.toPorts ?? []), ...icmpPorts(each.icmps)]
      return {
        subject,
        node,
        ingress,
        deny,
        defaultDeny: wish ?? true,
        peers: peerSelectors(ingress ? ingressPeers(each) : egressPeers(each), reading),
        ports: dialect.ranges ? ports : withoutRanges(ports),
        origin,
        ...(each.authentication === undefined ? {} : { authentication: each.authentication.mode }),
        ...(rule.log?.value === undefined ? {} : { log: rule.log.value }),
      }
    })
  })
}

/** The entries of a policy. */
export function ciliumPolicyEntries(
  policy: CiliumPolicyObject,
  dialect: PolicyDialect,
): readonly PolicyEntry[] {
  return policy.rules.flatMap((rule) => ruleEntries(rule, policy, dialect))
}
