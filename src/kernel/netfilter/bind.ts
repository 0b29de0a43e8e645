// From a checked rule set to tables that packets run through. Rules that stay when a table is replaced keep their counters,
// as a changed table keeps what was not changed (iptables -A, -R, -D); their matches and targets begin anew (xt_check_match).
import { present } from '../../base/assert.ts'
import type { Namespace } from '../namespace.ts'
import type { BoundChain, BoundRule, BoundTable, BoundTarget } from './bound.ts'
import { actionVerdict, type Binding } from './extension.ts'
import { bindHeader } from './header-match.ts'
import type { RuleSpec, TableSpec } from './ruleset.ts'
import { setsOf } from './set/set-table.ts'

const verdicts = {
  ACCEPT: actionVerdict.accept,
  DROP: actionVerdict.drop,
  RETURN: actionVerdict.return,
} as const

function targetOf(spec: RuleSpec, binding: Binding, chains: ReadonlyMap<string, BoundChain>): BoundTarget {
  const { target } = spec
  switch (target.kind) {
    case 'none':
      return { kind: 'none' }
    case 'verdict':
      return { kind: 'verdict', verdict: verdicts[target.verdict] }
    case 'chain': {
      const chain = present(chains.get(target.chain), 'a checked rule names a chain that exists')
      return { kind: 'chain', chain, goto: target.goto }
    }
    case 'extension':
      return { kind: 'action', run: target.spec.bind(binding) }
  }
}

function bindRule(
  spec: RuleSpec,
  binding: Binding,
  chains: ReadonlyMap<string, BoundChain>,
  known: BoundRule | undefined,
): BoundRule {
  return {
    spec,
    header: bindHeader(spec.header),
    matchers: spec.matches.filter(({ name }) => name !== 'comment').map((match) => match.spec.bind(binding)),
    target: targetOf(spec, binding, chains),
    counters: known?.counters ?? { ...spec.counters },
  }
}

/** One word of each rule's destination: the only one of IPv4, the last one of IPv6. */
function quickWords(rules: readonly BoundRule[], family: 4 | 6): Int32Array {
  const words = new Int32Array(rules.length * 2)
  for (const [index, { header }] of rules.entries()) {
    const { destination } = header
    if (destination === undefined || destination.inverted) continue
    words[index * 2] = destination.mask[family === 4 ? 0 : 3]
    words[index * 2 + 1] = destination.address[family === 4 ? 0 : 3]
  }
  return words
}

/** Binds a table to a namespace; `previous` is the table that it replaces. */
export function bindTable(
  ns: Namespace,
  family: 4 | 6,
  spec: TableSpec,
  previous: BoundTable | undefined,
): BoundTable {
  const known = new Map<RuleSpec, BoundRule>()
  for (const chain of previous?.chains.values() ?? [])
    for (const rule of chain.rules) known.set(rule.spec, rule)
  const chains = new Map<string, BoundChain>()
  for (const chain of spec.chains.values()) {
    // iptables 1.8.9 gives a table back with its policies at zero, whatever it has changed
    const own = previous === undefined ? { ...chain.counters } : { packets: 0, bytes: 0 }
    chains.set(chain.name, { spec: chain, rules: [], quick: new Int32Array(0), counters: own })
  }
  let ordinal = 0
  for (const chain of chains.values()) {
    for (const rule of chain.spec.rules) {
      ordinal += 1
      const binding = { ns, family, table: spec.name, ordinal, sets: setsOf(ns) }
      chain.rules.push(bindRule(rule, binding, chains, known.get(rule)))
    }
    chain.quick = quickWords(chain.rules, family)
  }
  return { spec, chains }
}
