// Expressions: `ip daddr . meta l4proto . th dport`, `ct mark & 0xff`, `numgen random mod 2`. What enters are tokens, what
// leaves loads words into registers.
import { didYouMean } from '../../base/closest.ts'
import type { ChainPacket } from '../netfilter/extension.ts'
import { flowHashOf } from '../netfilter/match/chance.ts'
import { readMask } from './constant.ts'
import { type Cursor, Mistake } from './cursor.ts'
import { fields } from './field.ts'
import { bareMeta, ctKeys, fibType, type Key, metaKeys, tupleKeys } from './meta.ts'
import type { Expression, Loader } from './ruleset.ts'
import type { Token } from './tokens.ts'
import { type DataType, dataTypes, wordsOfTypes } from './types.ts'

const plain = { conntrack: false, protocol: undefined, family: undefined } as const

function ofKey(key: Key, text: string, conntrack: boolean): Expression {
  return { ...plain, conntrack, types: [key.type], text, bind: () => key.load }
}

function pick<T>(known: ReadonlyMap<string, T>, token: Token, what: string): T {
  const found = known.get(token.text)
  if (found !== undefined) return found
  const hint = didYouMean(token.text, known.keys()) ?? `one of ${[...known.keys()].join(', ')}`
  throw new Mistake(token, `there is no ${what} \`${token.text}\``, hint)
}

function readField(cursor: Cursor, header: string): Expression {
  const known = fields.get(header)
  const field = pick(known ?? new Map<string, never>(), cursor.take(), `field of \`${header}\``)
  const name = cursor.ahead(-1).text
  const { type, load, family, protocol } = field
  const own = protocol === -1 ? undefined : protocol
  return {
    types: [type],
    text: `${header} ${name}`,
    conntrack: false,
    protocol: own,
    family,
    bind: () => load,
  }
}

function readMeta(cursor: Cursor): Expression {
  const token = cursor.take()
  const key = pick(metaKeys, token, 'meta key')
  return ofKey(key, bareMeta.has(token.text) ? token.text : `meta ${token.text}`, false)
}

function readCt(cursor: Cursor): Expression {
  if (!cursor.isAny('original', 'reply')) {
    const token = cursor.take()
    return ofKey(pick(ctKeys, token, 'ct key'), `ct ${token.text}`, true)
  }
  const direction = cursor.take().text
  const token = cursor.take()
  const name =
    token.text === 'ip' || token.text === 'ip6' ? `${token.text} ${cursor.take().text}` : token.text
  const alone = name === 'saddr' || name === 'daddr' ? `ip ${name}` : name
  const key = pick(tupleKeys(direction === 'original' ? 0 : 1), { ...token, text: alone }, 'ct key')
  return ofKey(key, `ct ${direction} ${alone}`, true)
}

function readFib(cursor: Cursor): Expression {
  const side = cursor.take()
  if (side.text !== 'saddr' && side.text !== 'daddr')
    throw new Mistake(side, 'fib looks up `saddr` or `daddr`')
  let limit: 'in' | 'out' | undefined
  let text = `fib ${side.text}`
  while (cursor.accept('.')) {
    const part = cursor.take()
    if (part.text !== 'iif' && part.text !== 'oif')
      throw new Mistake(part, `fib with \`${part.text}\` is not modelled; \`iif\` and \`oif\` are`)
    limit = part.text === 'iif' ? 'in' : 'out'
    text += ` . ${part.text}`
  }
  const result = cursor.take()
  if (result.text !== 'type') throw new Mistake(result, 'of fib only the result `type` is modelled')
  return ofKey(fibType(side.text === 'saddr' ? 'source' : 'destination', limit), `${text} type`, false)
}

/** nft_numgen.c: `random` is a pure function of the flow, `inc` counts packets. */
function readNumgen(cursor: Cursor): Expression {
  const mode = cursor.take()
  if (mode.text !== 'random' && mode.text !== 'inc') throw new Mistake(mode, 'numgen is `random` or `inc`')
  cursor.expect('mod')
  const place = cursor.token
  const modulus = cursor.number('a number')
  if (modulus === 0) throw new Mistake(place, '`mod` cannot be 0')
  const offset = cursor.accept('offset') ? cursor.number('an offset') : 0
  const text = `numgen ${mode.text} mod ${modulus}${offset === 0 ? '' : ` offset ${offset}`}`
  const bind: Expression['bind'] = ({ ns, ordinal }) => {
    let count = modulus - 1
    const draw = (packet: ChainPacket): number => {
      if (mode.text === 'inc') {
        count = count + 1 < modulus ? count + 1 : 0
        return count
      }
      const drawn = ns.machine.random('numgen', flowHashOf(packet) * 0x10_0000 + ordinal)
      return Math.floor((drawn * modulus) / 0x1_0000_0000)
    }
    return (packet, registers, at) => {
      registers[at] = draw(packet) + offset
      return true
    }
  }
  return { ...plain, types: [dataTypes.integer], text, bind }
}

