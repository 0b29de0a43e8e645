// `ip rule`: net/core/fib_rules.c fib_nl_newrule(), fib_nl_delrule(). While only the built-in rules exist nothing is
// stored, and look-ups take the short way.
import { type AdminResult, adminDone, refused } from '../device/change.ts'
import type { Namespace } from '../namespace.ts'
import { builtInRules, type Rule, type RuleSpec } from './rule.ts'
import { familyState } from './state.ts'

/** The rules of a family in the order in which they are asked. */
export function rulesOf(ns: Namespace, family: 4 | 6): readonly Rule[] {
  return familyState(ns, family).rules ?? builtInRules(family)
}

/** fib_default_rule_pref(): one below the second rule. */
function defaultPriority(rules: readonly Rule[]): number {
  const second = rules[1]
  return second !== undefined && second.priority > 0 ? second.priority - 1 : 0
}

function sameRule(left: RuleSpec, right: RuleSpec): boolean {
  const plain = (rule: RuleSpec): string => JSON.stringify(Object.entries(rule).sort())
  return plain(left) === plain(right)
}

function sameWords(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right)
}

/** What of a rule must be equal for `rule_exists`: neither `not` nor where a goto leads. */
function identity({ action, ...rule }: Rule): readonly unknown[] {
  const table = action.kind === 'lookup' ? action.table : 0
  const { priority, iif, oif, fwmark, fwmask, suppressPrefixLength, protocol, sport, dport } = rule
  const mask = fwmark === undefined ? 0 : (fwmask ?? 0xffff_ffff)
  return [
    action.kind,
    table,
    priority,
    iif,
    oif,
    fwmark ?? 0,
    mask,
    suppressPrefixLength ?? -1,
    protocol,
    sport,
    dport,
  ]
}

/** rule_exists(), fib4_rule_compare(): prefixes and TOS count only where the new rule has them. */
function exists(old: Rule, added: Rule): boolean {
  if (!sameWords(identity(old), identity(added))) return false
  for (const name of ['from', 'to', 'tos'] as const)
    if (added[name] !== undefined && !sameWords(old[name], added[name])) return false
  return true
}

/** `ip rule add`: behind rules of the same priority. EEXIST for a rule that counts as there already. */
export function addRule(ns: Namespace, spec: RuleSpec): AdminResult {
  const state = familyState(ns, spec.family)
  const rules = [...rulesOf(ns, spec.family)]
  const rule: Rule = { ...spec, priority: spec.priority ?? defaultPriority(rules) }
  if (rules.some((other) => exists(other, rule))) return refused('EEXIST')
  const at = rules.findIndex((other) => other.priority > rule.priority)
  if (at === -1) rules.push(rule)
  else rules.splice(at, 0, rule)
  state.rules = rules
  state.generation += 1
  return adminDone
}

/** What identifies a rule to delete; absent fields match anything. */
export type RuleMatch = Partial<RuleSpec> & { readonly family: 4 | 6 }

function matches(rule: Rule, match: RuleMatch): boolean {
  const entries = Object.entries(match) as [keyof Rule, unknown][]
  return entries.every(([key, value]) => JSON.stringify(rule[key]) === JSON.stringify(value))
}

/** `ip rule del`: the first match; ENOENT when there is none. */
export function removeRule(ns: Namespace, match: RuleMatch): AdminResult {
  const state = familyState(ns, match.family)
  const rules = [...rulesOf(ns, match.family)]
  const at = rules.findIndex((rule) => matches(rule, match))
  if (at === -1) return refused('ENOENT')
  rules.splice(at, 1)
  const builtIn = builtInRules(match.family)
  const fresh =
    rules.length === builtIn.length && rules.every((rule, i) => sameRule(rule, builtIn[i] ?? rule))
  state.rules = fresh ? undefined : rules
  state.generation += 1
  return adminDone
}
