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

/** Takes out of a map what has no name any more; answers what was taken out. */
function dropOthers<T>(bound: Map<string, T>, names: ReadonlyMap<string, unknown>): T[] {
  const gone: T[] = []
  for (const [name, value] of bound) {
    if (names.has(name)) continue
    bound.delete(name)
    gone.push(value)
  }
  return gone
}

function bindChains(ns: Namespace, table: BoundTable): void {
  const { chains, spec } = table
  for (const { unregister } of dropOthers(chains, spec.chains)) for (const each of unregister) each()
  for (const chain of spec.chains.values()) {
    const known = chains.get(chain.name)
    if (known === undefined) chains.set(chain.name, { spec: chain, rules: [], unregister: [] })
    else known.spec = chain
  }
  bindSets(ns, table)
  for (const chain of chains.values()) {
    const known = new Map(chain.rules.map((rule) => [rule.spec, rule]))
    const rules = chain.spec.rules.map((rule) => {
      const same = known.get(rule)
      if (same !== undefined) return same
      table.lastOrdinal += 1
      return bindRule(ns, table, rule, table.lastOrdinal)
    })
    chain.rules.splice(0, chain.rules.length, ...rules)
  }
}

function bindSets(ns: Namespace, { sets, chains, spec }: BoundTable): void {
  const chainOf = (name: string): BoundChain | undefined => chains.get(name)
  dropOthers(sets, spec.sets)
  for (const set of spec.sets.values()) {
    const known = sets.get(set.name)
    if (known === undefined) sets.set(set.name, new SetStore(ns, set, chainOf))
    else known.follow(set, chainOf)
  }
}

/**
 * Binds a table to a namespace. What `previous` has already stays as it is: rules with their counters and turns, sets with
 * the elements that packets made.
 */
export function bindTable(ns: Namespace, spec: TableSpec, previous?: BoundTable): BoundTable {
  const table = previous ?? { spec, counters: new Map(), sets: new Map(), chains: new Map(), lastOrdinal: 0 }
  table.spec = spec
  dropOthers(table.counters, spec.counters)
  for (const { name, start } of spec.counters.values())
    if (!table.counters.has(name)) table.counters.set(name, { ...start })
  bindChains(ns, table)
  return table
}
