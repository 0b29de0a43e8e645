// The lines of an iptables-save text that change rules and take chains away: -A, -I, -D, -R, -X. What they change is an open
// table, which parse.ts opens and closes.
import { didYouMean } from '../../base/closest.ts'
import { parseRule } from './parse-rule.ts'
import { printRule } from './print.ts'
import {
  builtInChains,
  type Counters,
  type RuleSpec,
  type Ruleset,
  type TableName,
  type TableSpec,
} from './ruleset.ts'
import type { KnownSets } from './set/set-table.ts'
import type { ReportProblem, Word } from './words.ts'

/** How a text is read. */
export interface ParseOptions {
  /** The ipsets that exist, for the rules that name one. */
  readonly sets?: KnownSets
  /** What is there already: the text changes it (`iptables-restore --noflush`), and rules that stay keep their identity. */
  readonly base?: Ruleset
  /** With `del` the rules of the text go: each `-A` is read as `-D`. */
  readonly purpose?: 'add' | 'del'
}

/** A chain of an open table. */
export interface OpenChain {
  readonly name: string
  policy: 'ACCEPT' | 'DROP' | undefined
  counters: Counters
  readonly rules: RuleSpec[]
}

/** The table between `*NAME` and COMMIT. */
export interface OpenTable {
  readonly name: TableName
  readonly word: Word
  readonly chains: Map<string, OpenChain>
  /** There is no such table: its lines are passed over, for one mistake is enough. */
  readonly lost?: true
}

/** A text that is being read. */
export interface Parse {
  readonly family: 4 | 6
  readonly options: ParseOptions
  readonly report: ReportProblem
  readonly tables: TableSpec[]
  open: OpenTable | undefined
}

function missingChain(parse: Parse, table: OpenTable, word: Word): undefined {
  const hint = didYouMean(word.text, table.chains.keys()) ?? `declare it with \`:${word.text} - [0:0]\``
  return parse.report(word, `table \`${table.name}\` has no chain \`${word.text}\``, hint) as undefined
}

/** Whether a chain is one of the table's own. */
export function isBuiltIn(table: OpenTable, chain: string): boolean {
  return (builtInChains[table.name] as readonly string[]).includes(chain)
}

/** `-A CHAIN ...` and `-I CHAIN [NUMBER] ...`. */
export function addRule(parse: Parse, table: OpenTable, words: readonly Word[], counters: Counters): void {
  const [command, name, ...rest] = words
  if (command === undefined) return
  if (name === undefined) {
    parse.report(command, `\`${command.text}\` needs the name of a chain`)
    return
  }
  const chain = table.chains.get(name.text)
  if (chain === undefined) {
    missingChain(parse, table, name)
    return
  }
  const insert = command.text === '-I' || command.text === '--insert'
  const [number] = rest
  const numbered = insert && number !== undefined && /^[0-9]+$/.test(number.text)
  const at = numbered ? Number(number.text) - 1 : 0
  if (numbered && (at < 0 || at > chain.rules.length)) {
    const places = chain.rules.length === 0 ? 'place 1 alone' : `places 1 to ${chain.rules.length + 1}`
    parse.report(
      number,
      `a rule cannot be inserted at ${number.text}`,
      `chain \`${chain.name}\` has ${places}`,
    )
    return
  }
  const { family } = parse
  const report = (place: Word, message: string, hint?: string): undefined => {
    parse.report(place, message, hint)
    return undefined
  }
  const scope = {
    family,
    table: table.name,
    chain: name.text,
    protocol: -1,
    onlySyn: false,
    report: report as never,
  }
  const rule = parseRule(numbered ? rest.slice(1) : rest, scope, command.line, counters)
  if (rule === undefined) return
  if (parse.options.purpose === 'del') deleteRule(parse, chain, rule, name)
  else if (insert) chain.rules.splice(at, 0, rule)
  else chain.rules.push(rule)
}

/** The first rule of the chain that prints the same. */
function deleteRule(parse: Parse, chain: OpenChain, wanted: RuleSpec, place: Word): void {
  const text = printRule(chain.name, wanted)
  const at = chain.rules.findIndex((rule) => printRule(chain.name, rule) === text)
  if (at === -1) parse.report(place, `chain \`${chain.name}\` has no such rule`)
  else chain.rules.splice(at, 1)
}

/** `-D CHAIN NUMBER`, `-D CHAIN RULE` and `-R CHAIN NUMBER RULE`. */
export function changeRule(parse: Parse, table: OpenTable, words: readonly Word[], counters: Counters): void {
  const [command, name, number, ...rest] = words
  if (command === undefined) return
  const chain = name && table.chains.get(name.text)
  if (name === undefined || chain === undefined) {
    if (name === undefined) parse.report(command, `\`${command.text}\` needs the name of a chain`)
    else missingChain(parse, table, name)
    return
  }
  const removes = command.text === '-D' || command.text === '--delete'
  const numbered = number !== undefined && /^[0-9]+$/.test(number.text)
  if (removes && !numbered) {
    addRule({ ...parse, options: { ...parse.options, purpose: 'del' } }, table, words, counters)
    return
  }
  const at = Number(number?.text) - 1
  if (number === undefined || !numbered || at < 0 || at >= chain.rules.length) {
    parse.report(number ?? name, `chain \`${chain.name}\` has ${chain.rules.length} rules`)
  } else if (removes) chain.rules.splice(at, 1)
  else {
    const made: OpenChain = { ...chain, rules: [] }
    const scratch: OpenTable = { ...table, chains: new Map(table.chains).set(chain.name, made) }
    addRule(parse, scratch, [command, name, ...rest], counters)
    chain.rules.splice(at, 1, ...made.rules)
  }
}

/** `-X CHAIN`: a chain of one's own that is empty and that no rule jumps to. */
export function deleteChain(parse: Parse, table: OpenTable, command: Word, name: Word | undefined): void {
  if (name === undefined) {
    parse.report(command, `\`${command.text}\` needs the name of a chain`)
    return
  }
  const chain = table.chains.get(name.text)
  const jumps = [...table.chains.values()].some(({ rules }) =>
    rules.some(({ target }) => target.kind === 'chain' && target.chain === name.text),
  )
  if (chain === undefined) missingChain(parse, table, name)
  else if (isBuiltIn(table, name.text)) parse.report(name, 'a built-in chain stays')
  else if (chain.rules.length > 0)
    parse.report(name, 'the chain has rules', `flush it with \`-F ${name.text}\``)
  else if (jumps) parse.report(name, 'a rule jumps to this chain')
  else table.chains.delete(name.text)
}
