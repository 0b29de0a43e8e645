// Rule sets stand in the file as texts of other tools (`iptables """..."""`). The language does not know their grammar: who
// checks a file hands in a reader, and its mistakes become diagnostics at their lines.
import type { Span } from '../base/text.ts'
import type { RulesetTool } from '../syntax/ast.ts'

/** The tools whose texts can be carried out. */
export type RulesetModelTool = Extract<
  RulesetTool,
  'iptables' | 'ip6tables' | 'nft' | 'ipset' | 'ipvs' | 'xfrm'
>

/** One text, as its tool's save command prints it. */
export interface RulesetModel {
  readonly tool: RulesetModelTool
  readonly text: string
  readonly span: Span
}

/** A text that a step gives to a running host: what is in it comes, goes, or takes the place of what was there. */
export interface RulesetChange {
  readonly verb: 'add' | 'del' | 'replace'
  readonly ruleset: RulesetModel
}

/** A mistake in such a text; line and column count from 1 in the text itself. */
export interface RulesetMistake {
  readonly line: number
  readonly column: number
  readonly length: number
  readonly message: string
  readonly hint?: string
}

/**
 * All mistakes in the texts of one host, by text, in the order of the texts; those of later changes follow. Sets are read
 * before the rules.
 */
export type RulesetReader = (
  texts: readonly RulesetModel[],
  changes?: readonly RulesetChange[],
) => readonly (readonly RulesetMistake[])[]

/** Nothing is known of rule sets: every text is accepted. */
export const readNoRulesets: RulesetReader = (texts, changes = []) => [...texts, ...changes].map(() => [])
