// One line of iptables-save text as words. What enters is the line; what leaves are the words with their columns, quotes
// taken off, so that every mistake can point at its place. libxtables: the quoting of iptables-restore.

/** One word; `column` counts from 1 and stands at the opening quote of a quoted word. */
export interface Word {
  readonly text: string
  readonly line: number
  readonly column: number
  /** Characters in the line, quotes included. */
  readonly length: number
  readonly quoted: boolean
}

/** A mistake in a rule set, as data: the model turns it into a Diagnostic at its place in the scenario. */
export interface RulesetProblem {
  readonly line: number
  readonly column: number
  readonly length: number
  readonly message: string
  readonly hint?: string
}

/** Where a parser puts the mistakes it finds. */
export type ReportProblem = (word: Place, message: string, hint?: string) => void

/** A place in a rule set's text. */
export type Place = Pick<Word, 'line' | 'column' | 'length'>

interface Scanned {
  readonly text: string
  readonly end: number
  readonly closed: boolean
}

/** Reads on from an opening quote; a backslash takes the next character as it is. */
function quotedWord(line: string, start: number): Scanned {
  let text = ''
  let at = start + 1
  for (; at < line.length; at += 1) {
    const char = line[at] as string
    if (char === '"') return { text, end: at + 1, closed: true }
    if (char === '\\' && at + 1 < line.length) at += 1
    text += line[at] as string
  }
  return { text, end: at, closed: false }
}

function plainWord(line: string, start: number): Scanned {
  let at = start
  while (at < line.length && line[at] !== ' ' && line[at] !== '\t' && line[at] !== '"') at += 1
  return { text: line.slice(start, at), end: at, closed: true }
}

/** The words of a line. An unclosed quote is reported, and reaches to the end of the line. */
export function wordsOf(text: string, line: number, report: ReportProblem): Word[] {
  const words: Word[] = []
  for (let at = 0; at < text.length; ) {
    const char = text[at]
    if (char === ' ' || char === '\t' || char === '\r') {
      at += 1
      continue
    }
    const quoted = char === '"'
    const scanned = quoted ? quotedWord(text, at) : plainWord(text, at)
    const word = { text: scanned.text, line, column: at + 1, length: scanned.end - at, quoted }
    if (!scanned.closed) report(word, 'this quote is never closed')
    words.push(word)
    at = scanned.end
  }
  return words
}

/** A word as iptables-save prints it: quoted when it has anything but letters, digits, `_`, `-`, or is empty. */
export function quoteWord(text: string): string {
  if (text.length > 0 && /^[A-Za-z0-9_-]+$/.test(text)) return text
  return `"${text.replace(/["\\']/g, '\\$&')}"`
}
