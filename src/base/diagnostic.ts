// A person's mistake as data. Nobody formats, nobody throws; all mistakes of a stage come at once.
import type { Span } from './text.ts'

export type Severity = 'error' | 'warning'

/** Another place that helps to understand the mistake, or a remark without a place. */
export interface Note {
  readonly message: string
  readonly span?: Span
}

/** A change that repairs the mistake when pasted over the span. */
export interface Fix {
  readonly span: Span
  readonly text: string
}

/**
 * One mistake. `code` is stable (`S107`) and has a page in `scn explain`; `message` is one lower-case sentence with
 * names in backticks; `hint` stands behind the caret (`did you mean ...?`).
 */
export interface Diagnostic {
  readonly code: string
  readonly severity: Severity
  readonly span: Span
  readonly message: string
  readonly hint?: string
  readonly notes?: readonly Note[]
  readonly fix?: Fix
}

/** Where a stage puts the mistakes it finds. */
export type Report = (diagnostic: Diagnostic) => void

/** A value, or the reasons why there is none. Warnings may stand beside a value. */
export type Checked<T> =
  | { readonly ok: true; readonly value: T; readonly diagnostics: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] }
