// The text of nft as tokens. What enters is the whole text; what leaves are words, numbers, strings and signs with their
// places, and the line breaks, which end statements (src/scanner.l of nftables).
import type { Place, ReportProblem } from '../netfilter/words.ts'

export type TokenKind = 'word' | 'number' | 'address' | 'string' | 'sign' | 'set' | 'end'

/** One token; `end` is a line break, a `;` or the end of the text. `text` of a string has no quotes, that of a set no `@`. */
export interface Token extends Place {
  readonly kind: TokenKind
  readonly text: string
}

const patterns: readonly (readonly [TokenKind | 'blank', RegExp])[] = [
  ['blank', /(?:[ \t\r]|\\\r?\n|#[^\n]*)+/y],
  ['end', /\n|;/y],
  ['string', /"[^"\n]*"/y],
  ['set', /@[A-Za-z_][\w./\\-]*/y],
  // two colons at least: an IPv6 or a MAC address
  ['address', /(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.]*/y],
  ['number', /[0-9][\w.]*/y],
  ['word', /[A-Za-z_][\w./-]*\*?/y],
  ['sign', /[!=<>]=|<<|>>|[&|^!<>={}(),.:/*[\]+-]/y],
]

function readToken(text: string, at: number): { readonly kind: TokenKind | 'blank'; readonly raw: string } {
  for (const [kind, pattern] of patterns) {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found !== null && found[0] !== '') return { kind, raw: found[0] }
  }
  return { kind: 'sign', raw: text[at] ?? '' }
}

function textOf(kind: TokenKind, raw: string): string {
  if (kind === 'string') return raw.slice(1, -1)
  if (kind === 'set') return raw.slice(1)
  return raw
}

const signs = '&|^!<>={}(),.:/*[]+-'

/** The tokens of a text; characters that begin none are reported. The last token is always an `end`. */
export function tokensOf(text: string, report: ReportProblem): Token[] {
  const tokens: Token[] = []
  let line = 1
  let lineStart = 0
  for (let at = 0; at < text.length; ) {
    const { kind, raw } = readToken(text, at)
    const place = { line, column: at - lineStart + 1, length: raw.length }
    if (kind === 'sign' && raw.length === 1 && !signs.includes(raw))
      report(place, raw === '"' ? 'this quote is never closed' : `\`${raw}\` begins no word of nft`)
    else if (kind !== 'blank') tokens.push({ kind, text: textOf(kind, raw), ...place })
    for (let next = raw.indexOf('\n'); next !== -1; next = raw.indexOf('\n', next + 1)) {
      line += 1
      lineStart = at + next + 1
    }
    at += raw.length
  }
  tokens.push({ kind: 'end', text: '', line, column: text.length - lineStart + 1, length: 1 })
  return tokens
}
