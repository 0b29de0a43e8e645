// Rules about the same ports become one filter with one policy for each selector (cilium pkg/policy/l4.go L4Filter,
// rule.go mergePortProto).
import type { FqdnSelector, L7Rules, PortProtocol, PortRule } from '../../../cluster/cilium-ports.ts'
import type { AuthMode, PolicyEntry } from './entry.ts'
import { type Selector, wildcard } from './selector.ts'

/** What reads the traffic behind a redirect; empty: nothing does. */
export type Parser = '' | 'http' | 'dns' | 'tls' | 'crd'

export type HttpRule = NonNullable<L7Rules['http']>[number]

/** What happens to traffic with the peers of one selector. */
export interface SelectorPolicy {
  readonly deny: boolean
  readonly parser: Parser
  /** A listener of a CiliumEnvoyConfig by its full name; empty: the agent's own. */
  readonly listener: string
  /** 1 is highest, 126 lowest, 0 none at all. */
  readonly listenerPriority: number
  readonly http: readonly HttpRule[]
  readonly dns: readonly FqdnSelector[]
  readonly serverNames: readonly string[]
  readonly authentication: AuthMode | undefined
}

/** The policies of one port, range of ports or named port. */
export interface L4Filter {
  readonly ingress: boolean
  /** 0: every port, or a named one. */
  readonly port: number
  /** 0: the one port. */
  readonly endPort: number
  readonly portName: string
  /** IP protocol number; 0: every protocol. */
  readonly protocol: number
  /** By the key of the selector. */
  readonly selectors: Map<
    string,
    { readonly selector: Selector; policy: SelectorPolicy; origins: readonly string[] }
  >
}

const plain: SelectorPolicy = {
  deny: false,
  parser: '',
  listener: '',
  listenerPriority: 0,
  http: [],
  dns: [],
  serverNames: [],
  authentication: undefined,
}

/** L7ParserType.defaultPriority. */
const parserPriority: Readonly<Record<Parser, number>> = { '': 0, http: 101, tls: 116, dns: 121, crd: 126 }

const protocolNumber = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1, ICMPv6: 58, VRRP: 112, IGMP: 2 } as const
type Protocol = keyof typeof protocolNumber

/** What a version makes of `protocol: ANY`: 1.10 has no SCTP. */
export type AnyProtocols = readonly Protocol[]

/** Two rules that cannot both hold; the agent keeps the endpoint's former policy then. */
export interface MergeConflict {
  readonly message: string
  readonly origins: readonly string[]
}

/** All filters of one direction, by port and protocol. */
export interface L4Policy {
  readonly filters: ReadonlyMap<string, L4Filter>
  readonly conflicts: readonly MergeConflict[]
}

function parserOf(rule: PortRule, protocol: Protocol | undefined): Parser {
  if (rule.listener !== undefined) return 'crd'
  if ((rule.rules?.dns?.length ?? 0) > 0) return 'dns'
  if (protocol === 'TCP' && (rule.rules?.http?.length ?? 0) > 0) return 'http'
  return (rule.serverNames?.length ?? 0) > 0 ? 'tls' : ''
}

/** With enableDefaultDeny off, L7 rules must not deny other requests (ensureWildcard). */
function withWildcard(policy: SelectorPolicy): SelectorPolicy {
  const anyRequest = policy.http.some((rule) => Object.keys(rule).length === 0)
  const anyName = policy.dns.some(({ matchPattern }) => matchPattern === '*')
  return {
    ...policy,
    http: policy.http.length > 0 && !anyRequest ? [...policy.http, {}] : policy.http,
    dns: policy.dns.length > 0 && !anyName ? [...policy.dns, { matchPattern: '*' }] : policy.dns,
  }
}

function listenerName({ listener }: PortRule, namespace: string): string {
  if (listener === undefined) return ''
  const scope = listener.envoyConfig.kind === 'CiliumClusterwideEnvoyConfig' ? '' : namespace
  return `${scope}/${listener.envoyConfig.name}/${listener.name}`
}

function policyOf(
  entry: PolicyEntry,
  rule: PortRule,
  protocol: Protocol | undefined,
  defaultDeny: boolean,
): SelectorPolicy {
  const parser = parserOf(rule, protocol)
  const policy: SelectorPolicy = {
    ...plain,
    deny: entry.deny,
    parser,
    listener: listenerName(rule, entry.origin.split('/').at(-2) ?? ''),
    listenerPriority: rule.listener?.priority ?? parserPriority[parser],
    http: parser === 'http' ? (rule.rules?.http ?? []) : [],
    dns: parser === 'dns' ? (rule.rules?.dns ?? []) : [],
    serverNames: rule.serverNames ?? [],
    authentication: entry.authentication,
  }
  return defaultDeny || entry.deny ? policy : withWildcard(policy)
}

function hasL7({ http, dns }: SelectorPolicy): boolean {
  return http.length + dns.length > 0
}

