// Handles: numbers by which the rules of a table are named, and the places of rules by them. nf_tables_api.c
// nf_tables_alloc_handle(); the order within a block is that of nft's messages (nft_cmd_expand() of libnftables).
import { type Cursor, Mistake } from './cursor.ts'
import type { ChainSpec, TableSpec } from './ruleset.ts'

/** Gives handles to the parts of a table that have none: chains, counters, sets, then rules, each behind its own nameless sets. */
export function numberParts(table: TableSpec): void {
  for (const part of [...table.chains.values(), ...table.counters.values(), ...table.sets.values()]) {
    if (part.handle !== 0) continue
    table.handles += 1
    part.handle = table.handles
  }
  for (const { rules } of table.chains.values()) {
    for (const rule of rules) {
      if (rule.handle !== 0) continue
      table.handles += 1 + rule.statements.reduce((sum, { sets }) => sum + sets, 0)
      rule.handle = table.handles
    }
  }
}

/** `handle N`: the place of that rule in its chain. */
export function readHandle(cursor: Cursor, chain: ChainSpec): number {
  cursor.expect('handle')
  return readNumber(cursor, chain)
}

function readNumber(cursor: Cursor, { name, rules }: ChainSpec): number {
  const place = cursor.token
  const handle = cursor.number('a handle')
  const at = rules.findIndex((rule) => rule.handle === handle)
  if (at === -1) throw new Mistake(place, `chain \`${name}\` has no rule with handle ${handle}`)
  return at
}

/** `handle N` or `position N`: the place of the rule beside which another is to stand; undefined for none. */
export function readPlace(cursor: Cursor, chain: ChainSpec): number | undefined {
  // what nft counts as one within a text depends on its cache
  if (cursor.is('index')) cursor.fail('the place of a rule is told by its handle; `index` is not modelled')
  if (!cursor.accept('handle') && !cursor.accept('position')) return undefined
  return readNumber(cursor, chain)
}
