// From a checked table to one that packets run through.
import type { Namespace } from '../namespace.ts'
import type { Counters } from '../netfilter/ruleset.ts'
import type { Binding, BoundChain, BoundRule, BoundTable } from './bound.ts'
import type { RuleSpec, SetSpec, TableSpec } from './ruleset.ts'
import { SetStore } from './set-store.ts'

function bindRule(ns: Namespace, table: BoundTable, spec: RuleSpec, ordinal: number): BoundRule {
  const counters: Counters[] = []
  const chainOf = (name: string): BoundChain | undefined => table.chains.get(name)
  const binding: Binding = {
    ns,
    table,
    ordinal,
    storeOf: (set: SetSpec) => table.sets.get(set.name) ?? new SetStore(ns, set, chainOf),
    counter: (start) => {
      const own = { ...start }
      counters.push(own)
      return own
    },
  }
  return { spec, steps: spec.statements.map((statement) => statement.bind(binding)), counters }
}

/** Binds a table to a namespace. */
export function bindTable(ns: Namespace, spec: TableSpec): BoundTable {
  const chains = new Map<string, BoundChain>()
  for (const chain of spec.chains.values()) chains.set(chain.name, { spec: chain, rules: [] })
  const chainOf = (name: string): BoundChain | undefined => chains.get(name)
  const sets = new Map<string, SetStore>()
  for (const set of spec.sets.values()) sets.set(set.name, new SetStore(ns, set, chainOf))
  const counters = new Map<string, Counters>()
  for (const { name, start } of spec.counters.values()) counters.set(name, { ...start })
  const table: BoundTable = { spec, counters, sets, chains }
  let ordinal = 0
  for (const chain of chains.values()) {
    for (const rule of chain.spec.rules) {
      ordinal += 1
      chain.rules.push(bindRule(ns, table, rule, ordinal))
    }
  }
  return table
}
