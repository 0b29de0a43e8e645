// A guard `[id]` names rows of the table.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { Word } from '../../syntax/ast.ts'
import { mistake } from '../diagnose.ts'
import { tableOf } from '../resolve/cases.ts'
import type { Linked } from '../world/link.ts'

/** Guards of statements and of lines inside expectations. */
export function guardsName({ scenarios }: Linked, report: Report): void {
  for (const scenario of scenarios) {
    const ids = new Set(tableOf(scenario)?.rows.flatMap((row) => row.cells[0]?.text ?? []))
    const judge = (word: Word): void => {
      if (ids.has(word.text)) return
      const hint = ids.size === 0 ? 'this scenario has no case table' : didYouMean(word.text, ids)
      report(mistake('S117', word.span, `there is no case \`${word.text}\``, { hint }))
    }
    for (const item of scenario.items) {
      if (item.kind === 'guarded') item.cases.forEach(judge)
      const inner = item.kind === 'guarded' ? item.item : item
      if (inner.kind === 'expect') for (const line of inner.lines) line.cases.forEach(judge)
      if (inner.kind === 'invariant') inner.line.cases.forEach(judge)
    }
  }
}
