// Where statements and blocks begin and end in a text, without its grammar. Used to leave out what does not parse.

/** A half-open range of offsets. */
export type Range = readonly [start: number, end: number]

/** The offset after the string, block or comment at `at`; `at` itself where none begins. */
export function textAfterBlock(text: string, at: number): number {
  if (text.startsWith('"""', at)) {
    const end = text.indexOf('"""', at + 3)
    return end === -1 ? text.length : end + 3
  }
  if (text[at] === '#') {
    const end = text.indexOf('\n', at)
    return end === -1 ? text.length : end
  }
  if (text[at] !== '"') return at
  let end = at + 1
  while (end < text.length && text[end] !== '"' && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1
  return Math.min(text.length, text[end] === '"' ? end + 1 : end)
}

/** The offset after the `}` that closes the block whose `{` is at `open`. */
function blockEnd(text: string, open: number): number {
  let depth = 0
  for (let at = open; at < text.length; at += 1) {
    const next = textAfterBlock(text, at)
    if (next > at) {
      at = next - 1
      continue
    }
    if (text[at] === '{') depth += 1
    if (text[at] === '}') depth -= 1
    if (depth === 0) return at + 1
  }
  return text.length
}

/** What one step over a string, comment or block, or over one sign, leads to. */
function stepOver(text: string, at: number): number {
  const next = textAfterBlock(text, at)
  if (next > at) return next
  return text[at] === '{' ? blockEnd(text, at) : at + 1
}

/** Where the statement of `at` begins: its line, or behind a `;` of that line that stands in no block opened on it. */
export function statementStart(text: string, at: number): number {
  let start = text.lastIndexOf('\n', at - 1) + 1
  let now = start
  while (now < at) {
    if (text[now] === ';') start = now + 1
    now = stepOver(text, now)
  }
  return start
}

/**
 * The ranges that make up the statement of `at`: to the end of its line or a `;`, with every block that opens in it up to
 * its end, without a `}` that closes a block of an earlier line.
 */
export function statementAt(text: string, at: number): readonly Range[] {
  const ranges: Range[] = []
  let start = statementStart(text, at)
  let now = start
  while (now < text.length && text[now] !== '\n' && text[now] !== ';') {
    if (text[now] === '}') {
      ranges.push([start, now])
      start = now + 1
    }
    now = stepOver(text, now)
  }
  ranges.push([start, now])
  return ranges
}

/** The offsets of the `{` that are open at `at`, outermost first. */
function openBraces(text: string, at: number): readonly number[] {
  const open: number[] = []
  for (let now = 0; now < at; now += 1) {
    const next = textAfterBlock(text, now)
    if (next > now) {
      now = next - 1
      continue
    }
    if (text[now] === '{') open.push(now)
    if (text[now] === '}') open.pop()
  }
  return open
}

/** The innermost block around `at`, from its `{` to after its `}`. */
export function blockAround(
  text: string,
  at: number,
): { readonly start: number; readonly end: number } | undefined {
  const start = openBraces(text, at).at(-1)
  return start === undefined ? undefined : { start, end: blockEnd(text, start) }
}

/** The start of the line on which the top-level item around `at` begins. */
export function itemStart(text: string, at: number): number {
  return text.lastIndexOf('\n', (openBraces(text, at)[0] ?? at) - 1) + 1
}
