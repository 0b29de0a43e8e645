// Every variable has a value: a column, a `let`, a `repeat` or a `capture` of its scenario. A variable of the topology
// needs one in every scenario, because every scenario has that topology.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { Scenario, VariablePart, Word } from '../../syntax/ast.ts'
import { mistake, warning } from '../diagnose.ts'
import { itemsOf, tableOf } from '../resolve/cases.ts'
import { variablesIn } from '../words/fill.ts'
import type { Linked } from '../world/link.ts'

/** Unknown variables, and `let`s that nobody reads. */
export function variablesAreKnown({ scenarios, topology, programs }: Linked, report: Report): void {
  const outside = [...variablesIn(topology), ...variablesIn(programs.map((each) => each.syntax))]
  for (const scenario of scenarios) {
    const names = namesOf(scenario)
    for (const part of outside) {
      if (names.fixed.has(part.name)) continue
      unknown(part, names.fixed, report, {
        message: `scenario \`${scenario.name.text}\` gives it no value`,
        span: scenario.name.span,
      })
    }
    judge(scenario, names, outside, report)
  }
  if (scenarios.length > 0) return
  for (const part of outside)
    unknown(part, new Set(), report, { message: 'the file has no scenario with a table' })
}

interface Names {
  /** Known before the first step: columns and lets. */
  readonly fixed: ReadonlySet<string>
  readonly lets: readonly Word[]
  readonly captures: readonly string[]
}

function namesOf(scenario: Scenario): Names {
  const items = itemsOf(scenario).map(({ item }) => item)
  const lets = items.flatMap((item) => (item.kind === 'let' ? [item.name] : []))
  const columns = (tableOf(scenario)?.columns ?? []).map((column) => column.text)
  const captures = items.flatMap((item) =>
    item.kind === 'expect'
      ? item.lines.flatMap((line) =>
          line.claims.flatMap((claim) => (claim.kind === 'capture' ? [claim.variable.text] : [])),
        )
      : [],
  )
  return { fixed: new Set([...columns, ...lets.map((word) => word.text)]), lets, captures }
}

function judge(scenario: Scenario, names: Names, outside: readonly VariablePart[], report: Report): void {
  const used = new Set(outside.map((part) => part.name))
  const title = scenario.title === null ? [] : variablesIn(scenario.title)
  for (const part of title) {
    used.add(part.name)
    if (!names.fixed.has(part.name)) unknown(part, names.fixed, report)
  }
  const known = new Set([...names.fixed, ...names.captures])
  for (const { item } of itemsOf(scenario)) {
    const own = item.kind === 'repeat' ? new Set([...known, item.variable.text]) : known
    for (const part of variablesIn(item)) {
      used.add(part.name)
      if (!own.has(part.name)) unknown(part, own, report)
    }
  }
  for (const word of names.lets) {
    if (used.has(word.text)) continue
    report(warning('S116', word.span, `nothing uses \`$${word.text}\``, { hint: 'remove it' }))
  }
}

function unknown(
  part: VariablePart,
  known: ReadonlySet<string>,
  report: Report,
  note?: { readonly message: string; readonly span?: Scenario['span'] },
): void {
  report(
    mistake('S115', part.span, `no variable is called \`$${part.name}\``, {
      hint:
        didYouMean(part.name, known)?.replace('`', '`$') ?? 'a column of the table, or `let $NAME = VALUE`',
      ...(note === undefined ? {} : { notes: [note] }),
    }),
  )
}
