// CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy of cilium.io/v2: the shape of their CRDs, and what the agent
// refuses when it reads a rule (cilium pkg/policy/api/rule_validation.go).
import { parseIp } from '../net/address.ts'
import { covers, parsePrefix } from '../net/prefix.ts'
import { denyPortRule, fqdn, icmp, type PortRule, portRule } from './cilium-ports.ts'
import { endpointSelector, metadata } from './meta.ts'
import {
  anything,
  boolean,
  type Check,
  type Infer,
  later,
  list,
  object,
  oneOf,
  type Schema,
  string,
} from './schema.ts'

const cidrText: Check<string> = (text, wrong) => {
  if (parsePrefix(text) === undefined && parseIp(text) === undefined)
    wrong(`\`${text}\` is no CIDR`, 'such as 10.0.0.0/8 or fd00::/8')
}
const prefixText: Check<string> = (text, wrong) => {
  if (parsePrefix(text) === undefined) wrong(`\`${text}\` is no CIDR`, 'such as 10.0.0.0/8 or fd00::/8')
}

const cidrRule = object(
  {},
  {
    cidr: string(prefixText),
    except: list(string(prefixText)),
    cidrGroupRef: later('a CIDR group'),
    cidrGroupSelector: later('a CIDR group'),
  },
  ({ cidr, except, ...groups }, wrong) => {
    if (cidr === undefined && groups.cidrGroupRef === undefined && groups.cidrGroupSelector === undefined)
      wrong('one of `cidr`, `cidrGroupRef` or `cidrGroupSelector` is required')
    const whole = cidr === undefined ? undefined : parsePrefix(cidr)
    for (const text of except ?? []) {
      const part = parsePrefix(text)
      if (whole !== undefined && part !== undefined && !covers(whole, part.address))
        wrong(`allow CIDR prefix ${cidr} does not contain exclude CIDR prefix ${text}`, undefined, 'except')
    }
  },
)

const entities = [
  ...([
    'all',
    'world',
    'cluster',
    'host',
    'init',
    'ingress',
    'unmanaged',
    'remote-node',
    'health',
    'none',
  ] as const),
  ...(['kube-apiserver', 'world-ipv4', 'world-ipv6'] as const),
] as const
export type Entity = (typeof entities)[number]

const authentication = object({ mode: oneOf(['disabled', 'required', 'test-always-fail']) }, {})

const fromPeers = {
  fromEndpoints: list(endpointSelector),
  fromEntities: list(oneOf(entities)),
  fromCIDR: list(string(cidrText)),
  fromCIDRSet: list(cidrRule),
  fromNodes: later('a policy to nodes by their labels'),
  fromGroups: later('a group of a cloud'),
} as const
const toPeers = {
  toEndpoints: list(endpointSelector),
  toEntities: list(oneOf(entities)),
  toCIDR: list(string(cidrText)),
  toCIDRSet: list(cidrRule),
  toNodes: later('a policy to nodes by their labels'),
  toServices: later('a policy to services'),
  toGroups: later('a group of a cloud'),
} as const

/** One kind of peer in a rule, and ICMP apart from ports (IngressCommonRule.sanitize, EgressCommonRule.sanitize). */
function oneKind(value: object, wrong: Parameters<Check<unknown>>[1]): void {
  const filled = Object.entries(value).filter(([, items]) => !Array.isArray(items) || items.length > 0)
  const peers = filled.map(([name]) => name).filter((name) => /^(from|to)(?!Ports)/.test(name))
  const [first, second] = peers
  if (first !== undefined && second !== undefined)
    wrong(`combining ${first} and ${second} is not supported yet`, 'make two rules of it', second)
  const names = filled.map(([name]) => name)
  if (names.includes('icmps') && names.includes('toPorts'))
    wrong('the ICMPs block may only be present without ToPorts', 'make two rules of it', 'icmps')
}

