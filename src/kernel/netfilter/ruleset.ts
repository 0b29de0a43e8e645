// A rule set as it stands in a text, checked but not yet bound to a namespace: tables, chains, rules. Printing it gives
// what iptables-save prints; binding it (compile.ts) gives what packets run through.

import type { MatchSpec, TargetSpec } from './extension.ts'
import type { HeaderMatch } from './header-match.ts'
import type { HookName } from './hook.ts'
import type { Place } from './words.ts'

export const tableNames = ['raw', 'mangle', 'nat', 'filter', 'security'] as const
export type TableName = (typeof tableNames)[number]

/** The chains of each table, in the order in which iptables-save prints them. */
export const builtInChains: Readonly<Record<TableName, readonly HookName[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
}

/** Packets and bytes. */
export interface Counters {
  packets: number
  bytes: number
}

/** What happens to a packet that a rule matches. */
export type RuleTarget =
  /** A rule without `-j`: it only counts. */
  | { readonly kind: 'none' }
  | { readonly kind: 'verdict'; readonly verdict: 'ACCEPT' | 'DROP' | 'RETURN' }
  | { readonly kind: 'chain'; readonly chain: string; readonly goto: boolean; readonly place: Place }
  | { readonly kind: 'extension'; readonly name: string; readonly spec: TargetSpec; readonly place: Place }

/** A match of a rule, by the name of its extension. */
export interface RuleMatch {
  readonly name: string
  readonly spec: MatchSpec
  readonly place: Place
}

export interface RuleSpec {
  /** Line in the text it came from. */
  readonly line: number
  readonly header: HeaderMatch
  readonly matches: readonly RuleMatch[]
  readonly target: RuleTarget
  readonly counters: Readonly<Counters>
}

export interface ChainSpec {
  readonly name: string
  /** Built-in chains only. */
  readonly policy: 'ACCEPT' | 'DROP' | undefined
  readonly counters: Readonly<Counters>
  readonly rules: readonly RuleSpec[]
}

export interface TableSpec {
  readonly name: TableName
  /** Built-in chains in their own order, then the others by name. */
  readonly chains: ReadonlyMap<string, ChainSpec>
}

/** A checked rule set: every chain exists, nothing loops, every target may stand where it stands. */
export interface Ruleset {
  readonly family: 4 | 6
  /** In the order of the text. */
  readonly tables: readonly TableSpec[]
}
