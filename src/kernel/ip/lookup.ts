// From a flow to a table entry: rules in order, longest prefix in each table, one of the entry's next hops.
// net/ipv4/fib_rules.c fib_lookup(), net/core/fib_rules.c fib_rules_lookup(), net/ipv4/fib_semantics.c fib_select_path().
import type { IpAddress } from '../../net/address.ts'
import { isIpv4 } from '../../net/address.ts'
import type { Namespace } from '../namespace.ts'
import type { Errno } from '../socket/errno.ts'
import type { FibMatch, FibTable } from './fib.ts'
import { type FibRoute, type Flow, type NextHop, routeTable } from './route.ts'
import { type Rule, ruleMatches } from './rule.ts'
import { type FamilyState, familyState } from './state.ts'

/** What a look-up found, or the errno that a route, a rule or the lack of both answers with. */
export type Lookup = FibMatch | Errno

/** Purpose for `Machine.random` for the choice among several next hops. */
const multipathPurpose = 'multipath'

/** Whether a look-up ended without an entry. */
export function isLookupError(lookup: Lookup): lookup is Errno {
  return typeof lookup === 'string'
}

/** fib_props[].error: what a route type answers; undefined for those that lead somewhere. */
function errorOf(route: FibRoute): Errno | undefined {
  switch (route.type) {
    case 'blackhole':
      return 'EINVAL'
    case 'unreachable':
      return 'EHOSTUNREACH'
    case 'prohibit':
      return 'EACCES'
    case 'unicast':
    case 'local':
    case 'broadcast':
    case 'anycast':
    case 'multicast':
    case 'throw':
      return undefined
  }
}

/** IPv6 routes that lead nowhere have lo as their device (ip6_route_info_create_nh); IPv4 ones have none and always match. */
const loopbackIfindex = 1

function usable(nextHop: NextHop, flow: Flow): boolean {
  if (nextHop.device === undefined)
    return flow.family === 4 || flow.oif === 0 || flow.oif === loopbackIfindex || flow.anyDevice === true
  if (nextHop.dead) return false
  return flow.oif === 0 || nextHop.device.ifindex === flow.oif || flow.anyDevice === true
}

function foldAddress(address: IpAddress): number {
  return isIpv4(address) ? address : (address[0] ^ address[1] ^ address[2] ^ address[3]) >>> 0
}

/** fib_multipath_hash policy 0 (addresses), made a pure function of the seed and the flow. */
function flowKey(flow: Flow): number {
  const hash = Math.imul(foldAddress(flow.source) ^ 0x5bd1_e995, 0x9e37_79b1)
  return (hash ^ Math.imul(foldAddress(flow.destination), 0x85eb_ca77)) >>> 0
}

function chooseWeighted(ns: Namespace, route: FibRoute, flow: Flow): NextHop | undefined {
  let total = 0
  for (const nextHop of route.nextHops) if (usable(nextHop, flow)) total += nextHop.weight
  if (total === 0) return undefined
  let point = ns.machine.random(multipathPurpose, flowKey(flow)) % total
  for (const nextHop of route.nextHops) {
    if (!usable(nextHop, flow)) continue
    point -= nextHop.weight
    if (point < 0) return nextHop
  }
  return undefined
}

/** The next hop of an entry for a flow, or undefined when it has none that works. */
function chooseNextHop(ns: Namespace, route: FibRoute, flow: Flow): NextHop | undefined {
  const first = route.nextHops[0]
  if (route.nextHops.length > 1) return chooseWeighted(ns, route, flow)
  return first !== undefined && usable(first, flow) ? first : undefined
}

/** One table: undefined when it does not answer, so that the next rule is asked. */
function lookupTable(ns: Namespace, table: FibTable | undefined, flow: Flow): Lookup | undefined {
  const found = table?.lookup(flow, (route) => chooseNextHop(ns, route, flow))
  if (found === undefined || found.route.type === 'throw') return undefined
  return errorOf(found.route) ?? found
}

function applyAction(ns: Namespace, state: FamilyState, rule: Rule, flow: Flow): Lookup | undefined {
  switch (rule.action.kind) {
    case 'lookup': {
      const found = lookupTable(ns, state.tables.get(rule.action.table), flow)
      const limit = rule.suppressPrefixLength ?? -1
      if (found === undefined || isLookupError(found)) return found
      return found.prefixLength <= limit ? undefined : found
    }
    case 'blackhole':
      return 'EINVAL'
    case 'unreachable':
      return 'ENETUNREACH'
    case 'prohibit':
      return 'EACCES'
    case 'goto':
    case 'nop':
      return undefined
  }
}

function lookupRules(ns: Namespace, state: FamilyState, rules: readonly Rule[], flow: Flow): Lookup {
  for (let at = 0; at < rules.length; at += 1) {
    const rule = rules[at]
    if (rule === undefined || !ruleMatches(ns, rule, flow)) continue
    if (rule.action.kind === 'goto') {
      const target = rule.action.priority
      const next = rules.findIndex((other, index) => index > at && other.priority >= target)
      if (next === -1) continue
      at = next - 1
      continue
    }
    const found = applyAction(ns, state, rule, flow)
    if (found !== undefined) return found
  }
  return 'ENETUNREACH'
}

/**
 * The entry for a flow. Without rules of a person's own the three built-in tables are asked directly. Errors: EINVAL
 * (blackhole), EHOSTUNREACH (unreachable route), EACCES (prohibit), ENETUNREACH (no route, `throw`, unreachable rule).
 */
export function lookupRoute(ns: Namespace, flow: Flow): Lookup {
  const state = familyState(ns, flow.family)
  if (state.rules !== undefined) return lookupRules(ns, state, state.rules, flow)
  return (
    lookupTable(ns, state.tables.get(routeTable.local), flow) ??
    lookupTable(ns, state.tables.get(routeTable.main), flow) ??
    lookupTable(ns, state.tables.get(routeTable.default), flow) ??
    'ENETUNREACH'
  )
}

/** The entry for a flow in one table only (BPF_FIB_LOOKUP_TBID, `ip route get` with a table). */
export function lookupInTable(ns: Namespace, table: number, flow: Flow): Lookup {
  const state = familyState(ns, flow.family)
  return lookupTable(ns, state.tables.get(table), flow) ?? 'ENETUNREACH'
}
