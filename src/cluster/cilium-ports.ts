// Ports and L7 rules of Cilium's policies (cilium pkg/policy/api/l4.go, http.go, fqdn.go, icmp.go), with what the agent
// refuses about them (rule_validation.go PortRule.sanitize).
import { icmpTypeOf } from './icmp-types.ts'
import { serviceName } from './network-policy.ts'
import {
  anything,
  type Check,
  type Infer,
  integer,
  intOrString,
  later,
  list,
  object,
  oneOf,
  string,
} from './schema.ts'

const protocols = ['TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPv6', 'VRRP', 'IGMP', 'ANY'] as const

/** `80`, `"0"` for all ports, or the name of a container port. */
const portText: Check<string> = (text, wrong) => {
  const fits = /^[0-9]+$/.test(text) ? Number(text) <= 65535 : serviceName.test(text)
  if (!fits) wrong(`\`${text}\` is no port`, 'a number up to 65535, or the name of a container port')
}

const portProtocol = object(
  { port: string(portText) },
  { endPort: integer(0, 65535), protocol: oneOf(protocols) },
  ({ port, endPort }, wrong) => {
    if (endPort !== undefined && endPort > 0 && Number(port) > endPort)
      wrong('`endPort` is below `port`', undefined, 'endPort')
  },
)

const expression: Check<string> = (text, wrong) => {
  try {
    new RegExp(text)
  } catch {
    wrong(`\`${text}\` is no regular expression`)
  }
}

const http = object(
  {},
  {
    method: string(expression),
    path: string(expression),
    host: string(expression),
    headers: list(string()),
    headerMatches: list(
      object(
        { name: string() },
        {
          value: string(),
          mismatch: oneOf(['LOG', 'ADD', 'DELETE', 'REPLACE']),
          secret: later('a header from a secret'),
        },
      ),
    ),
  },
)

/** A name or a pattern of names. */
export const fqdn = object(
  {},
  {
    matchName: string((text, wrong) => {
      if (!/^[-a-zA-Z0-9_.]+$/.test(text)) wrong(`\`${text}\` is no name`, 'use `matchPattern` for `*`')
    }),
    matchPattern: string((text, wrong) => {
      if (!/^[-a-zA-Z0-9_.*]+$/.test(text)) wrong(`\`${text}\` is no pattern of names`)
    }),
  },
  ({ matchName, matchPattern }, wrong) => {
    if ((matchName === undefined) === (matchPattern === undefined))
      wrong('a name is matched by `matchName` or by `matchPattern`, exactly one of them')
  },
)

const l7Rules = object(
  {},
  {
    http: list(http),
    dns: list(fqdn),
    kafka: later('a Kafka rule'),
    l7proto: later('a rule of another L7 protocol'),
    l7: anything,
  },
  ({ http: web, dns }, wrong) => {
    if (web !== undefined && dns !== undefined)
      wrong('one rule has one L7 protocol', 'make two items of `toPorts` of it', 'dns')
  },
)
export type L7Rules = Infer<typeof l7Rules>

const listener = object(
  {
    envoyConfig: object(
      { name: string() },
      { kind: oneOf(['CiliumEnvoyConfig', 'CiliumClusterwideEnvoyConfig']) },
    ),
    name: string(),
  },
  { priority: integer(1, 100) },
)

/** Ports with what the proxy checks behind them. */
export const portRule = (ingress: boolean) =>
  object(
    {},
    {
      ports: list(portProtocol, (ports, wrong) => {
        if (ports.length > 40) wrong(`${ports.length} ports are too many`, 'up to 40')
      }),
      rules: l7Rules,
      listener,
      serverNames: list(string()),
      terminatingTLS: later('TLS in the proxy'),
      originatingTLS: later('TLS in the proxy'),
    },
    (rule, wrong) => portRuleFits(rule, ingress, wrong),
  )

interface PortRuleValue {
  readonly ports?: readonly Infer<typeof portProtocol>[]
  readonly rules?: L7Rules
  readonly listener?: Infer<typeof listener>
  readonly serverNames?: readonly string[]
}

/** PortRule.sanitize. */
function portRuleFits(rule: PortRuleValue, ingress: boolean, wrong: Parameters<Check<unknown>>[1]): void {
  const { ports = [], rules } = rule
  const isDns = (rules?.dns?.length ?? 0) > 0
  const hasRules = isDns || (rules?.http?.length ?? 0) > 0
  if (ingress && isDns) wrong('DNS rules are not allowed on ingress', undefined, 'rules')
  if (ingress && rule.listener !== undefined)
    wrong('a listener is not allowed on ingress', undefined, 'listener')
  if (rule.listener !== undefined && hasRules)
    wrong('a listener does not go with L7 rules', undefined, 'listener')
  if (hasRules && (rule.serverNames?.length ?? 0) > 0)
    wrong('server names do not go with L7 rules unless TLS is terminated', undefined, 'serverNames')
  if (!hasRules) return
  if (isDns && ports.length === 0) wrong('port 53 must be specified for DNS rules', undefined, 'rules')
  for (const { port, protocol, endPort } of ports) {
    if (port === '0') wrong('L7 rules can not be used when a port is 0', undefined, 'ports')
    if (!isDns && protocol !== 'TCP')
      wrong(
        `L7 rules can only apply to TCP (not ${protocol ?? 'ANY'}) except for DNS rules`,
        'protocol: TCP',
        'ports',
      )
    if (isDns && endPort !== undefined && endPort > Number(port))
      wrong('DNS rules do not support port ranges', undefined, 'ports')
  }
}

/** Ports of a denial. */
export const denyPortRule = object({}, { ports: list(portProtocol) })

/** ICMP types, which stand in place of ports. */
export const icmp = object(
  {},
  {
    fields: list(
      object({ type: intOrString() }, { family: oneOf(['IPv4', 'IPv6']) }, ({ type, family }, wrong) => {
        if (icmpTypeOf(type, family ?? 'IPv4') === undefined)
          wrong(
            `there is no ICMP type \`${type}\``,
            'a number up to 255, or a name such as EchoRequest',
            'type',
          )
      }),
    ),
  },
)

export type PortRule = Infer<ReturnType<typeof portRule>>
export type PortProtocol = Infer<typeof portProtocol>
export type FqdnSelector = Infer<typeof fqdn>
