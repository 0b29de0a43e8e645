// The text of iptables-save as a rule set. What enters is the whole text; what leaves is the checked set, or every mistake
// in it with its line and column. Before changing this file, read iptables-restore(8).
import { didYouMean } from '../../base/closest.ts'
import { checkRuleset } from './check.ts'
import { orderChains } from './order.ts'
import { parseRule } from './parse-rule.ts'
import {
  builtInChains,
  type ChainSpec,
  type Counters,
  type RuleSpec,
  type Ruleset,
  type TableName,
  type TableSpec,
  tableNames,
} from './ruleset.ts'
import type { KnownSets } from './set/set-table.ts'
import { type ReportProblem, type RulesetProblem, type Word, wordsOf } from './words.ts'

export type ParsedRuleset =
  | { readonly ok: true; readonly ruleset: Ruleset }
  | { readonly ok: false; readonly problems: readonly RulesetProblem[] }

interface OpenChain {
  readonly name: string
  policy: 'ACCEPT' | 'DROP' | undefined
  counters: Counters
  readonly rules: RuleSpec[]
}

interface OpenTable {
  readonly name: TableName
  readonly word: Word
  readonly chains: Map<string, OpenChain>
}

interface Parse {
  readonly family: 4 | 6
  readonly report: ReportProblem
  readonly tables: TableSpec[]
  open: OpenTable | undefined
}

const zero = { packets: 0, bytes: 0 }
/** XT_EXTENSION_MAXNAMELEN less the closing zero. */
const chainNameMax = 28

function isTableName(text: string): text is TableName {
  return (tableNames as readonly string[]).includes(text)
}

function openTable(parse: Parse, word: Word): void {
  const name = word.text.slice(1)
  if (parse.open !== undefined) parse.report(word, `table \`${parse.open.name}\` is not closed with COMMIT`)
  if (!isTableName(name)) {
    const hint = didYouMean(name, tableNames) ?? `one of ${tableNames.join(', ')}`
    parse.report(word, `there is no table \`${name}\``, hint)
    parse.open = { name: 'filter', word, chains: new Map() }
    return
  }
  const chains = new Map<string, OpenChain>()
  for (const chain of builtInChains[name]) {
    chains.set(chain, { name: chain, policy: 'ACCEPT', counters: { ...zero }, rules: [] })
  }
  parse.open = { name, word, chains }
}

function closeTable(parse: Parse, table: OpenTable): void {
  const chains = new Map<string, ChainSpec>()
  for (const name of orderChains(table.name, table.chains.keys())) {
    const chain = table.chains.get(name)
    if (chain !== undefined) chains.set(name, chain)
  }
  parse.tables.push({ name: table.name, chains })
  parse.open = undefined
}

function readCounters(parse: Parse, word: Word | undefined): Counters {
  if (word === undefined) return { ...zero }
  const found = /^\[(\d+):(\d+)\]$/.exec(word.text)
  if (found === null) {
    parse.report(word, 'counters are written `[packets:bytes]`')
    return { ...zero }
  }
  return { packets: Number(found[1]), bytes: Number(found[2]) }
}

function isBuiltIn(table: OpenTable, chain: string): boolean {
  return (builtInChains[table.name] as readonly string[]).includes(chain)
}

/** `:CHAIN POLICY [0:0]` and `-P CHAIN POLICY`. */
function declareChain(parse: Parse, table: OpenTable, words: readonly Word[], name: string): void {
  const [first, policy, counters] = words
  if (first === undefined) return
  const chain = table.chains.get(name) ?? { name, policy: undefined, counters: { ...zero }, rules: [] }
  if (name.length === 0 || name.length > chainNameMax) {
    parse.report(first, `a chain's name has 1 to ${chainNameMax} characters`)
    return
  }
  table.chains.set(name, chain)
  chain.counters = readCounters(parse, counters)
  const word = policy?.text ?? '-'
  if (!isBuiltIn(table, name)) {
    if (word !== '-' && policy !== undefined)
      parse.report(policy, 'only built-in chains have a policy; write `-`')
  } else if (word === 'ACCEPT' || word === 'DROP') {
    chain.policy = word
  } else if (word !== '-' && policy !== undefined) {
    parse.report(policy, `the policy of a chain is ACCEPT or DROP, not \`${word}\``)
  }
}

