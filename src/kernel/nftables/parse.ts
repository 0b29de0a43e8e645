// The text of `nft -f` as a rule set: what `nft list ruleset` prints (blocks), and commands (`add rule ip t c ...`), as
// kube-proxy writes them. What leaves is the checked set, or every mistake in it with its line and column. Read nft(8).
import { didYouMean } from '../../base/closest.ts'
import type { ReportProblem, RulesetProblem } from '../netfilter/words.ts'
import { checkTables } from './check.ts'
import { attempt, Cursor, eachStatement, Mistake } from './cursor.ts'
import { readElements } from './elements.ts'
import { numberParts, readHandle, readPlace } from './handles.ts'
import { readChainLine, readRule } from './parse-chain.ts'
import { addElements, readSet } from './parse-set.ts'
import type { TableScope } from './relation.ts'
import { readDelete, readFlushOf } from './remove.ts'
import { type ChainSpec, Ruleset, type SetSpec, type TableFamily, type TableSpec } from './ruleset.ts'
import { readCounterStart } from './statement.ts'
import { tokensOf } from './tokens.ts'

export type ParsedNft =
  | { readonly ok: true; readonly ruleset: Ruleset }
  | { readonly ok: false; readonly problems: readonly RulesetProblem[] }

function scopeOf(table: TableSpec): TableScope {
  return {
    family: table.family === 'ip' ? 4 : table.family === 'ip6' ? 6 : 'inet',
    set: (name) => table.sets.get(name),
    counter: (name) => table.counters.has(name),
  }
}

function openTable(ruleset: Ruleset, family: TableFamily, name: string): TableSpec {
  const key = `${family} ${name}`
  const known = ruleset.get(key)
  if (known !== undefined) return known
  ruleset.tableHandles += 1
  const table: TableSpec = {
    family,
    name,
    handle: ruleset.tableHandles,
    handles: 0,
    comment: undefined,
    counters: new Map(),
    sets: new Map(),
    chains: new Map(),
  }
  ruleset.set(key, table)
  return table
}

function openChain(table: TableSpec, name: string): ChainSpec {
  const chain: ChainSpec = table.chains.get(name) ?? {
    name,
    handle: 0,
    base: undefined,
    comment: undefined,
    rules: [],
  }
  table.chains.set(name, chain)
  return chain
}

/** `[ip|ip6|inet]`, ip without a word. */
function readFamily(cursor: Cursor): TableFamily {
  if (cursor.isAny('ip', 'ip6', 'inet')) return cursor.take().text as TableFamily
  if (cursor.isAny('arp', 'bridge', 'netdev'))
    return cursor.fail(`tables of family ${cursor.token.text} are not modelled`)
  return 'ip'
}

function readChainBlock(cursor: Cursor, table: TableSpec, chain: ChainSpec): void {
  cursor.expect('{')
  eachStatement(cursor, () => readChainLine(cursor, chain, scopeOf(table)))
  cursor.expect('}')
}

function declareSet(cursor: Cursor, table: TableSpec, kind: 'set' | 'map'): void {
  const token = cursor.identifier(kind)
  const set = readSet(cursor, kind, token.text)
  if (table.sets.has(token.text))
    throw new Mistake(token, `the table has a set or map \`${token.text}\` already`)
  table.sets.set(token.text, set)
}

function declareCounter(cursor: Cursor, table: TableSpec): void {
  const name = cursor.identifier('counter').text
  let comment: string | undefined
  let start = { packets: 0, bytes: 0 }
  if (cursor.accept('{')) {
    eachStatement(cursor, () => {
      if (cursor.accept('comment')) comment = cursor.string('a comment').text
      else if (cursor.is('packets')) start = readCounterStart(cursor)
      else cursor.fail(`a counter has no ${cursor.found()}`)
    })
    cursor.expect('}')
  }
  table.counters.set(name, { name, handle: 0, comment, start })
}

const tableWords = ['set', 'map', 'chain', 'counter', 'comment']

/** The lines of a table: sets first, for rules may name those that stand below them. */
function readTableLine(cursor: Cursor, table: TableSpec, later: (() => void)[]): void {
  const token = cursor.name('part of a table')
  switch (token.text) {
    case 'comment':
      table.comment = cursor.string('a comment').text
      return
    case 'set':
    case 'map':
      declareSet(cursor, table, token.text)
      return
    case 'counter':
      declareCounter(cursor, table)
      return
    case 'chain': {
      const chain = openChain(table, cursor.identifier('chain').text)
      const { position } = cursor
      cursor.skipBlock()
      later.push(() => {
        const end = cursor.position
        cursor.seek(position)
        readChainBlock(cursor, table, chain)
        cursor.seek(end)
      })
      return
    }
    default:
      throw new Mistake(
        token,
        `\`${token.text}\` of a table is not modelled`,
        didYouMean(token.text, tableWords),
      )
  }
}

function readTable(cursor: Cursor, ruleset: Ruleset): void {
  const family = readFamily(cursor)
  const name = cursor.identifier('table')
  if (cursor.token.kind === 'word')
    throw new Mistake(name, `there is no family \`${name.text}\``, 'ip, ip6 or inet')
  const table = openTable(ruleset, family, name.text)
  if (!cursor.accept('{')) return
  const later: (() => void)[] = []
  eachStatement(cursor, () => readTableLine(cursor, table, later))
  for (const read of later) attempt(cursor, read)
  cursor.expect('}')
}

