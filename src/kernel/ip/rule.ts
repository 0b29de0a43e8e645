// Policy routing rules (struct fib4_rule, fib6_rule) and whether one applies to a flow: net/core/fib_rules.c
// fib_rule_match(), net/ipv4/fib_rules.c fib4_rule_match().
import { covers, type Prefix } from '../../net/prefix.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { Namespace } from '../namespace.ts'
import { comparedTos, type Flow, routeTable } from './route.ts'

type RuleAction =
  | { readonly kind: 'lookup'; readonly table: number }
  | { readonly kind: 'goto'; readonly priority: number }
  | { readonly kind: 'nop' }
  | { readonly kind: 'blackhole' }
  | { readonly kind: 'unreachable' }
  | { readonly kind: 'prohibit' }

/** What a person writes; absent selectors match everything. */
export interface RuleSpec {
  readonly family: 4 | 6
  /** Absent: one below the lowest in use (but not below 0), as iproute2's default does. */
  readonly priority?: number
  readonly invert?: boolean
  readonly from?: Prefix
  readonly to?: Prefix
  readonly fwmark?: number
  /** Defaults to all ones when `fwmark` is given. */
  readonly fwmask?: number
  /** Names of devices; a rule may wait for one that does not exist yet. */
  readonly iif?: string
  readonly oif?: string
  readonly tos?: number
  readonly protocol?: number
  readonly sport?: readonly [number, number]
  readonly dport?: readonly [number, number]
  /** Answers with a prefix of at most this length do not count; -1 or absent: all do. */
  readonly suppressPrefixLength?: number
  readonly action: RuleAction
}

export interface Rule extends RuleSpec {
  readonly priority: number
}

/** The rules of a fresh namespace; IPv6 has no `default` table. */
export function builtInRules(family: 4 | 6): Rule[] {
  const lookup = (priority: number, table: number): Rule => ({
    family,
    priority,
    action: { kind: 'lookup', table },
  })
  const rules = [lookup(0, routeTable.local), lookup(32_766, routeTable.main)]
  return family === 4 ? [...rules, lookup(32_767, routeTable.default)] : rules
}

function deviceMatches(ns: Namespace, name: string | undefined, ifindex: number): boolean {
  return name === undefined || ns.devicesByName.get(name)?.ifindex === ifindex
}

function inRange(range: readonly [number, number] | undefined, port: number): boolean {
  return range === undefined || (port >= range[0] && port <= range[1])
}

function selectorsMatch(ns: Namespace, rule: Rule, flow: Flow): boolean {
  if (rule.fwmark !== undefined && ((flow.mark ^ rule.fwmark) & (rule.fwmask ?? -1)) !== 0) return false
  if (!deviceMatches(ns, rule.iif, flow.iif) || !deviceMatches(ns, rule.oif, flow.oif)) return false
  if (rule.from !== undefined && !covers(rule.from, flow.source)) return false
  if (rule.to !== undefined && !covers(rule.to, flow.destination)) return false
  if (rule.tos !== undefined && rule.tos !== 0 && rule.tos !== comparedTos(flow)) return false
  if (rule.protocol !== undefined && rule.protocol !== flow.protocol) return false
  return portsMatch(rule, flow)
}

/** Of ICMP the type and the code stand where others have the destination port (union flowi_uli; tried on 6.18). */
function portsMatch(rule: Rule, { protocol, sport, dport }: Flow): boolean {
  if (protocol !== ipProtocol.icmp && protocol !== ipProtocol.icmp6)
    return inRange(rule.sport, sport) && inRange(rule.dport, dport)
  return inRange(rule.sport, 0) && inRange(rule.dport, (sport << 8) | dport)
}

/** Whether a rule applies to a flow. */
export function ruleMatches(ns: Namespace, rule: Rule, flow: Flow): boolean {
  return selectorsMatch(ns, rule, flow) !== (rule.invert ?? false)
}
