// What a person wrote, and where in it. Positions are UTF-16 offsets; lines and columns exist only when printed.

/** One named text: a file as the person named it, with `/` between folders. */
export interface Source {
  readonly name: string
  readonly text: string
}

/** A half-open range of offsets in one source: `start` belongs to it, `end` does not. */
export interface Span {
  readonly source: Source
  readonly start: number
  readonly end: number
}

/** A place as people count: both numbers start at 1, the column counts characters. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** The words that a span covers. */
export function textOf(span: Span): string {
  return span.source.text.slice(span.start, span.end)
}

/** A span that starts where `first` starts and ends where `last` ends. */
export function spanning(first: Span, last: Span): Span {
  return { source: first.source, start: first.start, end: last.end }
}

/** The offsets at which the lines of a text start; the first is 0. */
function lineStarts(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

const startsOf = new WeakMap<Source, readonly number[]>()

function startsIn(source: Source): readonly number[] {
  const known = startsOf.get(source)
  if (known !== undefined) return known
  const made = lineStarts(source.text)
  startsOf.set(source, made)
  return made
}

/** Line and column of an offset; the index of a source's lines is made once and kept. */
export function positionOf(source: Source, offset: number): Position {
  const starts = startsIn(source)
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
}

/** The text of a line, counted from 1, without its end. */
export function lineText(source: Source, line: number): string {
  const starts = startsIn(source)
  const start = starts[line - 1]
  if (start === undefined) return ''
  const next = starts[line]
  return source.text.slice(start, next === undefined ? undefined : next - 1).replace(/\r$/, '')
}
