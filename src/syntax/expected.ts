// Asks the grammar what may stand at a place of a text: the one source of error messages, of "did you mean" and of
// completion. The only file that knows Peggy.
import type { Source } from '../base/text.ts'
import type { File } from './ast.ts'
import { parse as parseGrammar } from './parser.gen.ts'

/** What may stand somewhere: words and signs of the language as they are, and names of kinds of words ("port", "name"). */
export interface Expected {
  readonly literals: readonly string[]
  readonly kinds: readonly string[]
}

/** Either the tree, or the offset of the first character that fits nothing, with what would have fitted. */
export type Attempt =
  | { readonly ok: true; readonly file: File }
  | { readonly ok: false; readonly at: number; readonly expected: Expected }

/** The part of Peggy's SyntaxError that is read here. */
interface Failure {
  readonly expected: readonly {
    readonly type: string
    readonly text?: string
    readonly description?: string
  }[]
  readonly location: { readonly start: { readonly offset: number } }
}

function isFailure(error: unknown): error is Failure {
  return typeof error === 'object' && error !== null && 'expected' in error && 'location' in error
}

function addExpected(failure: Failure, literals: Set<string>, kinds: Set<string>): void {
  for (const each of failure.expected) {
    if (each.type === 'literal' && each.text !== undefined) literals.add(each.text)
    if (each.type === 'other' && each.description !== undefined) kinds.add(each.description)
  }
}

function expectedOf(failure: Failure): Expected {
  const literals = new Set<string>()
  const kinds = new Set<string>()
  addExpected(failure, literals, kinds)
  return { literals: [...literals], kinds: [...kinds] }
}

/** Parses a whole text with the grammar. `source` is what the spans of the tree refer to; `text` may differ from its text. */
export function attempt(source: Source, text: string): Attempt {
  try {
    // The check file that `npm run grammar` makes proves to tsc that the start rule yields a File.
    return { ok: true, file: parseGrammar(text, { grammarSource: source }) as File }
  } catch (error) {
    if (!isFailure(error)) throw error
    return { ok: false, at: error.location.start.offset, expected: expectedOf(error) }
  }
}

const wordPart = /[A-Za-z0-9_]/

/** True inside and at the start of a word: a letter, a digit, or a hyphen before one. */
function inWord(text: string, at: number): boolean {
  const here = text[at] ?? ''
  return wordPart.test(here) || (here === '-' && wordPart.test(text[at + 1] ?? ''))
}

const sign = /[=<>!&|~-]/

/** The start of the word or run of signs around `at`; `at` itself where there is none. */
export function wordStart(text: string, at: number): number {
  if (!inWord(text, at)) {
    let run = at
    while (run > 0 && sign.test(text[at] ?? '') && sign.test(text[run - 1] ?? '')) run -= 1
    return run
  }
  let start = at
  while (start > 0 && (inWord(text, start - 1) || text[start - 1] === '$')) start -= 1
  return start
}

/** The end of the word at `at`; at a sign the run of signs, at anything else one character; `at` at the end of a line. */
export function wordEnd(text: string, at: number): number {
  const rest = text.slice(at, at + 200)
  const found = /^(?:[A-Za-z0-9_$*@%{}]+(?:[-.:/+][A-Za-z0-9_$*@%{}]+)*|[=<>!&|-]+|"[^"\n]*"?|[^\s])/.exec(
    rest,
  )
  return at + (found?.[0].length ?? 0)
}

const nothing: Expected = { literals: [], kinds: [] }

function ask(source: Source, text: string, at: number): Expected {
  const result = attempt(source, `${text}\0`)
  return result.ok || result.at < at ? nothing : result.expected
}

/**
 * What may stand at `at`, given the text before it; where a blank must come first, also what may stand after that.
 * Costs one or two parses of that text.
 */
export function expectedAt(source: Source, text: string, at: number): Expected {
  const before = text.slice(0, at)
  const here = ask(source, before, at)
  const kinds = here.kinds.filter((kind) => kind !== 'blank')
  if (kinds.length === here.kinds.length || /\s$/.test(before)) return { literals: here.literals, kinds }
  const after = ask(source, `${before} `, at + 1)
  return {
    literals: [...new Set([...here.literals, ...after.literals])],
    kinds: [...new Set([...kinds, ...after.kinds])].filter((kind) => kind !== 'blank'),
  }
}