/** The table that a command names; it must exist. */
function namedTable(cursor: Cursor, ruleset: Ruleset): TableSpec {
  const family = readFamily(cursor)
  const token = cursor.identifier('table')
  const table = ruleset.get(`${family} ${token.text}`)
  if (table !== undefined) return table
  throw new Mistake(token, `there is no table \`${family} ${token.text}\``)
}

function namedChain(cursor: Cursor, table: TableSpec): ChainSpec {
  const token = cursor.identifier('chain')
  const chain = table.chains.get(token.text)
  if (chain !== undefined) return chain
  const hint = didYouMean(token.text, table.chains.keys())
  throw new Mistake(token, `table \`${table.name}\` has no chain \`${token.text}\``, hint)
}

function addElementsOf(cursor: Cursor, table: TableSpec): void {
  const token = cursor.identifier('set')
  const set: SetSpec | undefined = table.sets.get(token.text)
  if (set === undefined)
    throw new Mistake(token, `table \`${table.name}\` has no set or map \`${token.text}\``)
  addElements(set, readElements(cursor, set))
}

const addWords = ['table', 'chain', 'rule', 'set', 'map', 'element', 'counter']

/** `add rule ip t c ...` and the like. */
function readAdd(cursor: Cursor, ruleset: Ruleset, first: boolean): void {
  const what = cursor.name('thing to add')
  if (what.text === 'table') {
    readTable(cursor, ruleset)
    return
  }
  if (!addWords.includes(what.text))
    throw new Mistake(what, `\`${what.text}\` cannot be added`, didYouMean(what.text, addWords))
  const table = namedTable(cursor, ruleset)
  switch (what.text) {
    case 'chain': {
      const chain = openChain(table, cursor.identifier('chain').text)
      if (cursor.is('{')) readChainBlock(cursor, table, chain)
      return
    }
    case 'rule': {
      const chain = namedChain(cursor, table)
      const beside = readPlace(cursor, chain)
      const rule = readRule(cursor, scopeOf(table))
      const at = first ? (beside ?? 0) : beside === undefined ? chain.rules.length : beside + 1
      chain.rules.splice(at, 0, rule)
      return
    }
    case 'element':
      addElementsOf(cursor, table)
      return
    case 'counter':
      declareCounter(cursor, table)
      return
    default:
      declareSet(cursor, table, what.text === 'map' ? 'map' : 'set')
  }
}

function readFlush(cursor: Cursor, ruleset: Ruleset): void {
  const what = cursor.name('thing to flush')
  if (what.text === 'ruleset') ruleset.clear()
  else readFlushOf(cursor, what, namedTable(cursor, ruleset))
}

function readDeletion(cursor: Cursor, ruleset: Ruleset): void {
  const what = cursor.name('thing to delete')
  const table = namedTable(cursor, ruleset)
  if (what.text === 'table') ruleset.delete(`${table.family} ${table.name}`)
  else readDelete(cursor, what, table)
}

/** `replace rule TABLE CHAIN handle N STATEMENTS`: the new rule has the handle of the old one. */
function readReplacement(cursor: Cursor, ruleset: Ruleset): void {
  cursor.expect('rule')
  const table = namedTable(cursor, ruleset)
  const chain = namedChain(cursor, table)
  const at = readHandle(cursor, chain)
  const rule = readRule(cursor, scopeOf(table))
  table.handles += rule.statements.reduce((sum, { sets }) => sum + sets, 0)
  rule.handle = chain.rules[at]?.handle ?? 0
  chain.rules[at] = rule
}

const commands = ['table', 'add', 'create', 'insert', 'replace', 'flush', 'delete']

function readCommand(cursor: Cursor, ruleset: Ruleset): void {
  const token = cursor.name('command')
  switch (token.text) {
    case 'table':
      readTable(cursor, ruleset)
      return
    case 'add':
    case 'create':
    case 'insert':
      readAdd(cursor, ruleset, token.text === 'insert')
      return
    case 'flush':
      readFlush(cursor, ruleset)
      return
    case 'replace':
      readReplacement(cursor, ruleset)
      return
    case 'delete':
      readDeletion(cursor, ruleset)
      return
    default:
      throw new Mistake(
        token,
        `\`${token.text}\` begins no command of nft that is modelled`,
        didYouMean(token.text, commands),
      )
  }
}

/**
 * Parses what `nft -f` takes. All mistakes come at once, in the order of the text. `ruleset` is what is there already, and is
 * added to.
 */
export function parseNft(text: string, ruleset: Ruleset = new Ruleset()): ParsedNft {
  const problems: RulesetProblem[] = []
  const report: ReportProblem = ({ line, column, length }, message, hint) => {
    problems.push({ line, column, length, message, ...(hint === undefined ? {} : { hint }) })
  }
  const cursor = new Cursor(tokensOf(text, report), report)
  while (!cursor.finished) {
    eachStatement(cursor, () => {
      readCommand(cursor, ruleset)
      for (const table of ruleset.values()) numberParts(table)
    })
    if (cursor.is('}')) report(cursor.take(), 'this `}` closes nothing')
  }
  if (problems.length === 0) checkTables(ruleset, report)
  problems.sort((left, right) => left.line - right.line || left.column - right.column)
  return problems.length === 0 ? { ok: true, ruleset } : { ok: false, problems }
}