/** L7ParserType.Merge; undefined where two parsers do not go together. */
function mergeParser(left: Parser, right: Parser): Parser | undefined {
  if (left === right) return left
  if (left === '' || (left === 'tls' && right === 'http')) return right
  if (right === '' || (right === 'tls' && left === 'http')) return left
  return undefined
}

function union<T>(left: readonly T[], right: readonly T[]): readonly T[] {
  const known = new Set(left.map((each) => JSON.stringify(each)))
  return [...left, ...right.filter((each) => !known.has(JSON.stringify(each)))]
}

/** 0 is the lowest priority of a listener. */
function isEarlier(left: number, right: number): boolean {
  return left !== 0 && (right === 0 || left < right)
}

/** Two policies for the same peers and port as one; a sentence where they conflict. */
function mergePolicies(own: SelectorPolicy, other: SelectorPolicy): SelectorPolicy | string {
  if (own.deny) return own
  if (other.deny) return other
  const parser = mergeParser(own.parser, other.parser)
  if (parser === undefined) return `cannot merge conflicting L7 parsers (${own.parser}/${other.parser})`
  const { authentication: left } = own
  const { authentication: right } = other
  if (left !== undefined && right !== undefined && left !== right)
    return `cannot merge conflicting authentication types (${left}/${right})`
  const leads = parser !== own.parser || isEarlier(other.listenerPriority, own.listenerPriority) ? other : own
  if (own.listener !== other.listener && own.listener !== '' && other.listener !== '') {
    if (own.listenerPriority === other.listenerPriority)
      return `cannot merge conflicting CiliumEnvoyConfig Listeners (${own.listener}/${other.listener}) with the same priority`
  }
  const merged: SelectorPolicy = {
    ...own,
    parser,
    listener: leads.listener === '' ? own.listener || other.listener : leads.listener,
    listenerPriority: leads.parser === parser ? leads.listenerPriority : parserPriority[parser],
    http: union(own.http, other.http),
    dns: union(own.dns, other.dns),
    serverNames: union(own.serverNames, other.serverNames),
    authentication: left ?? right,
  }
  // a rule without L7 rules allows every request
  return hasL7(own) === hasL7(other) ? merged : withWildcard(merged)
}

class Builder {
  readonly filters = new Map<string, L4Filter>()
  readonly conflicts: MergeConflict[] = []
  readonly #any: AnyProtocols
  readonly #defaultDeny: boolean

  constructor(any: AnyProtocols, defaultDeny: boolean) {
    this.#any = any
    this.#defaultDeny = defaultDeny
  }

  /** mergeL4Filter. */
  add(entry: PolicyEntry): void {
    if (entry.peers === undefined) return
    if (entry.ports.length === 0 && entry.peers.length > 0) {
      this.#addFilter(entry, {}, { port: '0' }, undefined)
    }
    for (const rule of entry.ports) {
      for (const port of rule.ports ?? []) {
        const { protocol = 'ANY' } = port
        const protocols = protocol === 'ANY' ? this.#any : [protocol]
        for (const each of protocols) this.#addFilter(entry, rule, port, each)
      }
    }
  }

  #addFilter(entry: PolicyEntry, rule: PortRule, port: PortProtocol, protocol: Protocol | undefined): void {
    const isNumber = /^[0-9]+$/.test(port.port)
    const portName = isNumber ? '' : port.port.toLowerCase()
    const number = isNumber ? Number(port.port) : 0
    const endPort = port.endPort ?? 0
    const key = `${portName || number}-${endPort}/${protocol ?? 'ANY'}`
    const filter = this.filters.get(key) ?? {
      ingress: entry.ingress,
      port: number,
      endPort,
      portName,
      protocol: protocol === undefined ? 0 : protocolNumber[protocol],
      selectors: new Map(),
    }
    this.filters.set(key, filter)
    const policy = policyOf(entry, rule, protocol, this.#defaultDeny)
    const peers = entry.peers === undefined || entry.peers.length === 0 ? [wildcard] : entry.peers
    for (const selector of peers) this.#addSelector(filter, selector, policy, entry.origin)
  }

  #addSelector(filter: L4Filter, selector: Selector, policy: SelectorPolicy, origin: string): void {
    const known = filter.selectors.get(selector.key)
    if (known === undefined) {
      filter.selectors.set(selector.key, { selector, policy, origins: [origin] })
      return
    }
    const merged = mergePolicies(known.policy, policy)
    if (typeof merged === 'string') {
      this.conflicts.push({ message: merged, origins: union(known.origins, [origin]) })
      return
    }
    const isSame = known.policy.deny === policy.deny
    // a denial does not merge with what it overrides
    const origins = isSame ? union(known.origins, [origin]) : known.policy.deny ? known.origins : [origin]
    filter.selectors.set(selector.key, { selector, policy: merged, origins })
  }
}

/** The filters of the entries of one direction that are about one subject. */
export function mergeEntries(
  entries: readonly PolicyEntry[],
  options: { readonly any: AnyProtocols; readonly defaultDeny: boolean },
): L4Policy {
  const builder = new Builder(options.any, options.defaultDeny)
  for (const entry of entries) builder.add(entry)
  return builder
}
