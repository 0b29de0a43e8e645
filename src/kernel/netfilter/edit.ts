// Changing a rule set by the words of one iptables command (`-t nat -R KUBE-SEP 2 ...`): what remains keeps its identity, so
// that attaching the result keeps counters and state.
import { checkRuleset } from './check.ts'
import type { RuleScope } from './extension.ts'
import { orderChains } from './order.ts'
import type { ParsedRuleset } from './parse.ts'
import { parseRule } from './parse-rule.ts'
import { printRule } from './print.ts'
import {
  builtInChains,
  type ChainSpec,
  type RuleSpec,
  type Ruleset,
  type TableName,
  type TableSpec,
  tableNames,
} from './ruleset.ts'
import type { KnownSets } from './set/set-table.ts'
import { type ReportProblem, type RulesetProblem, type Word, wordsOf } from './words.ts'

const zero = { packets: 0, bytes: 0 }

function emptyTable(name: TableName): TableSpec {
  const chains = new Map<string, ChainSpec>()
  for (const chain of builtInChains[name]) {
    chains.set(chain, { name: chain, policy: 'ACCEPT', counters: zero, rules: [] })
  }
  return { name, chains }
}

interface Edit {
  readonly family: 4 | 6
  readonly table: TableSpec
  readonly report: ReportProblem
}

function reported(edit: Edit, word: Word, message: string): undefined {
  edit.report(word, message)
  return undefined
}

function withChain({ table }: Edit, chain: ChainSpec): TableSpec {
  const all = new Map(table.chains).set(chain.name, chain)
  const chains = new Map<string, ChainSpec>()
  for (const name of orderChains(table.name, all.keys())) {
    const each = all.get(name)
    if (each !== undefined) chains.set(name, each)
  }
  return { name: table.name, chains }
}

function chainOf(edit: Edit, word: Word): ChainSpec | undefined {
  const chain = edit.table.chains.get(word.text)
  return chain ?? reported(edit, word, `table \`${edit.table.name}\` has no chain \`${word.text}\``)
}

function ruleOf(edit: Edit, chain: ChainSpec, words: readonly Word[]): RuleSpec | undefined {
  const report: RuleScope['report'] = (place, message, hint) => {
    edit.report(place, message, hint)
    return undefined
  }
  const scope: RuleScope = {
    family: edit.family,
    table: edit.table.name,
    chain: chain.name,
    protocol: -1,
    onlySyn: false,
    report,
  }
  return parseRule(words, scope, words[0]?.line ?? 1, zero)
}

/** The number of a rule from 0 on; -1 when the word is none of the chain's. */
function indexOf(chain: ChainSpec, word: Word | undefined): number {
  const number = Number(word?.text)
  return Number.isInteger(number) && number >= 1 && number <= chain.rules.length ? number - 1 : -1
}

function deleteRule(edit: Edit, chain: ChainSpec, name: Word, rest: readonly Word[]): TableSpec | undefined {
  let at = indexOf(chain, rest[0])
  if (at === -1) {
    const wanted = ruleOf(edit, chain, rest)
    if (wanted === undefined) return undefined
    const text = printRule(chain.name, wanted)
    at = chain.rules.findIndex((rule) => printRule(chain.name, rule) === text)
  }
  if (at === -1) return reported(edit, rest[0] ?? name, 'there is no such rule in the chain')
  return withChain(edit, { ...chain, rules: chain.rules.filter((_rule, index) => index !== at) })
}

function changeRules(edit: Edit, command: string, name: Word, rest: readonly Word[]): TableSpec | undefined {
  const chain = chainOf(edit, name)
  if (chain === undefined) return undefined
  if (command === '-F') return withChain(edit, { ...chain, rules: [] })
  if (command === '-D') return deleteRule(edit, chain, name, rest)
  const at = indexOf(chain, rest[0])
  const numbered = /^[0-9]+$/.test(rest[0]?.text ?? '')
  if (command === '-R' && at === -1)
    return reported(edit, rest[0] ?? name, 'there is no rule with this number')
  const rule = ruleOf(edit, chain, numbered ? rest.slice(1) : rest)
  if (rule === undefined) return undefined
  const rules = [...chain.rules]
  if (command === '-A') rules.push(rule)
  else if (command === '-R') rules[at] = rule
  else rules.splice(numbered ? Number(rest[0]?.text) - 1 : 0, 0, rule)
  return withChain(edit, { ...chain, rules })
}

