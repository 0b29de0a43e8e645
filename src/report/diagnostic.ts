// A diagnostic as text: code, place, the line as written, a caret under the exact words, one hint. Parse errors, check
// errors and failed expectations are drawn by the same hand.
//
//   error[S107]: `TC_ACT_DROP` is not a tc return code
//     --> 3-xdp-tc-codes.scn:35:28
//      |
//   35 |   tcp.dport == 22       => TC_ACT_DROP
//      |                            ^^^^^^^^^^^ did you mean `TC_ACT_SHOT`?
//      = note: XDP_DROP belongs to xdp programs; a tc program drops with TC_ACT_SHOT
//      = help: scn explain S107
import type { Diagnostic } from '../base/diagnostic.ts'
import { lineText, positionOf, type Span } from '../base/text.ts'
import { type Paint, plain } from './paint.ts'

/** Text before a column, with tabs kept so that the caret stands under the word. */
function indentTo(line: string, column: number): string {
  return line.slice(0, column - 1).replace(/[^\t]/g, ' ')
}

/** How many columns of its first line a span covers; at least one. */
function caretWidth(span: Span, line: string, column: number): number {
  return Math.max(1, Math.min(span.end - span.start, line.length - column + 1))
}

const lineMax = 160

/** Characters that would move a terminal's cursor, or have no shape, as dots. */
function printable(line: string): string {
  return line.replace(/[^\t\P{C}]/gu, (character) => '\u00b7'.repeat(character.length))
}

/** A very long line is cut around the span; answers the shown text and the column in it. */
function window(line: string, column: number): { readonly text: string; readonly column: number } {
  if (line.length <= lineMax) return { text: printable(line), column }
  const from = Math.max(0, column - 1 - lineMax / 2)
  return { text: printable(line.slice(from, from + lineMax)), column: column - from }
}

/** The source line of a span with its number, a caret under the span and a remark behind the caret. */
export function excerpt(span: Span, remark: string | undefined, paint: Paint = plain): readonly string[] {
  const { line, column } = positionOf(span.source, span.start)
  const shown = window(lineText(span.source, line), column)
  const number = String(line)
  const margin = ' '.repeat(Math.max(2, number.length))
  const carets = '^'.repeat(caretWidth(span, shown.text, shown.column))
  const tail = remark === undefined ? carets : `${carets} ${remark}`
  return [
    paint.faint(`${margin} |`),
    `${paint.faint(`${number.padStart(margin.length)} |`)} ${shown.text}`.trimEnd(),
    `${paint.faint(`${margin} |`)} ${indentTo(shown.text, shown.column)}${paint.error(tail)}`,
  ]
}

/** `file:line:col` of a span's start. */
export function placeOf(span: Span): string {
  const { line, column } = positionOf(span.source, span.start)
  return `${span.source.name}:${line}:${column}`
}

/** A diagnostic as text, without a final line end. */
export function renderDiagnostic(diagnostic: Diagnostic, paint: Paint = plain): string {
  const head = `${diagnostic.severity}[${diagnostic.code}]`
  const margin = ' '.repeat(
    Math.max(2, String(positionOf(diagnostic.span.source, diagnostic.span.start).line).length),
  )
  const lines = [
    `${diagnostic.severity === 'error' ? paint.error(head) : paint.warning(head)}: ${paint.strong(diagnostic.message)}`,
    `${margin}--> ${placeOf(diagnostic.span)}`,
  ]
  // A file that could not be read has no lines to show.
  if (diagnostic.span.source.text !== '' || diagnostic.hint !== undefined)
    lines.push(...excerpt(diagnostic.span, diagnostic.hint, paint))
  for (const note of diagnostic.notes ?? []) {
    const place = note.span === undefined ? '' : `${placeOf(note.span)}: `
    lines.push(`${margin} = note: ${place}${note.message}`)
  }
  if (diagnostic.fix !== undefined) lines.push(`${margin} = fix: write \`${diagnostic.fix.text}\``)
  lines.push(`${margin} = help: scn explain ${diagnostic.code}`)
  return lines.join('\n')
}

/** All diagnostics, in the order of their places, with an empty line between two. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], paint: Paint = plain): string {
  const ordered = diagnostics.toSorted(
    (a, b) =>
      (a.span.source.name < b.span.source.name ? -1 : a.span.source.name > b.span.source.name ? 1 : 0) ||
      a.span.start - b.span.start,
  )
  return ordered.map((each) => renderDiagnostic(each, paint)).join('\n\n')
}
