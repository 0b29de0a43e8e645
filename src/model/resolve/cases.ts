// The case table: one set of values per row. Enters: a scenario; leaves: its cases, each with a lookup for variables. A
// scenario without a table has one case without an id.
import type { Span } from '../../base/text.ts'
import type { Cases, GuardableItem, Scenario, Word } from '../../syntax/ast.ts'
import { type Binding, fillWord, type Lookup } from '../words/fill.ts'

export interface CaseDraft {
  readonly id: string | undefined
  readonly span: Span
  readonly lookup: Lookup
}

/** An item of a scenario with the cases in which it stands; `undefined` for all of them. */
export interface PlainItem {
  readonly item: GuardableItem
  readonly cases: ReadonlySet<string> | undefined
}

/** The table of a scenario; a check reports a second one. */
export function tableOf(scenario: Scenario): Cases | undefined {
  return scenario.items.find((item) => item.kind === 'cases')
}

/** The items without the table, guards taken off. */
export function itemsOf(scenario: Scenario): readonly PlainItem[] {
  return scenario.items.flatMap((item): PlainItem[] => {
    if (item.kind === 'cases') return []
    if (item.kind === 'guarded') {
      return [{ item: item.item, cases: new Set(item.cases.map((word) => word.text)) }]
    }
    return [{ item, cases: undefined }]
  })
}

/** Whether something with a guard stands in a case. */
export function standsIn(cases: ReadonlySet<string> | undefined, id: string | undefined): boolean {
  return cases === undefined || (id !== undefined && cases.has(id))
}

/**
 * The cases of a scenario in the order of the table. Rows without an id count, so that their mistakes are found; those with too few
 * or too many cells do not, for nobody knows which cell is whose.
 */
export function readCases(scenario: Scenario, items: readonly PlainItem[]): readonly CaseDraft[] {
  const table = tableOf(scenario)
  const head = scenario.name.span
  if (table === undefined || table.rows.length === 0) {
    return [{ id: undefined, span: head, lookup: withLets(new Map(), items, undefined) }]
  }
  const rows = table.rows.filter(({ cells }) => cells.length === table.columns.length)
  return rows.map((row) => {
    const values = new Map<string, Binding>()
    for (const [index, column] of table.columns.entries()) {
      const cell = row.cells[index]
      if (cell !== undefined && !values.has(column.text)) values.set(column.text, bindingOf(cell))
    }
    const id = values.get('id')?.text
    return { id, span: row.span, lookup: withLets(values, items, id) }
  })
}

function bindingOf(cell: Word): Binding {
  return { text: cell.text, form: cell.form, cell: cell.span }
}

/** `let` adds values, each of which may use those before it. */
function withLets(values: Map<string, Binding>, items: readonly PlainItem[], id: string | undefined): Lookup {
  const lookup: Lookup = (name) => values.get(name)
  for (const { item, cases } of items) {
    if (item.kind !== 'let' || !standsIn(cases, id)) continue
    const word = fillWord(item.value, lookup)
    values.set(item.name.text, { text: word.text, form: word.form })
  }
  return lookup
}
