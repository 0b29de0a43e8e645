// From policies to the entries of one endpoint's policy map. The rules about the endpoint enter; whether each direction is
// enforced, the entries and the proxy's redirects leave (cilium pkg/policy/repository.go resolvePolicyLocked, resolve.go
// DistillPolicy).
import { reservedIdentity } from '../identity.ts'
import type { Label } from '../labels.ts'
import type { PolicyEntry } from './entry.ts'
import {
  type HttpRule,
  type L4Filter,
  type L4Policy,
  type MergeConflict,
  mergeEntries,
  type Parser,
  type SelectorPolicy,
} from './l4.ts'
import { legacyMapState } from './legacy-map-state.ts'
import { allowPrecedence, denyPrecedence, type PolicyMapEntry, redirectPrecedence } from './map-entry.ts'
import { allowEntry, MapState, type PolicyFeatures } from './map-state.ts'
import { portPrefixes } from './port-range.ts'
import { isWildcard, selects } from './selector.ts'
import type { SelectorCache } from './selector-cache.ts'

export type EnforcementMode = 'default' | 'always' | 'never'

/** An endpoint as policies see it. */
export interface PolicySubject {
  readonly labels: readonly Label[]
  /** The host endpoint of a node. */
  readonly isHost: boolean
  /** A number for `name/protocol`, or undefined: named ports of the endpoint itself (ingress) or of any pod (egress). */
  readonly namedPort: (ingress: boolean, name: string, protocol: number) => number | undefined
}

/** What all endpoints of a node are resolved with. */
export interface PolicyContext {
  readonly legacy: boolean
  readonly mode: EnforcementMode
  readonly allowLocalhost: boolean
  readonly hostFirewall: boolean
  readonly entries: readonly PolicyEntry[]
  readonly cache: SelectorCache
  /** The port of the proxy's listener for a parser and direction, or for a named listener. */
  readonly proxyPort: (parser: Parser, ingress: boolean, listener: string) => number
  /** The number of a policy's log value. */
  readonly cookie: (log: string) => number
}

/** What the proxy enforces behind a redirect. */
export interface Redirect {
  readonly ingress: boolean
  readonly port: number
  readonly endPort: number
  readonly protocol: number
  readonly parser: Parser
  readonly listener: string
  readonly proxyPort: number
  /** For each group of peers (undefined: everybody) what is allowed; empty lists allow everything. */
  readonly rules: readonly {
    readonly identities: readonly number[] | undefined
    readonly http: readonly HttpRule[]
    readonly dns: SelectorPolicy['dns']
  }[]
}

export interface EndpointPolicy {
  readonly ingressEnforced: boolean
  readonly egressEnforced: boolean
  readonly entries: readonly PolicyMapEntry[]
  readonly redirects: readonly Redirect[]
  readonly conflicts: readonly MergeConflict[]
}

interface Direction {
  readonly ingress: boolean
  readonly enforced: boolean
  readonly policy: L4Policy
  readonly features: PolicyFeatures
  readonly cookies: ReadonlyMap<string, number>
}

const allowAny = { true: 'allow-any-ingress', false: 'allow-any-egress' } as const

/** computePolicyEnforcementAndRules for one direction. */
function directionOf(subject: PolicySubject, context: PolicyContext, ingress: boolean): Direction {
  const off = context.mode === 'never' || (subject.isHost && !context.hostFirewall)
  const own = off
    ? []
    : context.entries.filter(
        (entry) =>
          entry.ingress === ingress &&
          entry.node === subject.isHost &&
          selects(entry.subject, subject.labels),
      )
  const init = subject.labels.some(({ source, key }) => source === 'reserved' && key === 'init')
  const always = !off && (context.mode === 'always' || init)
  const defaultDeny = always || own.some((entry) => entry.defaultDeny)
  const any = context.legacy ? (['TCP', 'UDP'] as const) : (['TCP', 'UDP', 'SCTP'] as const)
  const policy = mergeEntries([...own, ...(own.length > 0 && !defaultDeny ? [allowRest(ingress)] : [])], {
    any,
    defaultDeny,
  })
  const cookies = new Map(
    own.flatMap(({ origin, log }) => (log === undefined ? [] : [[origin, context.cookie(log)] as const])),
  )
  return { ingress, enforced: always || own.length > 0, policy, features: featuresOf(policy), cookies }
}

/** wildcardRule: rules without default deny leave the rest allowed. */
function allowRest(ingress: boolean): PolicyEntry {
  return {
    subject: everything,
    node: false,
    ingress,
    deny: false,
    defaultDeny: false,
    peers: [everything],
    ports: [],
    origin: allowAny[`${ingress}`],
  }
}

const everything = { kind: 'labels', key: '', requirements: [] } as const

function featuresOf({ filters }: L4Policy): PolicyFeatures {
  const features: PolicyFeatures = { precedence: false, auth: false }
  for (const { selectors } of filters.values()) {
    for (const { policy } of selectors.values()) {
      if (policy.deny || policy.parser !== '') features.precedence = true
      if (policy.authentication !== undefined) features.auth = true
    }
  }
  return features
}

const authTypes = { disabled: 0, required: 1, 'test-always-fail': 2 } as const

/** The port of a filter, or undefined for a named port that nobody has. */
export function filterPort(filter: L4Filter, subject: PolicySubject): number | undefined {
  if (filter.portName === '') return filter.port
  return subject.namedPort(filter.ingress, filter.portName, filter.protocol)
}

