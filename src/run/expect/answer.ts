// What the evaluation of a claim answers: it holds, or what was found instead.
import type { Span } from '../../base/text.ts'
import type { Given } from '../../model/model.ts'
import type { Evidence } from '../verdict.ts'

/** A claim that does not hold: what was expected, what was there, and where the carets belong. */
export interface Miss {
  /** The words that are wrong, and the cell they came from. */
  readonly span: Span
  readonly cell?: Span
  readonly message: string
  readonly evidence?: Evidence
}

/** `undefined` when the claim holds. */
export type Answer = Miss | undefined

/** A miss at a given value: the caret stands under the cell, or under the words themselves. */
export function missAt(given: Given<unknown>, message: string, evidence?: Evidence): Miss {
  return {
    span: given.span,
    ...(given.cell === undefined ? {} : { cell: given.cell }),
    message,
    ...(evidence === undefined ? {} : { evidence }),
  }
}

/** A miss at a span. */
export function missHere(span: Span, message: string, evidence?: Evidence): Miss {
  return evidence === undefined ? { span, message } : { span, message, evidence }
}

/** `expected A, actual B`. */
export function expectedActual(expected: string, actual: string): string {
  return `expected ${expected}, actual ${actual}`
}
