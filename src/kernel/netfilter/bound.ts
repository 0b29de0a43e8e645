// Tables bound to a namespace: what packets run through. Rules are plain records with numbers to compare and functions to
// call; counters live here, texts stay in the specs.
import type { Action, ActionVerdict, Matcher } from './extension.ts'
import type { HeaderTest } from './header-match.ts'
import type { ChainSpec, Counters, RuleSpec, TableName, TableSpec } from './ruleset.ts'

export type BoundTarget =
  | { readonly kind: 'none' }
  | { readonly kind: 'verdict'; readonly verdict: ActionVerdict }
  | { readonly kind: 'chain'; readonly chain: BoundChain; readonly goto: boolean }
  | { readonly kind: 'action'; readonly run: Action }

export interface BoundRule {
  readonly spec: RuleSpec
  readonly header: HeaderTest
  readonly matchers: readonly Matcher[]
  readonly target: BoundTarget
  readonly counters: Counters
}

export interface BoundChain {
  readonly spec: ChainSpec
  readonly rules: BoundRule[]
  /**
   * Mask and value of one word of the destination for each rule, two numbers a rule: most rules of a long chain fail
   * on it, and are passed over without being looked at.
   */
  quick: Int32Array
  /** Of the policy. */
  readonly counters: Counters
}

export interface BoundTable {
  readonly spec: TableSpec
  readonly chains: ReadonlyMap<string, BoundChain>
}

/** The tables of one family in the order in which they were made. */
export type BoundTables = Map<TableName, BoundTable>
