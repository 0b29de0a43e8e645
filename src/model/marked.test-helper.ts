// Marked texts for tests: `<|word|>` says where a diagnostic stands, so that nobody counts columns.
import { expect } from 'vitest'
import { present } from '../base/assert.ts'
import type { Checked, Diagnostic } from '../base/diagnostic.ts'
import { textOf } from '../base/text.ts'
import { parse } from '../syntax/parse.ts'
import { check } from './check.ts'
import type { ClusterKnowledge } from './cluster.ts'
import { modelCodes } from './codes.ts'
import { mistake } from './diagnose.ts'
import type { Model } from './model.ts'
import type { RulesetReader } from './ruleset.ts'

export interface Unmarked {
  readonly text: string
  /** Where the diagnostic stands: `<|word|>`. */
  readonly spans: readonly (readonly [number, number])[]
  /** Where its notes point: `<~word~>`. */
  readonly notes: readonly (readonly [number, number])[]
}

/** The text without marks, and the offsets of what was marked. */
export function unmark(marked: string): Unmarked {
  let text = ''
  const spans: (readonly [number, number])[] = []
  const notes: (readonly [number, number])[] = []
  let start = 0
  for (const piece of marked.split(/(<\||\|>|<~|~>)/)) {
    if (piece === '<|' || piece === '<~') start = text.length
    else if (piece === '|>') spans.push([start, text.length])
    else if (piece === '~>') notes.push([start, text.length])
    else text += piece
  }
  return { text, spans, notes }
}

/** Stands for the readers of other tools' texts: the word WRONG is a mistake. */
const findWrong: RulesetReader = (texts) =>
  texts.map(({ text }) =>
    text.split('\n').flatMap((line, index) => {
      const at = line.indexOf('WRONG')
      return at === -1
        ? []
        : [{ line: index + 1, column: at + 1, length: 5, message: 'wrong', hint: 'right' }]
    }),
  )

/** Stands for what is known of clusters: WRONG in a manifest is a mistake, an option `wrong.S147` says S147 of itself. */
const knowWrong: ClusterKnowledge = {
  readManifest: (text) => {
    const start = text.indexOf('WRONG')
    const mistakes =
      start === -1 ? [] : [{ severity: 'error' as const, start, end: start + 5, message: 'wrong' }]
    return { pods: [], nodeLabels: new Map(), objects: [], mistakes }
  },
  examineObjects: () => [],
  examineOptions: ({ options }) =>
    options.flatMap(({ key, keySpan }) => {
      const code = key.replace(/^wrong\./, '')
      return code in modelCodes ? [mistake(code as keyof typeof modelCodes, keySpan, 'wrong')] : []
    }),
  plan: (world) => world,
}

/** Parses and checks a text; `imports` are other files by name. */
export function checkText(text: string, imports: Readonly<Record<string, string>> = {}): Checked<Model> {
  const file = (name: string, source: string) => {
    const parsed = parse({ name, text: source })
    if (!parsed.ok)
      throw new Error(
        `does not parse: ${parsed.diagnostics.map((each) => `${each.message} at ${textOf(each.span)}`).join('; ')}`,
      )
    return parsed.value
  }
  const others = Object.entries(imports).map(([name, source]) => [name, file(name, source)] as const)
  return check({ main: file('main.scn', text), imports: new Map(others) }, findWrong, knowWrong)
}

/** The model of a text that has no mistakes. */
export function modelOf(text: string): Model {
  const checked = checkText(text)
  if (!checked.ok)
    throw new Error(
      checked.diagnostics.map((each) => `${each.code} ${each.message}: ${textOf(each.span)}`).join('\n'),
    )
  return checked.value
}

/** Mistakes of one code at the marks and nowhere else, with notes at the note marks. */
export function expectMistake(
  marked: string,
  wanted: { readonly code: string; readonly message?: string; readonly hint?: string },
  imports: Readonly<Record<string, string>> = {},
): Diagnostic {
  const { text, spans, notes } = unmark(marked)
  const { diagnostics } = checkText(text, imports)
  const shown = diagnostics.map(({ code, span }) => ({
    code,
    at: [span.start, span.end],
    words: textOf(span),
  }))
  expect(shown).toEqual(spans.map((at) => ({ code: wanted.code, at, words: text.slice(...at) })))
  const found = present(diagnostics[0], 'a mistake')
  if (wanted.message !== undefined) expect(found.message).toBe(wanted.message)
  if (wanted.hint !== undefined) expect(found.hint).toBe(wanted.hint)
  const pointed = (found.notes ?? []).flatMap(({ span }) =>
    span === undefined ? [] : [[span.start, span.end]],
  )
  if (notes.length > 0) expect(pointed).toEqual(notes)
  return found
}
