// All mistakes of a text in one run. A text that does not parse goes in, its mistakes come out, at the places where the
// person wrote them.
//
// The grammar knows nothing of this: after each mistake the text is changed and parsed again. Where a better word is
// known it is put in; otherwise the statement is blanked out. A changed text is only looked at for more mistakes, its
// tree is thrown away. One statement gives one mistake, so that nothing follows from what was changed.
import type { Diagnostic } from '../base/diagnostic.ts'
import type { Source } from '../base/text.ts'
import { syntaxError } from './codes.ts'
import { type Attempt, attempt, expectedAt, wordStart } from './expected.ts'
import { diagnosticOf, type Mistake, mistakeAt } from './messages.ts'
import { blockAround, itemStart, statementAt, statementStart } from './statements.ts'

/** So many mistakes of one file are shown. */
const mistakeLimit = 50

/** So many UTF-16 units are parsed again and again before the search stops. */
const effortLimit = 6 * 1024 * 1024

/** One replaced range: where it stands in the working text, and how long it was and is. */
interface Edit {
  start: number
  readonly was: number
  readonly is: number
}

/** The text as changed so far, and the way back from its offsets. */
class WorkingText {
  text: string
  readonly #edits: Edit[] = []

  constructor(text: string) {
    this.text = text
  }

