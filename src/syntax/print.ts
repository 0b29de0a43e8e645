// `scn fmt`: a text that parses goes in, the same text in canonical form comes out.
//
// It moves blanks and nothing else: two blanks of indentation for each brace, one blank between words, blanks around
// arrows and comparisons, tables and neighbouring statements of one kind in columns, no more than one empty line. So the
// tree stays the same, comments stay where they are, and a block that a person wrote on one line stays on one line.
import type { Checked } from '../base/diagnostic.ts'
import type { Source } from '../base/text.ts'
import { alignLines } from './align.ts'
import { parse } from './parse.ts'
import { type Line, linesOf, type Token } from './tokens.ts'

/** A line to print: words whose inner gaps are decided, a trailing comment, the depth of its indentation. */
export interface PrintLine {
  readonly depth: number
  readonly words: readonly string[]
  readonly comment: string | undefined
}

function needsGap(before: Token | undefined, token: Token): boolean {
  if (before === undefined) return false
  if (token.kind === 'comma' || token.kind === 'end') return false
  if (before.kind === 'sign' || token.kind === 'sign') return true
  if (before.kind === 'open' || before.kind === 'end') return true
  if (token.kind === 'open' || token.kind === 'close' || token.kind === 'comment') return true
  if (/[[(]$/.test(before.text) || /^[\])]/.test(token.text)) return false
  return token.gap
}

/** `;` only separates: one at the end of a line or block, or after another, says nothing. */
function isIdle(tokens: Line, index: number): boolean {
  if (tokens[index]?.kind !== 'end') return false
  const before = tokens[index - 1]?.kind
  const after = tokens[index + 1]?.kind
  const edge = after === undefined || after === 'comment' || after === 'close' || after === 'end'
  return edge || before === undefined || before === 'open'
}

/** The words of a line; what is glued together is one word. */
function wordsOf(tokens: Line): string[] {
  const words: string[] = []
  let before: Token | undefined
  for (const token of tokens) {
    const last = words.length - 1
    // A blank before a comma belongs after it: `a ,b` is `a, b`.
    const gap = before?.kind === 'comma' ? token.gap || before.gap : needsGap(before, token)
    if (last >= 0 && !gap) words[last] += token.text
    else words.push(token.text)
    before = token
  }
  return words
}

const openers = /\$\{[^}\n]*\}|[[({]/g
const closers = /\$\{[^}\n]*\}|[\])}]/g

function countOf(tokens: Line, pattern: RegExp): number {
  let count = 0
  for (const { kind, text } of tokens) {
    if (kind === 'comment' || text.startsWith('"')) continue
    for (const [found] of text.matchAll(pattern)) if (found.length === 1) count += 1
  }
  return count
}

function leadingClosers(tokens: Line): number {
  const other = tokens.findIndex((token) => !/^[\])}]+$/.test(token.text))
  return countOf(other === -1 ? tokens : tokens.slice(0, other), closers)
}

function layOut(lines: readonly Line[]): PrintLine[] {
  const result: PrintLine[] = []
  let depth = 0
  for (const line of lines) {
    const tokens = line.filter((_, index) => !isIdle(line, index))
    const last = tokens.at(-1)
    const comment = last?.kind === 'comment' ? last.text : undefined
    const code = comment === undefined ? tokens : tokens.slice(0, -1)
    result.push({ depth: Math.max(0, depth - leadingClosers(tokens)), words: wordsOf(code), comment })
    depth = Math.max(0, depth + countOf(tokens, openers) - countOf(tokens, closers))
  }
  return result
}

function isEmpty(line: PrintLine | undefined): boolean {
  return line === undefined || (line.words.length === 0 && line.comment === undefined)
}

/** At most one empty line, none at the edges of a block or of the file. */
function withoutIdleLines(lines: readonly PrintLine[]): PrintLine[] {
  const result: PrintLine[] = []
  for (const line of lines) {
    const before = result.at(-1)
    const first = before === undefined || (before.words.at(-1) === '{' && before.comment === undefined)
    if (isEmpty(line) && (first || isEmpty(before))) continue
    if (/^[\])}]/.test(line.words[0] ?? '') && before !== undefined && isEmpty(before)) result.pop()
    result.push(line)
  }
  while (result.length > 0 && isEmpty(result.at(-1))) result.pop()
  return result
}

/** The canonical form of a source, with LF line ends and a final one; its mistakes when it does not parse. */
export function print(source: Source): Checked<string> {
  const parsed = parse(source)
  if (!parsed.ok) return parsed
  const lines = withoutIdleLines(layOut(linesOf(source.text.replaceAll('\r\n', '\n'))))
  return { ok: true, value: `${alignLines(lines).join('\n')}\n`, diagnostics: [] }
}
