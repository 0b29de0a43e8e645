// What goes from a rule set: `delete` and `flush` of nft. And a copy to try it on.
import { didYouMean } from '../../base/closest.ts'
import { type Cursor, Mistake } from './cursor.ts'
import { readElements } from './elements.ts'
import { readHandle } from './handles.ts'
import { type ChainSpec, type ElementSpec, Ruleset, type SetSpec, type TableSpec } from './ruleset.ts'
import type { Token } from './tokens.ts'

function copySet(set: SetSpec): SetSpec {
  return { ...set, elements: [...set.elements] }
}

function copyChain(chain: ChainSpec): ChainSpec {
  return { ...chain, rules: [...chain.rules] }
}

/** A copy whose tables, chains and sets can be changed; rules and elements are the same objects. */
export function copyRuleset(ruleset: Ruleset): Ruleset {
  const copy = new Ruleset()
  copy.tableHandles = ruleset.tableHandles
  for (const [key, table] of ruleset) {
    copy.set(key, {
      ...table,
      counters: new Map(table.counters),
      sets: new Map([...table.sets].map(([name, set]) => [name, copySet(set)])),
      chains: new Map([...table.chains].map(([name, chain]) => [name, copyChain(chain)])),
    })
  }
  return copy
}

/** Whether two elements have the same key. */
export function sameKey(left: ElementSpec, right: ElementSpec): boolean {
  return left.key.every((span, index) => span.text === right.key[index]?.text)
}

function find<T>(known: ReadonlyMap<string, T>, token: Token, what: string): T {
  const found = known.get(token.text)
  if (found !== undefined) return found
  throw new Mistake(token, `there is no ${what} \`${token.text}\``, didYouMean(token.text, known.keys()))
}

function jumpsTo(table: TableSpec, name: string): boolean {
  const rules = [...table.chains.values()].flatMap((chain: ChainSpec) => chain.rules)
  const verdicts = rules.flatMap(({ statements }) => statements.flatMap((statement) => statement.verdicts()))
  const elements = [...table.sets.values()].flatMap((set) =>
    set.elements.flatMap(({ verdict }) => verdict ?? []),
  )
  return [...verdicts, ...elements].some((verdict) => 'chain' in verdict && verdict.chain === name)
}

function deleteElements(cursor: Cursor, set: SetSpec): void {
  // the keys may stand there without their values
  for (const gone of readElements(cursor, { types: set.types, data: undefined })) {
    const at = set.elements.findIndex((element) => sameKey(element, gone))
    if (at === -1)
      throw new Mistake(gone.place, `\`@${set.name}\` has no such element that the rule set gave it`)
    set.elements.splice(at, 1)
  }
}

/** `delete chain|set|map|element|counter TABLE ...`, `delete rule TABLE CHAIN handle N`. */
export function readDelete(cursor: Cursor, what: Token, table: TableSpec): void {
  const token = cursor.identifier(what.text)
  switch (what.text) {
    case 'chain':
      find(table.chains, token, 'chain')
      if (jumpsTo(table, token.text))
        throw new Mistake(token, `something still leads to chain \`${token.text}\``)
      table.chains.delete(token.text)
      return
    case 'rule': {
      const chain = find(table.chains, token, 'chain')
      chain.rules.splice(readHandle(cursor, chain), 1)
      return
    }
    case 'set':
    case 'map':
      find(table.sets, token, what.text)
      table.sets.delete(token.text)
      return
    case 'element':
      deleteElements(cursor, find(table.sets, token, 'set or map'))
      return
    case 'counter':
      find(table.counters, token, 'counter')
      table.counters.delete(token.text)
      return
    default:
      throw new Mistake(what, `deleting a ${what.text} is not modelled`)
  }
}

/** `flush table|chain|set|map ...`. */
export function readFlushOf(cursor: Cursor, what: Token, table: TableSpec): void {
  if (what.text === 'table') {
    for (const chain of table.chains.values()) chain.rules.length = 0
    return
  }
  const token = cursor.identifier(what.text)
  if (what.text === 'chain') find(table.chains, token, 'chain').rules.length = 0
  else if (what.text === 'set' || what.text === 'map') {
    const set = find(table.sets, token, what.text)
    set.elements.length = 0
    set.flushed += 1
  } else throw new Mistake(what, `flushing a ${what.text} is not modelled`)
}
