// Reading tokens one after the other. A mistake ends the statement it stands in: it is thrown as a Mistake, and the reader
// of statements goes on behind it.
import type { Place, ReportProblem } from '../netfilter/words.ts'
import { reservedWords } from './reserved.ts'
import type { Token } from './tokens.ts'

/** A mistake in the text, on its way to who reads statements. */
export class Mistake extends Error {
  readonly place: Place
  readonly hint: string | undefined

  constructor(place: Place, message: string, hint?: string) {
    super(message)
    this.place = place
    this.hint = hint
  }
}

export class Cursor {
  readonly report: ReportProblem
  private readonly tokens: readonly Token[]
  private at = 0

  constructor(tokens: readonly Token[], report: ReportProblem) {
    this.tokens = tokens
    this.report = report
  }

  get token(): Token {
    return this.tokens[Math.min(this.at, this.tokens.length - 1)] as Token
  }

  /** The token behind the next `distance` ones. */
  ahead(distance: number): Token {
    return this.tokens[Math.min(this.at + distance, this.tokens.length - 1)] as Token
  }

  get finished(): boolean {
    return this.at >= this.tokens.length - 1
  }

  get position(): number {
    return this.at
  }

  /** Goes back or on to a place that `position` has told. */
  seek(position: number): void {
    this.at = position
  }

  take(): Token {
    const { token } = this
    if (this.at < this.tokens.length - 1) this.at += 1
    return token
  }

  /** Whether the next token is this word or sign. */
  is(text: string): boolean {
    const { token } = this
    return token.text === text && (token.kind === 'word' || token.kind === 'sign')
  }

  isAny(...texts: readonly string[]): boolean {
    return texts.some((text) => this.is(text))
  }

  /** Takes the next token if it is this word or sign. */
  accept(text: string): boolean {
    if (!this.is(text)) return false
    this.take()
    return true
  }

  expect(text: string): Token {
    if (this.is(text)) return this.take()
    return this.fail(`expected \`${text}\`, found ${this.found()}`)
  }

  /** A word of nft. */
  name(what: string): Token {
    if (this.token.kind === 'word' || this.token.kind === 'string') return this.take()
    return this.fail(`expected the name of a ${what}, found ${this.found()}`)
  }

  /** A name that the text chooses: of a table, chain, set or counter. */
  identifier(what: string): Token {
    const token = this.name(what)
    if (token.kind === 'word' && reservedWords.has(token.text))
      throw new Mistake(token, `\`${token.text}\` is a word of nft: no ${what} can have it as its name`)
    return token
  }

  string(what: string): Token {
    if (this.token.kind === 'string') return this.take()
    return this.fail(`expected ${what} in quotes, found ${this.found()}`)
  }

  number(what: string): number {
    const { token } = this
    const value = Number(token.text)
    if (token.kind !== 'number' || !Number.isSafeInteger(value))
      return this.fail(`expected ${what}, found ${this.found()}`)
    this.take()
    return value
  }

  /** Whether a statement ends here: at the end of the line, or at the `}` of its block. */
  get ended(): boolean {
    return this.token.kind === 'end' || this.is('}')
  }

  /** Steps over line breaks and `;`. */
  skipEnds(): void {
    while (this.token.kind === 'end' && !this.finished) this.take()
  }

  /** Steps over a block, from its `{` to its `}`. */
  skipBlock(): void {
    this.expect('{')
    for (let depth = 1; depth > 0 && !this.finished; ) {
      const token = this.take()
      if (token.kind !== 'sign') continue
      if (token.text === '{') depth += 1
      if (token.text === '}') depth -= 1
    }
  }

  /** Goes on behind the statement in which a mistake was found: to its end, or to the `}` that closes its block. */
  recover(): void {
    let depth = 0
    while (!this.finished) {
      if (this.is('{')) depth += 1
      if (this.is('}')) {
        if (depth === 0) return
        depth -= 1
      }
      if (depth === 0 && this.token.kind === 'end') return
      this.take()
    }
  }

  fail(message: string, hint?: string): never {
    throw new Mistake(this.token, message, hint)
  }

  /** The next token as messages name it. */
  found(): string {
    const { kind, text } = this.token
    if (kind === 'end') return text === ';' ? '`;`' : `the end of the ${text === '' ? 'text' : 'line'}`
    return `\`${text}\``
  }
}

/** Does something for each statement of a block; a mistake ends only its own statement. True when there was none. */
export function eachStatement(cursor: Cursor, read: () => void): boolean {
  let right = true
  cursor.skipEnds()
  while (!cursor.is('}') && !cursor.finished) {
    const done = attempt(cursor, () => {
      read()
      if (!cursor.ended) cursor.fail(`expected the end of the line, found ${cursor.found()}`)
    })
    right &&= done
    cursor.skipEnds()
  }
  return right
}

/** Reads one statement. A mistake is told, and the cursor goes on behind the statement: false. */
export function attempt(cursor: Cursor, read: () => void): boolean {
  const start = cursor.position
  try {
    read()
    return true
  } catch (problem) {
    if (!(problem instanceof Mistake)) throw problem
    cursor.report(problem.place, problem.message, problem.hint)
    if (cursor.position === start) cursor.take()
    cursor.recover()
    return false
  }
}
