// A case table: `id` comes first, every row has a cell for every column, ids differ, and every column is used.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { Cases, Row, Scenario } from '../../syntax/ast.ts'
import { mistake } from '../diagnose.ts'
import { variablesIn } from '../words/fill.ts'
import type { Linked } from '../world/link.ts'

/** Every table of every scenario. */
export function caseTables({ scenarios, topology, programs }: Linked, report: Report): void {
  const shared = [topology, programs.map((each) => each.syntax)].flatMap((node) => variablesIn(node))
  const outside = new Set(shared.map((part) => part.name))
  for (const scenario of scenarios) {
    const [table, second] = scenario.items.filter((item) => item.kind === 'cases')
    if (second !== undefined) {
      report(
        mistake('S102', { ...second.span, end: second.span.start + 5 }, 'a scenario has one case table', {
          hint: 'put the rows into the first one',
        }),
      )
    }
    if (table === undefined) continue
    columns(table, scenario, outside, report)
    ids(table, report)
    for (const row of table.rows) cells(row, table, report)
  }
}

function columns(table: Cases, scenario: Scenario, outside: ReadonlySet<string>, report: Report): void {
  const [first] = table.columns
  if (first !== undefined && first.text !== 'id') {
    report(
      mistake('S111', first.span, 'the first column of a table is `id`', {
        hint: `put an \`id\` in front: golden sections and guards are named by it`,
      }),
    )
  }
  const inside = variablesIn(scenario.items.filter((item) => item.kind !== 'cases'))
  const title = scenario.title === null ? [] : variablesIn(scenario.title)
  const used = new Set([...inside, ...title].map((part) => part.name))
  const seen = new Set<string>()
  for (const column of table.columns) {
    const name = column.text
    if (seen.has(name)) {
      report(
        mistake('S102', column.span, `there is already a column \`${name}\``, {
          hint: 'one of them must go',
        }),
      )
    } else if (column !== first && name !== 'id' && !used.has(name) && !outside.has(name)) {
      const near = didYouMean(
        name,
        [...used].filter((each) => !table.columns.some((one) => one.text === each)),
      )
      report(
        mistake('S114', column.span, `nothing uses the column \`${name}\``, {
          hint:
            near?.replace('`', '`$') ?? `write \`$${name}\` where its value belongs, or remove the column`,
        }),
      )
    }
    seen.add(name)
  }
}

function ids(table: Cases, report: Report): void {
  const known = new Map<string, Row>()
  for (const row of table.rows) {
    const [id] = row.cells
    if (id === undefined) continue
    const first = known.get(id.text)
    if (id.text === '' || id.text === '-') {
      report(
        mistake('S112', id.text === '' ? row.span : id.span, 'this case has no id', {
          hint: 'a short word in the first cell',
        }),
      )
    } else if (/[\s[\]|,"#$]/.test(id.text)) {
      // It names a golden section, a guard and a selector.
      const hint = `an id is one word, as in \`${id.text.replace(/[\s[\]|,"#$]+/g, '-')}\``
      report(mistake('S112', id.span, `\`${id.text}\` cannot be an id`, { hint }))
    } else if (first !== undefined) {
      const notes = [{ message: 'the first one is here', span: first.cells[0]?.span ?? first.span }]
      report(
        mistake('S112', id.span, `there is already a case \`${id.text}\``, { hint: 'ids differ', notes }),
      )
    } else known.set(id.text, row)
  }
}

function cells(row: Row, table: Cases, report: Report): void {
  const missing = table.columns.length - row.cells.length
  if (missing > 0) {
    const names = table.columns.slice(row.cells.length).map((column) => `\`${column.text}\``)
    report(
      mistake(
        'S113',
        row.span,
        `this row has ${row.cells.length} cells, the table ${table.columns.length} columns`,
        {
          hint: `no cell for ${names.join(', ')}`,
        },
      ),
    )
    return
  }
  const extra = row.cells[table.columns.length]
  if (extra !== undefined) {
    report(
      mistake(
        'S113',
        extra.span,
        `this row has ${row.cells.length} cells, the table ${table.columns.length} columns`,
        {
          hint: 'a cell that contains `|` needs quotes',
        },
      ),
    )
  }
  for (const [index, cell] of row.cells.entries()) {
    const column = table.columns[index]
    if (index === 0 || cell.text !== '' || cell.form !== 'bare' || column === undefined) continue
    report(
      mistake('S113', row.span, `the cell for \`${column.text}\` is empty`, {
        hint: '`-` says that there is nothing',
      }),
    )
  }
}