function missingChain(parse: Parse, table: OpenTable, word: Word): undefined {
  const hint = didYouMean(word.text, table.chains.keys()) ?? `declare it with \`:${word.text} - [0:0]\``
  return parse.report(word, `table \`${table.name}\` has no chain \`${word.text}\``, hint) as undefined
}

/** `-A CHAIN ...` and `-I CHAIN [NUMBER] ...`. */
function addRule(parse: Parse, table: OpenTable, words: readonly Word[], counters: Counters): void {
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
  const numbered = insert && /^[0-9]+$/.test(rest[0]?.text ?? '')
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
  if (insert) chain.rules.splice(numbered ? Number(rest[0]?.text) - 1 : 0, 0, rule)
  else chain.rules.push(rule)
}

function readCommand(parse: Parse, table: OpenTable, words: readonly Word[], counters: Counters): void {
  const [command, name] = words
  if (command === undefined) return
  switch (command.text) {
    case '-A':
    case '--append':
    case '-I':
    case '--insert':
      addRule(parse, table, words, counters)
      return
    case '-N':
    case '--new-chain':
      declareChain(parse, table, words.slice(1, 2), name?.text ?? '')
      return
    case '-P':
    case '--policy':
      declareChain(parse, table, words.slice(1, 3), name?.text ?? '')
      return
    case '-F':
    case '--flush':
      for (const chain of table.chains.values()) {
        if (name === undefined || chain.name === name.text) chain.rules.length = 0
      }
      return
    default: {
      const hint = didYouMean(command.text, ['-A', '-I', '-N', '-P', '-F', 'COMMIT'])
      parse.report(command, `\`${command.text}\` is no line of an iptables-save text`, hint)
    }
  }
}

function readLine(parse: Parse, words: readonly Word[]): void {
  const [first] = words
  if (first === undefined || first.text.startsWith('#')) return
  if (first.text.startsWith('*')) {
    openTable(parse, first)
    return
  }
  const { open } = parse
  if (open === undefined) {
    parse.report(first, 'a rule set begins with the name of a table, as `*filter`')
    // one mistake is enough: what follows is read as if it stood in a table
    openTable({ ...parse, report: () => undefined }, { ...first, text: '*filter' })
    parse.open = { name: 'filter', word: first, chains: new Map() }
    return
  }
  if (first.text === 'COMMIT') {
    closeTable(parse, open)
    return
  }
  if (first.text.startsWith(':')) {
    declareChain(parse, open, words, first.text.slice(1))
    return
  }
  const counted = first.text.startsWith('[')
  readCommand(
    parse,
    open,
    counted ? words.slice(1) : words,
    counted ? readCounters(parse, first) : { ...zero },
  )
}

/**
 * Parses what `iptables-save` or `ip6tables-save` print (and `iptables-restore` takes). All mistakes come at once, in the
 * order of the text; `sets` are the ipsets that exist, for the rules that name one.
 */
export function parseRuleset(
  text: string,
  family: 4 | 6,
  options: { readonly sets?: KnownSets } = {},
): ParsedRuleset {
  const problems: RulesetProblem[] = []
  const report: ReportProblem = ({ line, column, length }, message, hint) => {
    problems.push({ line, column, length, message, ...(hint === undefined ? {} : { hint }) })
  }
  const parse: Parse = { family, report, tables: [], open: undefined }
  text.split('\n').forEach((line, index) => {
    if (line.trimStart().startsWith('#')) return
    readLine(parse, wordsOf(line, index + 1, report))
  })
  if (parse.open !== undefined) {
    report(parse.open.word, `table \`${parse.open.name}\` is not closed with COMMIT`)
  }
  const ruleset: Ruleset = { family, tables: parse.tables }
  if (problems.length === 0) checkRuleset(ruleset, options.sets ?? new Map(), report)
  problems.sort((left, right) => left.line - right.line || left.column - right.column)
  return problems.length === 0 ? { ok: true, ruleset } : { ok: false, problems }
}
