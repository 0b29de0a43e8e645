// What an editor offers at a place of a text. The same question as for an error message, asked of the grammar.
import type { Source } from '../base/text.ts'
import { expectedAt } from './expected.ts'
import { scan } from './scan.ts'

/** `text` replaces the offsets `start` to `end`. Kinds ("port", "name") are told, they cannot be put in. */
export interface Completions {
  readonly start: number
  readonly end: number
  readonly words: readonly string[]
  readonly kinds: readonly string[]
}

const wordPart = /[A-Za-z0-9_-]/

/** Texts that must not be parsed at all: binary, too large, nested too deep. Open braces are usual while a person types. */
const hopeless: ReadonlySet<string> = new Set(['S011', 'S012', 'S018'])

/**
 * The words that may stand at `offset`, begun with what is already there. Empty where the text before does not parse.
 * Costs one parse of the text before the offset.
 */
export function complete(source: Source, offset: number): Completions {
  const { text } = source
  let start = Math.max(0, Math.min(offset, text.length))
  const end = start
  while (start > 0 && wordPart.test(text[start - 1] ?? '')) start -= 1
  const begun = text.slice(start, end)
  if (scan(source).mistakes.some(({ code }) => hopeless.has(code)))
    return { start, end, words: [], kinds: [] }
  const { literals, kinds } = expectedAt(source, text, start)
  const words = literals.filter((word) => word.trim() !== '' && word.startsWith(begun)).toSorted()
  return { start, end, words, kinds: kinds.filter((kind) => kind !== 'end of line') }
}
