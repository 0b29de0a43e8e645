// How the checks say what is wrong. A mistake in a value that came from a case table stands under the cell; the line that
// uses the cell is a note.
import type { Diagnostic, Fix, Note, Report } from '../base/diagnostic.ts'
import type { Span } from '../base/text.ts'
import type { Word } from '../syntax/ast.ts'
import type { Code } from './codes.ts'
import { cellOf } from './words/fill.ts'

export interface Extra {
  readonly hint?: string | undefined
  readonly notes?: readonly Note[]
  readonly fix?: Fix
}

/** A diagnostic about some words of the file. */
export function mistake(code: Code, span: Span, message: string, extra: Extra = {}): Diagnostic {
  return {
    code,
    severity: 'error',
    span,
    message,
    ...(extra.hint === undefined ? {} : { hint: extra.hint }),
    ...(extra.notes === undefined || extra.notes.length === 0 ? {} : { notes: extra.notes }),
    ...(extra.fix === undefined ? {} : { fix: extra.fix }),
  }
}

/** The same as a warning: the file can be used. */
export function warning(code: Code, span: Span, message: string, extra: Extra = {}): Diagnostic {
  return { ...mistake(code, span, message, extra), severity: 'warning' }
}

/** A diagnostic about a word's value: under the cell that the value came from, or under the word. */
export function mistakeIn(code: Code, word: Word, message: string, extra: Extra = {}): Diagnostic {
  const cell = cellOf(word)
  if (cell === undefined) return mistake(code, word.span, message, extra)
  return mistake(code, cell, message, {
    ...extra,
    notes: [...(extra.notes ?? []), { message: 'used here', span: word.span }],
  })
}

/**
 * A report that passes each mistake on once. The same line is read in every case of a table, and in every scenario that
 * shares a topology.
 */
export function once(report: Report): Report {
  const seen = new Set<string>()
  return (diagnostic) => {
    const { code, span, message } = diagnostic
    const key = `${code} ${span.source.name} ${span.start} ${span.end} ${message}`
    if (seen.has(key)) return
    seen.add(key)
    report(diagnostic)
  }
}
