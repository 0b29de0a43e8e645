// The words of one line of `ip xfrm`, with what was found wrong in them.
import { type IpAddress, isIpv4, parseIp } from '../../net/address.ts'
import { networkOf, type Prefix, parsePrefix, prefixOf } from '../../net/prefix.ts'
import type { XfrmMark } from './policy.ts'

/** Line and column count from 1. */
export interface XfrmProblem {
  readonly line: number
  readonly column: number
  readonly length: number
  readonly message: string
  readonly hint?: string
}

export interface Token {
  readonly text: string
  readonly column: number
}

/** As a shell, and `ip -batch`, take them off. */
const quote = /^(['"])(.*)\1$/

/** One line, read from the left to the right. */
export class XfrmLine {
  readonly problems: XfrmProblem[] = []
  readonly #number: number
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(number: number, text: string) {
    this.#number = number
    this.#tokens = [...text.replace(/#.*/, '').matchAll(/\S+/g)].map((match) => ({
      text: match[0].replace(quote, '$2'),
      column: match.index + 1,
    }))
  }

  get first(): Token | undefined {
    return this.#tokens[0]
  }

  next(): Token | undefined {
    const token = this.#tokens[this.#at]
    if (token !== undefined) this.#at += 1
    return token
  }

  peek(): string | undefined {
    return this.#tokens[this.#at]?.text
  }

  wrong(token: Token, message: string, hint?: string): undefined {
    const { column, text } = token
    const place = { line: this.#number, column, length: text.length }
    this.problems.push({ ...place, message, ...(hint === undefined ? {} : { hint }) })
    return undefined
  }

  /** A word that nobody knows; what follows it belongs to it. */
  stop(token: Token, message: string, hint: string): undefined {
    this.#at = this.#tokens.length
    return this.wrong(token, message, hint)
  }

  /** The word behind `option`. */
  value(option: Token, what: string): Token | undefined {
    const token = this.next()
    return token ?? this.wrong(option, `\`${option.text}\` needs ${what}`)
  }

  /** One of some words. */
  one<const Word extends string>(option: Token, words: readonly Word[]): Word | undefined {
    const token = this.value(option, `one of ${words.join(', ')}`)
    if (token === undefined) return undefined
    const found = words.find((word) => word === token.text)
    return (
      found ??
      this.wrong(token, `\`${token.text}\` is not \`${option.text}\`’s`, `one of ${words.join(', ')}`)
    )
  }

  /** A number, in decimal or with 0x. */
  number(option: Token, max = 0xffff_ffff): number | undefined {
    const token = this.value(option, 'a number')
    if (token === undefined) return undefined
    const value = /^(0x[0-9a-fA-F]+|[0-9]+)$/.test(token.text) ? Number(token.text) : -1
    if (value >= 0 && value <= max) return value
    return this.wrong(token, `\`${token.text}\` is no number from 0 to ${max}`)
  }

  address(option: Token): IpAddress | undefined {
    const token = this.value(option, 'an address')
    if (token === undefined) return undefined
    return parseIp(token.text) ?? this.wrong(token, `\`${token.text}\` is not an address`)
  }

  /** `10.0.0.0/8`; an address alone is one of its whole length. */
  prefix(option: Token): Prefix | undefined {
    const token = this.value(option, 'a prefix')
    if (token === undefined) return undefined
    const address = parseIp(token.text)
    const prefix =
      address === undefined ? parsePrefix(token.text) : prefixOf(address, isIpv4(address) ? 32 : 128)
    return prefix === undefined ? this.wrong(token, `\`${token.text}\` is not a prefix`) : networkOf(prefix)
  }

  /** `VALUE [mask MASK]`; without a mask every bit counts. */
  mark(option: Token): XfrmMark | undefined {
    const value = this.number(option)
    if (value === undefined) return undefined
    if (this.peek() !== 'mask') return { value, mask: 0xffff_ffff }
    const word = this.next() as Token
    const mask = this.number(word)
    return mask === undefined ? undefined : { value: (value & mask) >>> 0, mask }
  }
}
