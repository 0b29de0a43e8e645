// Tables of nft bound to a namespace: what packets run through.
import type { Namespace } from '../namespace.ts'
import type { Counters } from '../netfilter/ruleset.ts'
import type { ChainSpec, RuleSpec, SetSpec, Step, TableSpec } from './ruleset.ts'
import type { SetStore } from './set-store.ts'

export interface BoundRule {
  readonly spec: RuleSpec
  readonly steps: readonly Step[]
  /** The counters of its statements, in their order. */
  readonly counters: readonly Counters[]
}

export interface BoundChain {
  spec: ChainSpec
  readonly rules: BoundRule[]
  /** Take a base chain off its hooks; empty as long as it is on none. */
  readonly unregister: (() => void)[]
}

export interface BoundTable {
  spec: TableSpec
  readonly counters: Map<string, Counters>
  readonly sets: Map<string, SetStore>
  readonly chains: Map<string, BoundChain>
  /** Number of the rule that was bound last. */
  lastOrdinal: number
}

/** What a rule is bound with. */
export interface Binding {
  readonly ns: Namespace
  readonly table: BoundTable
  /** Number of the rule in its table: tells equal rules apart (chance). */
  readonly ordinal: number
  /** The store of a set of the table, or of one that stands in the rule. */
  readonly storeOf: (set: SetSpec) => SetStore
  /** Takes a counter of the rule. */
  readonly counter: (start: Readonly<Counters>) => Counters
}