function change(edit: Edit, command: Word, rest: readonly Word[]): TableSpec | undefined {
  const [name, value] = rest
  if (name === undefined) {
    if (command.text !== '-F') return reported(edit, command, `\`${command.text}\` needs the name of a chain`)
    const chains = new Map([...edit.table.chains].map(([key, chain]) => [key, { ...chain, rules: [] }]))
    return { name: edit.table.name, chains }
  }
  switch (command.text) {
    case '-N':
      return withChain(edit, { name: name.text, policy: undefined, counters: zero, rules: [] })
    case '-P': {
      const chain = chainOf(edit, name)
      const policy = value?.text
      if (policy !== 'ACCEPT' && policy !== 'DROP')
        return reported(edit, value ?? name, 'a policy is ACCEPT or DROP')
      return chain && withChain(edit, { ...chain, policy })
    }
    case '-X': {
      const chains = new Map(edit.table.chains)
      chains.delete(name.text)
      return { name: edit.table.name, chains }
    }
    default:
      return changeRules(edit, command.text, name, rest.slice(1))
  }
}

const commands: ReadonlyMap<string, string> = new Map([
  ['--append', '-A'],
  ['--insert', '-I'],
  ['--replace', '-R'],
  ['--delete', '-D'],
  ['--new-chain', '-N'],
  ['--delete-chain', '-X'],
  ['--flush', '-F'],
  ['--policy', '-P'],
  ...['-A', '-I', '-R', '-D', '-N', '-X', '-F', '-P'].map((name) => [name, name] as const),
])

/** Takes `-w`, `-t TABLE` and the command out of the words. */
function splitCommand(
  words: readonly Word[],
  report: ReportProblem,
): { table: TableName; command: Word; rest: Word[] } | undefined {
  let table: TableName = 'filter'
  let command: Word | undefined
  const rest: Word[] = []
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] as Word
    if (command === undefined && (word.text === '-w' || word.text === '--wait')) continue
    if (word.text === '-t' || word.text === '--table') {
      at += 1
      const name = tableNames.find((known) => known === words[at]?.text)
      if (name === undefined) {
        report(words[at] ?? word, 'there is no such table')
        return undefined
      }
      table = name
      continue
    }
    const short = command === undefined ? commands.get(word.text) : undefined
    if (short === undefined) rest.push(word)
    else command = { ...word, text: short }
  }
  const [first] = words
  if (command !== undefined) return { table, command, rest }
  if (first !== undefined) report(first, 'an iptables command needs one of -A, -I, -R, -D, -N, -X, -F, -P')
  return undefined
}

/** The rule set after one command; `text` is what follows `iptables` on the command line. */
export function editRuleset(
  ruleset: Ruleset,
  text: string,
  options: { readonly sets?: KnownSets } = {},
): ParsedRuleset {
  const problems: RulesetProblem[] = []
  const report: ReportProblem = ({ line, column, length }, message, hint) => {
    problems.push({ line, column, length, message, ...(hint === undefined ? {} : { hint }) })
  }
  const split = splitCommand(wordsOf(text, 1, report), report)
  if (split === undefined) return { ok: false, problems }
  const table = ruleset.tables.find(({ name }) => name === split.table) ?? emptyTable(split.table)
  const changed = change({ family: ruleset.family, table, report }, split.command, split.rest)
  if (changed === undefined) return { ok: false, problems }
  const tables = ruleset.tables.filter(({ name }) => name !== changed.name)
  const at = ruleset.tables.findIndex(({ name }) => name === changed.name)
  tables.splice(at === -1 ? tables.length : at, 0, changed)
  const result: Ruleset = { family: ruleset.family, tables }
  checkRuleset(result, options.sets ?? new Map(), report)
  return problems.length === 0 ? { ok: true, ruleset: result } : { ok: false, problems }
}
