// Constructs whose engine does not exist yet. They are read, and say so at the place where they stand; what merely
// depends on them stays silent.
import type { Report } from '../../base/diagnostic.ts'
import type { Span } from '../../base/text.ts'
import type { Option } from '../../syntax/ast.ts'
import { warning } from '../diagnose.ts'

/** Says that a construct is not available yet. */
export function notYet(span: Span, what: string, report: Report): void {
  report(
    warning('S190', span, `${what} is not available yet`, {
      hint: 'it is checked, but the file cannot be run',
    }),
  )
}

/** Says of every option in a list that it is not available yet. */
export function optionsNotYet<Name extends string>(
  options: readonly Option<Name>[],
  names: readonly Name[],
  report: Report,
): void {
  for (const option of options)
    if (names.includes(option.name)) notYet(option.span, `\`${option.name}\``, report)
}

/** From the start of a statement to the end of its last naming word. */
export function headSpan(statement: Span, last: Span): Span {
  return { source: statement.source, start: statement.start, end: last.end }
}
