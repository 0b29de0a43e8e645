// The text of iptables-save as a rule set. What enters is the whole text; what leaves is the checked set, or every mistake
// in it with its line and column. Before changing this file, read iptables-restore(8).
import { didYouMean } from '../../base/closest.ts'
import { checkRuleset } from './check.ts'
import { orderChains } from './order.ts'
import {
  addRule,
  changeRule,
  deleteChain,
  isBuiltIn,
  type OpenChain,
  type OpenTable,
  type Parse,
  type ParseOptions,
} from './parse-change.ts'
import {
  builtInChains,
  type ChainSpec,
  type Counters,
  type Ruleset,
  type TableName,
  tableNames,
} from './ruleset.ts'
import { type ReportProblem, type RulesetProblem, type Word, wordsOf } from './words.ts'

export type ParsedRuleset =
  | { readonly ok: true; readonly ruleset: Ruleset }
  | { readonly ok: false; readonly problems: readonly RulesetProblem[] }

const zero = { packets: 0, bytes: 0 }
/** XT_EXTENSION_MAXNAMELEN less the closing zero. */
const chainNameMax = 28

function isTableName(text: string): text is TableName {
  return (tableNames as readonly string[]).includes(text)
}

function openTable(parse: Parse, word: Word): void {
  const name = word.text.slice(1)
  if (parse.open !== undefined && parse.open.lost !== true)
    parse.report(word, `table \`${parse.open.name}\` is not closed with COMMIT`)
  if (!isTableName(name)) {
    const hint = didYouMean(name, tableNames) ?? `one of ${tableNames.join(', ')}`
    parse.report(word, `there is no table \`${name}\``, hint)
    parse.open = { name: 'filter', word, chains: new Map(), lost: true }
    return
  }
  parse.open = { name, word, chains: chainsOf(parse, name) }
}

/** What a table begins with: its chains as they are, or the built-in ones without rules. */
function chainsOf({ options, tables }: Parse, name: TableName): Map<string, OpenChain> {
  const before = [...tables, ...(options.base?.tables ?? [])].find((table) => table.name === name)
  if (options.base !== undefined && before !== undefined) {
    return new Map([...before.chains].map(([key, chain]) => [key, { ...chain, rules: [...chain.rules] }]))
  }
  return new Map(
    builtInChains[name].map((chain) => [
      chain,
      { name: chain, policy: 'ACCEPT', counters: { ...zero }, rules: [] },
    ]),
  )
}

function closeTable(parse: Parse, table: OpenTable): void {
  parse.open = undefined
  if (table.lost === true) return
  const chains = new Map<string, ChainSpec>()
  for (const name of orderChains(table.name, table.chains.keys())) {
    const chain = table.chains.get(name)
    if (chain !== undefined) chains.set(name, chain)
  }
  const at = parse.tables.findIndex(({ name }) => name === table.name)
  if (parse.options.base === undefined || at === -1) parse.tables.push({ name: table.name, chains })
  else parse.tables[at] = { name: table.name, chains }
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
    // a chain that is declared again is flushed
    chain.rules.length = 0
    if (word !== '-' && policy !== undefined)
      parse.report(policy, 'only built-in chains have a policy; write `-`')
  } else if (word === 'ACCEPT' || word === 'DROP') {
    chain.policy = word
  } else if (word !== '-' && policy !== undefined) {
    parse.report(policy, `the policy of a chain is ACCEPT or DROP, not \`${word}\``)
  }
}

const changesOfRules = ['-D', '--delete', '-R', '--replace']

function readCommand(parse: Parse, table: OpenTable, words: readonly Word[], counters: Counters): void {
  const [command, name] = words
  if (command === undefined) return
  if (parse.options.purpose === 'del' && command.text !== '-A' && command.text !== '--append') {
    parse.report(
      command,
      'of a text that is deleted only the rules (`-A`) count',
      'give other lines without `del`',
    )
    return
  }
  if (changesOfRules.includes(command.text)) {
    changeRule(parse, table, words, counters)
    return
  }
  switch (command.text) {
    case '-X':
    case '--delete-chain':
      deleteChain(parse, table, command, name)
      return
    case '-A':
    case '--append':
    case '-I':
    case '--insert':
      addRule(parse, table, words, counters)
      return
    case '-N':
    case '--new-chain':
      if (name !== undefined && table.chains.has(name.text)) {
        parse.report(name, `chain \`${name.text}\` exists already`)
        return
      }
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
      const hint = didYouMean(command.text, ['-A', '-I', '-D', '-R', '-N', '-X', '-P', '-F', 'COMMIT'])
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
    parse.open = { name: 'filter', word: first, chains: new Map(), lost: true }
    return
  }
  if (first.text === 'COMMIT') {
    closeTable(parse, open)
    return
  }
  if (open.lost === true) return
  if (first.text.startsWith(':')) {
    if (parse.options.purpose === 'del') {
      parse.report(
        first,
        'of a text that is deleted only the rules (`-A`) count',
        'chains go by `-X`, without `del`',
      )
      return
    }
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
 * order of the text. The answer has the tables of the text; with a base, as they are after it.
 */
export function parseRuleset(text: string, family: 4 | 6, options: ParseOptions = {}): ParsedRuleset {
  const problems: RulesetProblem[] = []
  const report: ReportProblem = ({ line, column, length }, message, hint) => {
    problems.push({ line, column, length, message, ...(hint === undefined ? {} : { hint }) })
  }
  const parse: Parse = { family, options, report, tables: [], open: undefined }
  text.split('\n').forEach((line, index) => {
    if (line.trimStart().startsWith('#')) return
    readLine(parse, wordsOf(line, index + 1, report))
  })
  if (parse.open !== undefined && parse.open.lost !== true) {
    report(parse.open.word, `table \`${parse.open.name}\` is not closed with COMMIT`)
  }
  const ruleset: Ruleset = { family, tables: parse.tables }
  if (problems.length === 0) checkRuleset(ruleset, options.sets ?? new Map(), report)
  problems.sort((left, right) => left.line - right.line || left.column - right.column)
  return problems.length === 0 ? { ok: true, ruleset } : { ok: false, problems }
}