const starts = [...fields.keys(), 'meta', 'ct', 'fib', 'numgen', 'mark', ...bareMeta]

/** Whether an expression begins at the next token. */
export function beginsExpression(cursor: Cursor): boolean {
  return cursor.token.kind === 'word' && starts.includes(cursor.token.text)
}

function readPrimary(cursor: Cursor): Expression {
  const token = cursor.take()
  switch (token.text) {
    case 'meta':
      return readMeta(cursor)
    case 'ct':
      return readCt(cursor)
    case 'fib':
      return readFib(cursor)
    case 'numgen':
      return readNumgen(cursor)
    case 'mark':
      return ofKey(pick(metaKeys, token, 'meta key'), 'meta mark', false)
    default:
      break
  }
  if (bareMeta.has(token.text)) return ofKey(pick(metaKeys, token, 'meta key'), token.text, false)
  if (fields.has(token.text)) return readField(cursor, token.text)
  throw new Mistake(
    token,
    `\`${token.text}\` is no expression that is modelled`,
    didYouMean(token.text, starts),
  )
}

/** What `& | ^` do to a value together (struct nft_bitwise): `(value & mask) ^ flip`. */
export interface Bitwise {
  readonly mask: number
  readonly flip: number
}

const operators: ReadonlyMap<string, '&' | '|' | '^'> = new Map([
  ['&', '&'],
  ['and', '&'],
  ['|', '|'],
  ['or', '|'],
  ['^', '^'],
  ['xor', '^'],
])

function readBitwise(cursor: Cursor, type: DataType): Bitwise | undefined {
  let result: Bitwise | undefined
  for (;;) {
    const operator = operators.get(cursor.token.text)
    if (operator === undefined || (cursor.token.kind !== 'sign' && cursor.token.kind !== 'word'))
      return result
    cursor.take()
    const value = readMask(cursor, type)
    const { mask, flip }: Bitwise = result ?? { mask: 0xffff_ffff, flip: 0 }
    if (operator === '&') result = { mask: (mask & value) >>> 0, flip: (flip & value) >>> 0 }
    else if (operator === '|') result = { mask: (mask & ~value) >>> 0, flip: (flip | value) >>> 0 }
    else result = { mask, flip: (flip ^ value) >>> 0 }
  }
}

/** As nft takes mask and flip apart again (netlink_parse_bitwise). */
function bitwiseText({ mask, flip }: Bitwise, type: DataType): string {
  const or = (~mask & flip) >>> 0
  const xor = (flip & mask) >>> 0
  const and = (mask | or) >>> 0
  let text = ''
  if (and !== 0xffff_ffff) text += ` & ${type.print([and])}`
  if (xor !== 0) text += ` ^ ${type.print([xor])}`
  if (or !== 0) text += ` | ${type.print([or])}`
  return text
}

/** A load and what bits are changed of its one word. */
function changed(load: Loader, { mask, flip }: Bitwise): Loader {
  return (packet, registers, at) => {
    if (!load(packet, registers, at)) return false
    registers[at] = ((registers[at] as number) & mask) ^ flip
    return true
  }
}

/** One field, perhaps with some of its bits changed. */
export interface Term extends Expression {
  /** The field alone. */
  readonly field: string
  readonly bitwise: Bitwise | undefined
}

/** Reads one field and the operators behind it. */
export function readTerm(cursor: Cursor): Term {
  const base = readPrimary(cursor)
  const [type = dataTypes.integer] = base.types
  const bitwise = type.words === 1 ? readBitwise(cursor, type) : undefined
  if (bitwise === undefined) return { ...base, field: base.text, bitwise }
  const bind: Expression['bind'] = (binding) => changed(base.bind(binding), bitwise)
  return { ...base, field: base.text, bitwise, text: `${base.text}${bitwiseText(bitwise, type)}`, bind }
}

function join(parts: readonly Expression[]): Expression {
  const bind: Expression['bind'] = (binding) => {
    const loads = parts.map((part) => part.bind(binding))
    const offsets = parts.map((_part, index) =>
      wordsOfTypes(parts.slice(0, index).flatMap(({ types }) => types)),
    )
    return (packet, registers, at) => {
      for (let i = 0; i < loads.length; i += 1)
        if (!(loads[i] as Loader)(packet, registers, at + (offsets[i] as number))) return false
      return true
    }
  }
  return {
    types: parts.flatMap(({ types }) => types),
    text: parts.map(({ text }) => text).join(' . '),
    conntrack: parts.some(({ conntrack }) => conntrack),
    protocol: parts.find(({ protocol }) => protocol !== undefined)?.protocol,
    family: parts.find(({ family }) => family !== undefined)?.family,
    bind,
  }
}

/** Reads fields joined by dots; `first` was read already. */
export function readJoined(cursor: Cursor, first: Expression = readTerm(cursor)): Expression {
  const parts = [first]
  while (cursor.accept('.')) parts.push(readTerm(cursor))
  return parts.length === 1 ? first : join(parts)
}
