// Rule sets and a namespace: attaching them as hook functions, and reading them back as iptables-save does.
import { enableConntrack, enableDefrag, releaseConntrack, releaseDefrag } from '../conntrack/hooks.ts'
import type { Namespace } from '../namespace.ts'
import { bindTable } from './bind.ts'
import type { BoundTables } from './bound.ts'
import type { Need } from './extension.ts'
import { chainEntry } from './filter-hook.ts'
import { iptablesNat, registerNatClient } from './nat-hook.ts'
import { printTables } from './print.ts'
import { builtInChains, type Ruleset, type TableName, type TableSpec } from './ruleset.ts'

/** What the rules of tables need to be on. */
function needsOf(tables: Iterable<TableSpec>): ReadonlySet<Need> {
  const needs = new Set<Need>()
  for (const { chains } of tables) {
    for (const { matches, target } of [...chains.values()].flatMap(({ rules }) => rules)) {
      for (const { spec } of matches) if (spec.need !== undefined) needs.add(spec.need)
      if (target.kind === 'extension' && target.spec.need !== undefined) needs.add(target.spec.need)
    }
  }
  return needs
}

/** Switches on what rules need, and off what none of them needs any more (xt_check_match() and its destroy). */
function serveNeeds(ns: Namespace, family: 4 | 6, specs: readonly TableSpec[]): void {
  const needs = needsOf(specs)
  if (needs.has('conntrack')) enableConntrack(ns, family)
  else releaseConntrack(ns, family)
  if (needs.has('defrag')) enableDefrag(ns, family, 'rules')
  else releaseDefrag(ns, family, 'rules')
}

function registerHooks(ns: Namespace, family: 4 | 6, name: TableName): void {
  for (const hook of builtInChains[name]) {
    if (name === 'nat') registerNatClient(ns, family, hook, iptablesNat(family, hook))
    else ns.netfilter.register(chainEntry(family, hook, name))
  }
}

function tablesOf(ns: Namespace, family: 4 | 6): BoundTables {
  const tables = ns.netfilter.tables ?? { 4: new Map(), 6: new Map() }
  ns.netfilter.tables = tables
  return tables[family]
}

/**
 * Puts a checked rule set into a namespace, table by table, as iptables-restore does: a table that was there is replaced,
 * others stay. Rules that are the same objects as before keep their counters. Rules that need it switch connection
 * tracking on (facts: linux 4.8), and off with the last of them.
 */
export function attachIptables(ns: Namespace, family: 4 | 6, ruleset: Ruleset): void {
  const tables = tablesOf(ns, family)
  const others = [...tables.values()].flatMap(({ spec }) =>
    ruleset.tables.some(({ name }) => name === spec.name) ? [] : [spec],
  )
  serveNeeds(ns, family, [...others, ...ruleset.tables])
  for (const spec of ruleset.tables) {
    const previous = tables.get(spec.name)
    tables.set(spec.name, bindTable(ns, family, spec, previous))
    if (previous === undefined) registerHooks(ns, family, spec.name)
  }
}

/** The rule set that a namespace has, for changing it: rules keep their identity, and with it their counters. */
export function currentRuleset(ns: Namespace, family: 4 | 6): Ruleset {
  return { family, tables: [...(ns.netfilter.tables?.[family].values() ?? [])].map(({ spec }) => spec) }
}

/** What `iptables-save` prints (`-c` with `counters`), without its remarks; '' without tables. */
export function iptablesSave(ns: Namespace, family: 4 | 6, options: { readonly counters: boolean }): string {
  const tables = ns.netfilter.tables?.[family]
  return tables === undefined ? '' : printTables(tables, options)
}
