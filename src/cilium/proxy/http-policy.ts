// Whether an HTTP request is allowed, as cilium-envoy's filter cilium.l7policy asks the policy of a pod: rules of one port, each
// for some peers; one that matches allows. pkg/envoy/policy/envoy_l7_rules_translator.go getHTTPRule()
import { type HttpHeader, headerOf } from '../../net/http.ts'
import type { HttpRule } from '../agent/policy/l4.ts'
import type { Redirect } from '../agent/policy/resolve.ts'

/** A request as rules see it. */
export interface RequestFacts {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly host: string
  readonly headers: readonly HttpHeader[]
}

const compiled = new Map<string, RegExp>()

/** Expressions must match the whole value. */
function matchesWhole(expression: string, value: string): boolean {
  const known = compiled.get(expression) ?? new RegExp(`^(?:${expression})$`)
  compiled.set(expression, known)
  return known.test(value)
}

/** `X-Key: true`, or `X-Key` for any value. */
function hasHeader(written: string, headers: readonly HttpHeader[]): boolean {
  const blank = written.indexOf(' ')
  if (blank < 0) return headerOf(headers, written) !== undefined
  return headerOf(headers, written.slice(0, blank).replace(/:+$/, '')) === written.slice(blank + 1)
}

type HeaderMatch = NonNullable<HttpRule['headerMatches']>[number]

function headerMatches({ name, value = '' }: HeaderMatch, headers: readonly HttpHeader[]): boolean {
  const found = headerOf(headers, name)
  return found !== undefined && (value === '' || found === value)
}

/** Whether a rule lets the request pass, but for headers that it mends. */
function ruleMatches(rule: HttpRule, request: RequestFacts): boolean {
  const { method, path, host, headers = [], headerMatches: matches = [] } = rule
  return (
    (method === undefined || method === '' || matchesWhole(method, request.method)) &&
    (path === undefined || path === '' || matchesWhole(path, request.path)) &&
    (host === undefined || host === '' || matchesWhole(host, request.host)) &&
    headers.every((written) => hasHeader(written, request.headers)) &&
    matches.every((match) => match.mismatch !== undefined || headerMatches(match, request.headers))
  )
}

/** What a matching rule does to headers that are not as it says (HeaderMatch.mismatch). */
function mended(rule: HttpRule, headers: readonly HttpHeader[]): readonly HttpHeader[] {
  let all = headers
  for (const match of rule.headerMatches ?? []) {
    const { name, value = '', mismatch } = match
    if (mismatch === undefined || mismatch === 'LOG' || headerMatches(match, all)) continue
    const others = all.filter((each) => each.name.toLowerCase() !== name.toLowerCase())
    if (mismatch === 'ADD') all = [...all, { name: name.toLowerCase(), value }]
    if (mismatch === 'DELETE') all = others
    if (mismatch === 'REPLACE') all = [...others, { name: name.toLowerCase(), value }]
  }
  return all
}

/**
 * The headers of the request after the rule that allows it, or undefined where none does. `peer` is the identity of the other
 * end. A group of rules without HTTP rules allows every request of its peers.
 */
export function allowRequest(
  redirects: readonly Redirect[],
  peer: number,
  request: RequestFacts,
): readonly HttpHeader[] | undefined {
  for (const { identities, http } of redirects.flatMap(({ rules }) => rules)) {
    if (identities !== undefined && !identities.includes(peer)) continue
    if (http.length === 0) return request.headers
    const rule = http.find((each) => ruleMatches(each, request))
    if (rule !== undefined) return mended(rule, request.headers)
  }
  return undefined
}
