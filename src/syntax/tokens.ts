// The words and signs of a text, line by line, as the printer needs them: what is glued stays glued. It does not judge;
// only texts that parse come here.
import { textAfterBlock } from './statements.ts'

type TokenKind = 'word' | 'sign' | 'open' | 'close' | 'comma' | 'end' | 'comment'

/** `gap`: a blank stands before it on its line. */
export interface Token {
  readonly kind: TokenKind
  readonly text: string
  readonly gap: boolean
}

/** One line; a line with a `"""` block goes on to the line on which the block ends. */
export type Line = readonly Token[]

/** Signs that stand between blanks, however they were written. */
const sign = /->|=>|==|!=|<=|>=|<<|>>|[<>]/y
const url = /[/][^\s;{}"#<>$]*(?:\$\{[^}\n]*\}[^\s;{}"#<>$]*|\$[^\s;{}"#<>$]*)*/y
const word = /(?:\$\{[^}\n]*\}|-(?!>)|=(?![=>])|!(?!=)|[^\s{}";,#<>=!-])+/y
/** A table row from its first to its last `|`. Cells are free text, so it is one word. */
const row = /\|(?:(?:"(?:[^"\\\n]|\\.)*"|[^"#|\n])*\|)*/y
const kinds: Readonly<Record<string, TokenKind>> = { '{': 'open', '}': 'close', ',': 'comma', ';': 'end' }

function matched(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function tokenAt(text: string, at: number, gap: boolean, first: boolean): Token {
  const here = text[at] ?? ''
  if (first && here === '|') return { kind: 'word', text: matched(row, text, at) ?? here, gap }
  const quiet = textAfterBlock(text, at)
  if (quiet > at) {
    return { kind: here === '#' ? 'comment' : 'word', text: text.slice(at, quiet).trimEnd(), gap }
  }
  const kind = kinds[here]
  if (kind !== undefined) return { kind, text: here, gap }
  const found = gap && here === '/' ? matched(url, text, at) : undefined
  if (found !== undefined) return { kind: 'word', text: found, gap }
  const arrow = matched(sign, text, at)
  if (arrow !== undefined) return { kind: 'sign', text: arrow, gap }
  return { kind: 'word', text: matched(word, text, at) ?? here, gap }
}

/** The lines of a text; an empty line is an empty list. Line ends may be LF or CRLF. */
export function linesOf(text: string): readonly Line[] {
  const lines: Token[][] = []
  let line: Token[] = []
  let gap = false
  let at = text.startsWith('\uFEFF') ? 1 : 0
  while (at < text.length) {
    const here = text[at] ?? ''
    if (here === '\n') {
      lines.push(line)
      line = []
      gap = false
      at += 1
    } else if (here === ' ' || here === '\t' || here === '\r') {
      gap = true
      at += 1
    } else {
      const before = line.at(-1)?.kind
      const first = before === undefined || before === 'open' || before === 'end'
      const token = tokenAt(text, at, gap, first)
      line.push(token)
      gap = false
      at += Math.max(1, token.text.length)
    }
  }
  lines.push(line)
  return lines
}