/** newMapStateEntry without a key. */
export function entryOf(
  filter: L4Filter,
  policy: SelectorPolicy,
  context: PolicyContext,
): Omit<PolicyMapEntry, 'identity' | 'port' | 'portLength' | 'origins' | 'cookie'> {
  const { deny, parser, listenerPriority, authentication } = policy
  const redirects = parser !== '' && !deny
  return {
    egress: !filter.ingress,
    protocol: filter.protocol,
    deny,
    proxyPort: redirects ? context.proxyPort(parser, filter.ingress, policy.listener) : 0,
    precedence: deny ? denyPrecedence : redirects ? redirectPrecedence(listenerPriority) : allowPrecedence,
    authType: deny || authentication === undefined ? 0 : authTypes[authentication],
    hasExplicitAuth: !deny && authentication !== undefined,
  }
}

/** L4Filter.toMapState. */
function addFilter(filter: L4Filter, direction: Direction, state: MapState, own: Own): void {
  const { subject, context } = own
  const port = filterPort(filter, subject)
  if (port === undefined) return
  const prefixes = portPrefixes(port, filter.endPort)
  const made = [...filter.selectors.values()].map(({ selector, policy, origins }) => {
    const cookie = Math.max(0, ...origins.map((origin) => direction.cookies.get(origin) ?? 0))
    return { selector, entry: { ...entryOf(filter, policy, context), origins, cookie } }
  })
  const wild = made.find(({ selector }) => isWildcard(selector))
  for (const { selector, entry } of made) {
    const isWild = selector === wild?.selector
    // the entry for everybody says the same
    if (!isWild && wild !== undefined && port !== 0 && sameEffect(wild.entry, entry)) continue
    const identities = isWild ? [0] : context.cache.select(selector)
    for (const identity of identities) {
      for (const { port: first, length } of prefixes) {
        state.insert({ ...entry, identity, port: first, portLength: length }, direction.features)
      }
    }
  }
}

type Effect = ReturnType<typeof entryOf> & { readonly cookie: number }

function sameEffect(left: Effect, right: Effect): boolean {
  return (
    left.precedence === right.precedence &&
    left.proxyPort === right.proxyPort &&
    left.authType === right.authType &&
    left.hasExplicitAuth === right.hasExplicitAuth &&
    left.cookie === right.cookie
  )
}

interface Own {
  readonly subject: PolicySubject
  readonly context: PolicyContext
}

function redirectsOf({ policy }: Direction, { subject, context }: Own): readonly Redirect[] {
  return [...policy.filters.values()].flatMap((filter) => {
    const all = [...filter.selectors.values()]
    const first = all.find((each) => each.policy.parser !== '' && !each.policy.deny)
    const port = filterPort(filter, subject)
    if (first === undefined || port === undefined) return []
    const { parser, listener } = first.policy
    const { ingress, endPort, protocol } = filter
    const rules = all
      .filter((each) => !each.policy.deny)
      .map((each) => ({
        identities: isWildcard(each.selector) ? undefined : context.cache.select(each.selector),
        http: each.policy.http,
        dns: each.policy.dns,
      }))
    return [
      {
        ingress,
        port,
        endPort,
        protocol,
        parser,
        listener,
        proxyPort: context.proxyPort(parser, ingress, listener),
        rules,
      },
    ]
  })
}

/** The policy of one endpoint. */
export function resolvePolicy(subject: PolicySubject, context: PolicyContext): EndpointPolicy {
  const own: Own = { subject, context }
  const directions = [directionOf(subject, context, true), directionOf(subject, context, false)] as const
  const entries = context.legacy ? legacyEntries(directions, own) : currentEntries(directions, own)
  return {
    ingressEnforced: directions[0].enforced,
    egressEnforced: directions[1].enforced,
    entries,
    redirects: directions.flatMap((direction) => redirectsOf(direction, own)),
    conflicts: directions.flatMap(({ policy }) => policy.conflicts),
  }
}

function currentEntries(directions: readonly Direction[], own: Own): readonly PolicyMapEntry[] {
  const state = new MapState()
  for (const direction of directions) {
    const { enforced, ingress, features, policy } = direction
    if (!enforced) state.insert(allowEntry(!ingress, 0, allowAny[`${ingress}`]), features)
    for (const filter of policy.filters.values()) addFilter(filter, direction, state, own)
  }
  if (own.context.allowLocalhost && !own.subject.isHost) {
    const features = directions[0]?.features ?? { precedence: false, auth: false }
    state.insert(allowEntry(false, reservedIdentity.host, 'allow-localhost-ingress'), features)
  }
  return state.entries()
}

function legacyEntries(
  directions: readonly Direction[],
  { subject, context }: Own,
): readonly PolicyMapEntry[] {
  return legacyMapState(
    directions.map(({ ingress, enforced, policy }) => ({
      ingress,
      enforced,
      filters: [...policy.filters.values()],
    })),
    {
      port: (filter) => filterPort(filter, subject),
      entry: (filter, policy) => ({ ...entryOf(filter, policy, context), precedence: 0, cookie: 0 }),
      select: (selector) => context.cache.select(selector),
      allowLocalhost: context.allowLocalhost && !subject.isHost,
    },
  )
}
