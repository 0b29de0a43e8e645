// Constants of a data type: one value, a prefix, a range, flags joined by commas. What enters are tokens, what leaves is a Span
// with the text that nft prints for it.
import { type Cursor, Mistake } from './cursor.ts'
import type { Span } from './ruleset.ts'
import type { Token } from './tokens.ts'
import { type DataType, dataTypes, namePrefix, type Words } from './types.ts'

function wrong(type: DataType, token: Token): never {
  const known =
    type.symbols === undefined ? undefined : `one of ${[...type.symbols.keys()].slice(0, 12).join(', ')}`
  throw new Mistake(token, `\`${token.text}\` is no value of type ${type.name}`, known)
}

function isValue(token: Token): boolean {
  return (
    token.kind === 'number' || token.kind === 'word' || token.kind === 'address' || token.kind === 'string'
  )
}

/** One value of a type. */
export function readWords(cursor: Cursor, type: DataType): Words {
  const { token } = cursor
  if (!isValue(token)) return cursor.fail(`expected a value of type ${type.name}, found ${cursor.found()}`)
  cursor.take()
  return type.parse(token.text) ?? wrong(type, token)
}

function masked(words: Words, length: number, fill: boolean): Words {
  return words.map((word, index) => {
    const ones = Math.min(32, Math.max(0, length - index * 32))
    const mask = ones === 0 ? 0 : (-1 << (32 - ones)) >>> 0
    return fill ? (word | ~mask) >>> 0 : (word & mask) >>> 0
  })
}

function prefixed(cursor: Cursor, type: DataType, words: Words): Span {
  const place = cursor.token
  const length = cursor.number('the length of a prefix')
  if (length > words.length * 32)
    throw new Mistake(place, `a prefix of ${type.name} has at most ${words.length * 32} bits`)
  const first = masked(words, length, false)
  const text = length === words.length * 32 ? type.print(first) : `${type.print(first)}/${length}`
  return { first, last: masked(words, length, true), text }
}

function isAddress(type: DataType): boolean {
  return type === dataTypes.ipv4_addr || type === dataTypes.ipv6_addr
}

/** `syn,ack`, `syn | ack`: flags of one value; each must be a name or a number. */
function flags(cursor: Cursor, type: DataType, first: Words): Span {
  let value = first[0] ?? 0
  while (cursor.isAny(',', '|')) {
    cursor.take()
    value |= readWords(cursor, type)[0] ?? 0
  }
  return { first: [value >>> 0], last: [value >>> 0], text: type.print([value >>> 0]) }
}

function spanOf(type: DataType, first: Words, last: Words, place: Token): Span {
  for (let i = 0; i < first.length; i += 1) {
    if (first[i] === last[i]) continue
    if ((first[i] as number) > (last[i] as number))
      throw new Mistake(place, 'this range ends before it begins')
    break
  }
  return { first, last, text: `${type.print(first)}-${type.print(last)}` }
}

/** A constant; `list` allows flags joined by commas, which a set's elements cannot be. */
export function readSpan(cursor: Cursor, type: DataType, list: boolean): Span {
  const place = cursor.token
  if (type === dataTypes.ifname && isValue(place) && place.text.endsWith('*')) {
    cursor.take()
    const { first, last } = namePrefix(place.text.slice(0, -1))
    return { first, last, text: `"${place.text}"` }
  }
  const words = readWords(cursor, type)
  if (cursor.accept('-')) return spanOf(type, words, readWords(cursor, type), place)
  if (isAddress(type) && cursor.accept('/')) return prefixed(cursor, type, words)
  if (type.flags === true && list) return flags(cursor, type, words)
  return { first: words, last: words, text: type.print(words) }
}

/** A mask: a number, a name, flags; perhaps in brackets. */
export function readMask(cursor: Cursor, type: DataType): number {
  const bracketed = cursor.accept('(')
  let value = readWords(cursor, type)[0] ?? 0
  while (type.flags === true && (bracketed ? cursor.isAny(',', '|') : cursor.is('|'))) {
    cursor.take()
    value |= readWords(cursor, type)[0] ?? 0
  }
  if (bracketed) cursor.expect(')')
  return value >>> 0
}
