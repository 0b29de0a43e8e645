// What can be said of a text before its grammar: quotes, comments, brackets. A source goes in, comments and the mistakes
// that would make every other message misleading come out (a brace that is never closed, a text that is no text).
import type { Diagnostic } from '../base/diagnostic.ts'
import type { Source, Span } from '../base/text.ts'
import { syntaxError } from './codes.ts'

/** A file may have this many UTF-16 units; a larger one is not looked at. */
const sizeLimit = 2 * 1024 * 1024

/** Brackets may be nested this deep. */
const nestingLimit = 32

/** A comment with its `#`, without the line's end. */
export interface Comment {
  readonly span: Span
  /** True when nothing stands before it on its line. */
  readonly alone: boolean
}

/** The outcome of a scan. With `mistakes` the text must not be parsed. */
export interface Scan {
  readonly comments: readonly Comment[]
  readonly mistakes: readonly Diagnostic[]
}

/** What a scan finds on its way. `open` are the brackets that wait for their other half. */
interface Progress {
  readonly source: Source
  readonly comments: Comment[]
  readonly mistakes: Diagnostic[]
  readonly open: number[]
  tooDeep: boolean
  /** The `{` that was probably forgotten to be closed, judged by indentation. */
  forgotten: number | undefined
}

const other: Readonly<Record<string, string>> = { '}': '{', ']': '[', ')': '(' }
const interesting = /["#{}()[\]]/g

function spanAt(source: Source, start: number, end: number): Span {
  return { source, start, end }
}

/** The mistakes of a text that is none at all: empty, binary, too large. */
function unreadable(source: Source): Diagnostic | undefined {
  const { text } = source
  if (text.length > sizeLimit) {
    const size = `${(text.length / 1024 / 1024).toFixed(1)} MiB`
    return syntaxError(
      'S012',
      spanAt(source, 0, 0),
      `the file is too large: ${size}`,
      'a file may have 2 MiB',
    )
  }
  const binary = text.search(/[\0\uFFFD]/)
  if (binary !== -1) {
    return syntaxError(
      'S011',
      spanAt(source, 0, 0),
      'this is not a text file',
      `byte ${binary + 1} is no text`,
    )
  }
  if (text.trim() === '') {
    return syntaxError('S010', spanAt(source, 0, 0), 'the file is empty', 'a file begins with `scn 1`')
  }
  return undefined
}

/** The offset after the string or block that opens at `at`; a mistake when it does not end. */
function skipString(progress: Progress, at: number): number {
  const { source, mistakes } = progress
  const { text } = source
  if (text.startsWith('"""', at)) {
    const end = text.indexOf('"""', at + 3)
    if (end !== -1) return end + 3
    mistakes.push(
      syntaxError(
        'S007',
        spanAt(source, at, at + 3),
        'this `"""` block is never closed',
        'a block ends with `"""`',
      ),
    )
    return text.length
  }
  let end = at + 1
  while (end < text.length && text[end] !== '"' && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1
  if (text[end] === '"') return end + 1
  const stop = text.indexOf('\n', at)
  const lineEnd = stop === -1 ? text.length : stop
  // A `{` that ends the line opens the statement's block; the quote was forgotten before it.
  const words = text.slice(at, lineEnd).replace(/\s*(?:\{\s*)?$/, '').length
  const odd = text.slice(text.lastIndexOf('\n', at) + 1, at).search(/[\u201c\u201d\u201e\u00ab\u00bb]/)
  if (odd !== -1) {
    const quote = text.lastIndexOf('\n', at) + 1 + odd
    const message = `\`${text[quote]}\` begins no string`
    mistakes.push(syntaxError('S006', spanAt(source, quote, quote + 1), message, 'write `"`'))
    return at + words
  }
  const span = spanAt(source, at, at + words)
  mistakes.push(syntaxError('S006', span, 'this string has no closing `"`', 'a string ends on its own line'))
  return at + words
}

function skipComment(progress: Progress, at: number): number {
  const { source, comments } = progress
  const stop = source.text.indexOf('\n', at)
  const lineEnd = stop === -1 ? source.text.length : stop
  const lineStart = source.text.lastIndexOf('\n', at - 1) + 1
  const end = source.text[lineEnd - 1] === '\r' ? lineEnd - 1 : lineEnd
  comments.push({ span: spanAt(source, at, end), alone: source.text.slice(lineStart, at).trim() === '' })
  return lineEnd
}

/** The blanks before the first word of the line of `at`. */
function indentAt(text: string, at: number): number {
  const start = text.lastIndexOf('\n', at - 1) + 1
  let end = start
  while (text[end] === ' ' || text[end] === '\t') end += 1
  return end - start
}

/** A `}` that stands further left than the line of its `{`: the brace that was forgotten is probably that `{`'s. */
function suspect(progress: Progress, open: number, close: number): void {
  const { text } = progress.source
  if (progress.forgotten !== undefined) return
  if (indentAt(text, close) < indentAt(text, open)) progress.forgotten = open
}

function closeBracket(progress: Progress, at: number): void {
  const { source, open, mistakes } = progress
  const sign = source.text[at] ?? ''
  // A wrong `)` or `]` is a matter of its statement, which the grammar tells better.
  if (sign === '}') while (open.length > 0 && source.text[open.at(-1) ?? 0] !== '{') open.pop()
  const last = open.at(-1)
  if (last !== undefined && source.text[last] === other[sign]) {
    open.pop()
    if (sign === '}') suspect(progress, last, at)
    return
  }
  if (sign !== '}') return
  mistakes.push(
    syntaxError('S005', spanAt(source, at, at + 1), 'this `}` closes nothing', 'one `}` too many'),
  )
}

function openBracket(progress: Progress, at: number): void {
  progress.open.push(at)
  if (progress.open.length <= nestingLimit || progress.tooDeep) return
  progress.tooDeep = true
  const span = spanAt(progress.source, at, at + 1)
  progress.mistakes.push(
    syntaxError('S018', span, 'brackets are nested too deep', `at most ${nestingLimit} levels`),
  )
}

/** One pass over quotes, comments and brackets. */
function walk(progress: Progress): void {
  const { text } = progress.source
  interesting.lastIndex = 0
  for (let match = interesting.exec(text); match !== null; match = interesting.exec(text)) {
    const sign = match[0]
    if (sign === '"') interesting.lastIndex = skipString(progress, match.index)
    else if (sign === '#') interesting.lastIndex = skipComment(progress, match.index)
    else if (sign === '{' || sign === '[' || sign === '(') openBracket(progress, match.index)
    else closeBracket(progress, match.index)
  }
}

/** One mistake however many braces are open: where one is forgotten, all around it stay open. */
function reportOpen({ source, open, mistakes, forgotten }: Progress): void {
  const last = open.findLast((at) => source.text[at] === '{')
  if (last === undefined) return
  const at = forgotten ?? last
  mistakes.push(syntaxError('S004', spanAt(source, at, at + 1), 'this `{` is never closed', 'add a `}`'))
}

/** Looks at quotes, comments and brackets. Linear in the text; never throws. */
export function scan(source: Source): Scan {
  const broken = unreadable(source)
  if (broken !== undefined) return { comments: [], mistakes: [broken] }
  const progress: Progress = {
    source,
    comments: [],
    mistakes: [],
    open: [],
    tooDeep: false,
    forgotten: undefined,
  }
  walk(progress)
  if (progress.mistakes.length === 0) reportOpen(progress)
  return { comments: progress.comments, mistakes: progress.mistakes }
}