const icmps = list(icmp)
const ingressRule = object(
  {},
  { ...fromPeers, toPorts: list(portRule(true)), icmps, authentication },
  oneKind,
)
const ingressDenyRule = object({}, { ...fromPeers, toPorts: list(denyPortRule), icmps }, oneKind)
const egressRule = object(
  {},
  { ...toPeers, toFQDNs: list(fqdn), toPorts: list(portRule(false)), icmps, authentication },
  oneKind,
)
const egressDenyRule = object({}, { ...toPeers, toPorts: list(denyPortRule), icmps }, oneKind)

export type IngressRule = Infer<typeof ingressRule>
export type EgressRule = Infer<typeof egressRule>
export type CidrRule = Infer<typeof cidrRule>
export type EndpointSelector = Infer<typeof endpointSelector>

const sections = ['ingress', 'ingressDeny', 'egress', 'egressDeny'] as const

const rule = object(
  {},
  {
    endpointSelector,
    nodeSelector: endpointSelector,
    ingress: list(ingressRule),
    ingressDeny: list(ingressDenyRule),
    egress: list(egressRule),
    egressDeny: list(egressDenyRule),
    enableDefaultDeny: object({}, { ingress: boolean, egress: boolean }),
    description: string(),
    labels: list(anything),
    log: object({}, { value: string() }),
  },
  (value, wrong) => {
    if (sections.every((name) => (value[name]?.length ?? 0) === 0))
      wrong(
        'a rule has at least one of ingress, ingressDeny, egress and egressDeny',
        '`ingress: [{}]` denies all',
      )
    if ((value.endpointSelector === undefined) === (value.nodeSelector === undefined))
      wrong(
        'a rule has either `endpointSelector` or `nodeSelector`',
        '`endpointSelector: {}` selects all pods',
      )
  },
)
/** One rule (api.Rule). */
export type CiliumRule = Infer<typeof rule>

function policy(kind: string, check: Check<CiliumRule>): Schema<CiliumPolicyManifest> {
  const checked: Schema<CiliumRule> = {
    ...rule,
    read: (node, reading) => {
      const value = rule.read(node, reading)
      if (value !== undefined) {
        check(value, (message, hint, field) => {
          const written = reading.places.get(value)
          const place = (field === undefined ? undefined : written?.keys.get(field)) ?? written?.whole
          reading.report({
            severity: 'error',
            start: 0,
            end: 1,
            ...place,
            message,
            ...(hint === undefined ? {} : { hint }),
          })
        })
      }
      return value
    },
  }
  return object({ metadata }, { spec: checked, specs: list(checked), status: anything }, (value, wrong) => {
    if (value.spec === undefined && value.specs === undefined) wrong(`a ${kind} has \`spec\` or \`specs\``)
  })
}

export interface CiliumPolicyManifest {
  readonly metadata: Infer<typeof metadata>
  readonly spec?: CiliumRule
  readonly specs?: readonly CiliumRule[]
}

/** kind: CiliumNetworkPolicy. Nodes are selected by clusterwide policies only. */
export const ciliumNetworkPolicy = policy('CiliumNetworkPolicy', ({ nodeSelector }, wrong) => {
  if (nodeSelector !== undefined)
    wrong('a CiliumNetworkPolicy selects no nodes', 'kind: CiliumClusterwideNetworkPolicy', 'nodeSelector')
})

/** kind: CiliumClusterwideNetworkPolicy. L7 rules do not go with hosts on ingress. */
export const ciliumClusterwideNetworkPolicy = policy('CiliumClusterwideNetworkPolicy', (value, wrong) => {
  if (value.nodeSelector === undefined) return
  const hasL7 = (rules: readonly { readonly toPorts?: readonly PortRule[] }[] | undefined): boolean =>
    rules?.some(({ toPorts }) => toPorts?.some(({ rules: seven }) => (seven?.http?.length ?? 0) > 0)) === true
  if (hasL7(value.ingress)) wrong('L7 policy is not supported on host ingress yet', undefined, 'ingress')
  if (hasL7(value.egress)) wrong('L7 protocol HTTP is not supported on host egress yet', undefined, 'egress')
})
