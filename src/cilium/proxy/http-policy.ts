// Whether an HTTP request is allowed, as cilium-envoy's filter cilium.l7policy asks the policy of a pod: rules of one port, each
// for some peers; one that matches allows. pkg/envoy/policy/envoy_l7_rules_translator.go getHTTPRule()
import type { HttpHeader } from '../../net/http.ts'
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

/** getAllOfHeaderAsString(): several headers of one name are one value; undefined where there is none. */
function wholeValue(headers: readonly HttpHeader[], name: string): string | undefined {
  const wanted = name.toLowerCase()
  const all = headers.filter((each) => each.name.toLowerCase() === wanted)
  return all.length === 0 ? undefined : all.map(({ value }) => value).join(',')
}

/** `X-Key: true`, or `X-Key` for any value. */
function hasHeader(written: string, headers: readonly HttpHeader[]): boolean {
  const blank = written.indexOf(' ')
  if (blank < 0) return wholeValue(headers, written) !== undefined
  return wholeValue(headers, written.slice(0, blank).replace(/:+$/, '')) === written.slice(blank + 1)
}

type HeaderMatch = NonNullable<HttpRule['headerMatches']>[number]

function headerMatches({ name, value = '' }: HeaderMatch, headers: readonly HttpHeader[]): boolean {
  const found = wholeValue(headers, name)
  return found !== undefined && (value === '' || found === value)
}

/** Whether a rule lets the request pass, but for headers that it mends. */
function ruleMatches(rule: HttpRule, request: RequestFacts, present: readonly HttpHeader[]): boolean {
  const { method, path, host, headers = [], headerMatches: matches = [] } = rule
  return (
    (method === undefined || method === '' || matchesWhole(method, request.method)) &&
    (path === undefined || path === '' || matchesWhole(path, request.path)) &&
    (host === undefined || host === '' || matchesWhole(host, request.host)) &&
    headers.every((written) => hasHeader(written, present)) &&
    matches.every((match) => match.mismatch !== undefined || headerMatches(match, present))
  )
}

/** HeaderMatch::allowed(): what a rule does to headers that are not as it says. */
function mended(rule: HttpRule, headers: readonly HttpHeader[]): readonly HttpHeader[] {
  let all = headers
  for (const match of rule.headerMatches ?? []) {
    const { value = '', mismatch } = match
    if (mismatch === undefined || mismatch === 'LOG' || headerMatches(match, all)) continue
    const name = match.name.toLowerCase()
    const is = (each: HttpHeader): boolean => each.name.toLowerCase() === name
    const first = all.findIndex(is)
    if (mismatch === 'DELETE') all = all.filter((each) => !is(each))
    else if (mismatch === 'ADD' || first === -1) all = [...all, { name, value }]
    else all = all.map((each, at) => (at === first ? { name, value } : each))
  }
  return all
}

/**
 * The headers of the request after the rules that allow it, or undefined where none does. `peer` is the identity of the other
 * end. A group of rules without HTTP rules allows every request of its peers. The first rule that matches decides; but where
 * one mends headers, all of them are looked at, each with what those before it have left (network_policy.cc getVerdict()).
 */
export function allowRequest(
  redirects: readonly Redirect[],
  peer: number,
  request: RequestFacts,
): readonly HttpHeader[] | undefined {
  const groups = redirects.flatMap(({ rules }) => rules)
  const mends = groups.some(({ http }) =>
    http.some((rule) => rule.headerMatches?.some(({ mismatch }) => mismatch !== undefined) === true),
  )
  let { headers } = request
  let allowed = false
  for (const { identities, http } of groups) {
    if (identities !== undefined && !identities.includes(peer)) continue
    if (http.length === 0) allowed = true
    for (const rule of http) {
      if (!ruleMatches(rule, request, headers)) continue
      headers = mended(rule, headers)
      allowed = true
      if (!mends) break
    }
    if (allowed && !mends) break
  }
  return allowed ? headers : undefined
}