  replace(start: number, end: number, by: string): void {
    this.text = this.text.slice(0, start) + by + this.text.slice(end)
    const grown = by.length - (end - start)
    for (const edit of this.#edits) if (edit.start >= end) edit.start += grown
    this.#edits.push({ start, was: end - start, is: by.length })
    this.#edits.sort((left, right) => left.start - right.start)
  }

  /** Spaces for everything but line breaks: offsets stay. */
  blank(ranges: readonly (readonly [number, number])[]): void {
    for (const [start, end] of ranges) {
      const blanks = this.text.slice(start, end).replace(/[^\n]/g, ' ')
      this.text = this.text.slice(0, start) + blanks + this.text.slice(end)
    }
  }

  /** The offset in the source of an offset in the changed text. */
  back(offset: number): number {
    let moved = 0
    for (const { start, was, is } of this.#edits) {
      if (start > offset) break
      if (start + is > offset) return start + moved
      moved += was - is
    }
    return offset + moved
  }
}

type Failed = Extract<Attempt, { readonly ok: false }>

/** What is known while the mistakes are looked for. */
interface Search {
  readonly source: Source
  readonly working: WorkingText
  readonly found: Diagnostic[]
  /** Starts of statements of the source whose mistake is told. */
  readonly told: Set<number>
  effort: number
  /** Up to here the text is in order and blanked, so that it is not parsed again and again. */
  cleared: number
}

function lineStart(text: string, at: number): number {
  return text.lastIndexOf('\n', at - 1) + 1
}

/** Where the mistaken word begins: at a blank it is the next word, behind `ip.` it is the part after the dot. */
function findMistake({ source, working }: Search, failed: Failed): Mistake {
  const { text } = working
  let at = wordStart(text, failed.at)
  let expected = expectedAt(source, text, at)
  if (expected.literals.length + expected.kinds.length === 0) {
    at = failed.at
    expected = failed.expected
  }
  const layer = /^[a-z0-9]+\./.exec(text.slice(at, at + 20))?.[0]
  if (layer !== undefined && expected.literals.some((word) => `${word}.` === layer || word === layer)) {
    const fields = expectedAt(source, text, at + layer.length)
    if (fields.literals.length > 0) return mistakeAt(text, at + layer.length, fields)
  }
  // `ipv6.enabled true` begins with the word of an option: the dot is what does not fit
  const word = text[at] === '.' ? /[a-z]\w*$/.exec(text.slice(statementStart(text, at), at))?.[0] : undefined
  if (word !== undefined) {
    const before = expectedAt(source, text, at - word.length)
    if (before.kinds.includes('Helm value')) return mistakeAt(text, at - word.length, before)
  }
  const blanks = /^[ \t\r]+(?=[^\s#])/.exec(text.slice(at, at + 200))?.[0].length ?? 0
  const mistake = mistakeAt(text, at + blanks, expected)
  return mistake.replacement === undefined ? (mistakeBefore(source, text, mistake) ?? mistake) : mistake
}

/**
 * A mistyped word may pass for a name (`xdp nativ p`, `csaes {`), so that only what follows is refused. The word before,
 * or the one before the block, is to blame when a word of the language is near it and the text parses further with that.
 */
function mistakeBefore(source: Source, text: string, mistake: Mistake): Mistake | undefined {
  const block = blockAround(text, mistake.start)
  const line = lineStart(text, mistake.start)
  return (
    blame(source, text, mistake, /([A-Za-z][A-Za-z0-9-]*)[ \t]*$/, line, mistake.start) ??
    (block === undefined
      ? undefined
      : blame(
          source,
          text,
          mistake,
          /^[ \t]*([A-Za-z][A-Za-z0-9-]*)[ \t]*$/,
          lineStart(text, block.start),
          block.start,
        ))
  )
}

/** Blames the word that `pattern` finds between two offsets. */
function blame(
  source: Source,
  text: string,
  mistake: Mistake,
  pattern: RegExp,
  from: number,
  to: number,
): Mistake | undefined {
  const found = pattern.exec(text.slice(from, to))
  const word = found?.[1]
  if (word === undefined || found === null) return undefined
  const start = from + found.index + found[0].indexOf(word)
  const before = mistakeAt(text, start, expectedAt(source, text, start))
  if (before.replacement === undefined || before.end !== start + word.length) return undefined
  const mended = attempt(source, text.slice(0, start) + before.replacement + text.slice(before.end))
  const gained = before.replacement.length - word.length
  return mended.ok || mended.at > mistake.end + gained ? before : undefined
}

/** True when a block's own missing content is the consequence of what was blanked inside it. */
function isConsequence({ working, source, told }: Search, mistake: Mistake): boolean {
  if (working.text[mistake.start] !== '}') return false
  const block = blockAround(working.text, mistake.start)
  if (block === undefined) return false
  const start = lineStart(source.text, working.back(block.start))
  const end = working.back(mistake.start)
  return [...told].some((statement) => statement >= start && statement <= end)
}

/** Tells the mistake and changes the text so that the next parse gets further. False when nothing can be changed. */
function step(search: Search, mistake: Mistake): boolean {
  const { source, working, found, told } = search
  const start = working.back(mistake.start)
  const statement = statementStart(source.text, start)
  const isNew = !told.has(statement) && !isConsequence(search, mistake)
  told.add(statement)
  if (isNew) {
    const end = Math.max(start, working.back(mistake.end))
    found.push(diagnosticOf(source, mistake, start, end))
    if (mistake.code === 'S008') {
      working.replace(mistake.start, mistake.start, 'scn 1\n')
      return true
    }
    if (mistake.replacement !== undefined) {
      working.replace(mistake.start, mistake.end, mistake.replacement)
      return true
    }
  }
  const before = working.text
  working.blank(statementAt(working.text, mistake.start))
  if (working.text !== before) return true
  const block = blockAround(working.text, mistake.start)
  if (block === undefined) return false
  working.blank([[lineStart(working.text, block.start), block.end]])
  return working.text !== before
}

/** Closes the strings whose end is missing, so that the rest can be judged. */
function closeStrings({ source, working, found, told }: Search, strings: readonly Diagnostic[]): void {
  for (const { span } of strings.toReversed()) {
    working.replace(span.start, span.end, '""')
    told.add(statementStart(source.text, span.start))
  }
  found.push(...strings)
}

const header = /^\uFEFF?(?:[\s;]|#.*\n)*scn[ \t]+\w+/

/** Blanks the items before the one that failed; the edition must stay. */
function clear(search: Search, at: number): void {
  const { working } = search
  search.cleared ||= header.exec(working.text)?.[0].length ?? 0
  const start = itemStart(working.text, at)
  if (search.cleared > 0 && start > search.cleared) {
    working.blank([[search.cleared, start]])
    search.cleared = start
  }
  search.effort += at - search.cleared
}

/**
 * The mistakes of a text that does not parse, in order. `strings` are the unclosed strings that are known already;
 * apart from them at least one mistake is found unless they were all.
 */
export function recover(source: Source, strings: readonly Diagnostic[]): readonly Diagnostic[] {
  const search: Search = {
    source,
    working: new WorkingText(source.text),
    found: [],
    told: new Set(),
    effort: 0,
    cleared: 0,
  }
  closeStrings(search, strings)
  let failed = attempt(source, search.working.text)
  for (let round = 0; !failed.ok; round += 1) {
    clear(search, failed.at)
    const mistake = findMistake(search, failed)
    if (search.found.length >= mistakeLimit || search.effort > effortLimit || round > 4 * mistakeLimit) {
      const start = search.working.back(mistake.start)
      const span = { source, start, end: start }
      search.found.push(syntaxError('S017', span, 'there are more mistakes from here on', 'mend these first'))
      break
    }
    if (!step(search, mistake)) break
    failed = attempt(source, search.working.text)
  }
  return search.found.toSorted((left, right) => left.span.start - right.span.start)
}
