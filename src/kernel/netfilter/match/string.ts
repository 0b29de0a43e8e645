// Bytes in a packet: xt_string.c over skb_find_text(). Where a pattern may lie is counted from the IP header on.
import type { Given, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { bang, parseNumber } from '../values.ts'
import { find, flag, negatable, read, required, valueText, withValue } from './given.ts'

/** XT_STRING_MAX_PATTERN_SIZE. */
const patternMax = 128
const offsetMax = 0xffff

interface Pattern {
  readonly bytes: Uint8Array
  readonly ignoreCase: boolean
  readonly from: number
  readonly to: number
}

/** Hexadecimal digits between bars; a backslash in front of a bar makes it one of the text. */
const hexPiece = /\|([^|]*)\||\\(.)|([\s\S])/g

/** parse_hex_string(): undefined after a report. */
function hexBytes(option: Given, scope: RuleScope): Uint8Array | undefined {
  const place = option.values[0] ?? option.word
  const bytes: number[] = []
  for (const [, digits, escaped, char] of valueText(option).matchAll(hexPiece)) {
    if (char === '|') return scope.report(place, 'this block of hexadecimal digits is never closed by `|`')
    if (digits === undefined) {
      bytes.push(...new TextEncoder().encode(escaped ?? char))
      continue
    }
    const bare = digits.replaceAll(' ', '')
    if (!/^([0-9a-fA-F]{2})*$/.test(bare)) {
      return scope.report(place, `\`|${digits}|\` is no row of hexadecimal bytes, as \`|47 45 54|\``)
    }
    for (let at = 0; at < bare.length; at += 2) bytes.push(Number.parseInt(bare.slice(at, at + 2), 16))
  }
  return Uint8Array.from(bytes)
}

function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte < 0x7f
}

/** As the tool prints it: in quotes, or as hexadecimal digits when not all of it can be printed. */
function patternText(bytes: Uint8Array): readonly [string, string] {
  const text = String.fromCharCode(...bytes)
  if (bytes.every(isPrintable) && !text.endsWith('\\')) {
    return ['--string', `"${text.replace(/["\\]/g, '\\$&')}"`]
  }
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return ['--hex-string', `"|${digits}|"`]
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}

/** skb_find_text(): the whole pattern lies in front of `to`, beginning at `from` or behind. */
function isIn(bytes: Uint8Array, l3: number, tail: number, pattern: Pattern): boolean {
  const { bytes: wanted, ignoreCase } = pattern
  const last = Math.min(tail, l3 + pattern.to) - wanted.length
  for (let start = l3 + pattern.from; start <= last; start += 1) {
    let at = 0
    while (at < wanted.length) {
      const left = bytes[start + at] as number
      const right = wanted[at] as number
      if (left !== right && !(ignoreCase && lower(left) === lower(right))) break
      at += 1
    }
    if (at === wanted.length) return true
  }
  return false
}

function readBytes(given: readonly Given[], scope: RuleScope, word: Given['word']): Uint8Array | undefined {
  const plain = find(given, '--string')
  const coded = find(given, '--hex-string')
  const option = plain ?? coded
  if (option === undefined) return scope.report(word, '`-m string` needs `--string` or `--hex-string`')
  if (plain !== undefined && coded !== undefined)
    return scope.report(coded.word, '`--string` and `--hex-string` cannot be used together')
  const bytes = plain === undefined ? hexBytes(option, scope) : new TextEncoder().encode(valueText(option))
  if (bytes === undefined) return undefined
  const place = option.values[0] ?? option.word
  if (bytes.length === 0) return scope.report(place, 'an empty pattern is refused by the kernel')
  if (bytes.length > patternMax) return scope.report(place, `a pattern has at most ${patternMax} bytes`)
  return bytes
}

function readOffset(
  given: readonly Given[],
  scope: RuleScope,
  name: string,
  fallback: number,
): number | undefined {
  const option = find(given, name)
  if (option === undefined) return fallback
  return read(option, scope, (text) => parseNumber(text, offsetMax), `number from 0 to ${offsetMax}`)
}

function readPattern(given: readonly Given[], scope: RuleScope, word: Given['word']): Pattern | undefined {
  const bytes = readBytes(given, scope, word)
  const from = readOffset(given, scope, '--from', 0)
  const to = readOffset(given, scope, '--to', offsetMax)
  if (bytes === undefined || from === undefined || to === undefined) return undefined
  if (from > to) return scope.report(find(given, '--from')?.word ?? word, '`--from` lies behind `--to`')
  return { bytes, from, to, ignoreCase: find(given, '--icase') !== undefined }
}

/** Algorithms of lib/ts_*.c that take any bytes. */
const algorithms = ['bm', 'kmp']

const string: MatchKind = {
  name: 'string',
  options: [
    withValue('--from'),
    withValue('--to'),
    withValue('--algo'),
    negatable('--string'),
    negatable('--hex-string'),
    flag('--icase'),
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    const algorithm = required(given, scope, '--algo', { word, name: '-m string' })
    if (algorithm === undefined) return undefined
    if (!algorithms.includes(valueText(algorithm)))
      return scope.report(algorithm.values[0] ?? word, 'an algorithm is `bm` or `kmp`')
    const pattern = readPattern(given, scope, word)
    if (pattern === undefined) return undefined
    const inverted = given.some((option) => option.inverted)
    const { from, to, ignoreCase } = pattern
    const [name, value] = patternText(pattern.bytes)
    const words = [`${bang(inverted)}${name} ${value}`, `--algo ${valueText(algorithm)}`]
    if (from !== 0) words.push(`--from ${from}`)
    if (to !== offsetMax) words.push(`--to ${to}`)
    if (ignoreCase) words.push('--icase')
    return {
      text: words.join(' '),
      bind:
        () =>
        ({ skb, l3 }) =>
          isIn(skb.bytes, l3, skb.tail, pattern) !== inverted,
    }
  },
}

/** The match on a packet's bytes. */
export const stringMatches: readonly MatchKind[] = [string]
