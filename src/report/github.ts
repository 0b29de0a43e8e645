// GitHub workflow commands: each failure becomes an annotation at its line of the pull request.
import type { Diagnostic } from '../base/diagnostic.ts'
import { positionOf, type Span } from '../base/text.ts'
import type { FileVerdict } from '../run/verdict.ts'
import type { RunResult } from './totals.ts'
import { casePassed } from './totals.ts'

const data = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')

function annotation(
  kind: 'error' | 'warning',
  at: { readonly file: string; readonly line: number; readonly column: number },
  title: string,
  message: string,
): string {
  return `::${kind} file=${property(at.file)},line=${at.line},col=${at.column},title=${property(title)}::${data(message)}`
}

function atSpan(span: Span): { file: string; line: number; column: number } {
  const { line, column } = positionOf(span.source, span.start)
  return { file: span.source.name, line, column }
}

function ofDiagnostic(diagnostic: Diagnostic): string {
  const hint = diagnostic.hint === undefined ? '' : `; ${diagnostic.hint}`
  return annotation(
    diagnostic.severity,
    atSpan(diagnostic.span),
    diagnostic.code,
    `${diagnostic.message}${hint}`,
  )
}

function ofFile(file: FileVerdict, result: RunResult): string[] {
  if (file.kind === 'broken')
    return [annotation('error', { file: file.path, line: 1, column: 1 }, 'engine', file.message)]
  if (file.kind !== 'run') return file.diagnostics.map(ofDiagnostic)
  const golden = file.path.replace(/\.scn$/, '.trace')
  const lines = file.diagnostics.map(ofDiagnostic)
  for (const verdict of file.cases) {
    if (casePassed(verdict, result)) continue
    for (const { span, message } of verdict.failures)
      lines.push(annotation('error', atSpan(span), verdict.selector, message))
    if (verdict.golden.kind === 'changed') {
      const line = Math.max(1, verdict.golden.diff.differences[0]?.row ?? 1)
      lines.push(
        annotation(
          'error',
          { file: golden, line, column: 1 },
          verdict.selector,
          verdict.golden.diff.cause?.text ?? 'the golden differs',
        ),
      )
    }
    if (verdict.golden.kind === 'missing') {
      lines.push(
        annotation(
          'error',
          { file: file.path, line: 1, column: 1 },
          verdict.selector,
          'there is no golden for this case',
        ),
      )
    }
  }
  for (const { scenario, id, line } of file.obsolete) {
    const name = id === undefined ? scenario : `${scenario}[${id}]`
    lines.push(annotation('error', { file: golden, line, column: 1 }, name, 'golden section without a case'))
  }
  return lines
}

/** One workflow command a line; empty when nothing is wrong. */
export function githubReport(result: RunResult): string {
  return result.files
    .flatMap((file) => ofFile(file, result))
    .map((line) => `${line}\n`)
    .join('')
}
