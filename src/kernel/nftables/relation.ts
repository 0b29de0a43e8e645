// Tests: `ip daddr 10.0.0.0/8`, `tcp dport != { 80, 443 }`, `ct state new`, `meta mark & 0x4000 == 0`, `ip saddr @nodes`. What
// enters is the left side as an expression; what leaves is a statement.
import { readSpan } from './constant.ts'
import { type Cursor, Mistake } from './cursor.ts'
import { checkElements, readElements, sortElements } from './elements.ts'
import type { Term } from './expression.ts'
import {
  code,
  type ElementSpec,
  type Expression,
  type SetSpec,
  type Span,
  type Statement,
  type Verdict,
} from './ruleset.ts'
import { compareWords } from './set-store.ts'
import { type DataType, dataTypes, typesText } from './types.ts'

/** What parsing statements needs of the table they stand in. */
export interface TableScope {
  readonly family: 4 | 6 | 'inet'
  readonly set: (name: string) => SetSpec | undefined
  readonly counter: (name: string) => boolean
}

const noFamilies: readonly (4 | 6)[] = []
/** What an expression needs it needs in every family of its table (NFPROTO_INET). */
export const bothFamilies: readonly (4 | 6)[] = [4, 6]
const noVerdicts = (): readonly Verdict[] => []

/** A statement of an expression, with what every statement has. */
export function statementOf(
  expression: Expression | undefined,
  own: Partial<Statement> & Pick<Statement, 'text' | 'bind'>,
): Statement {
  return {
    conntrack: expression?.conntrack === true ? bothFamilies : noFamilies,
    defrag: noFamilies,
    protocol: expression?.protocol,
    family: expression?.family,
    implied: undefined,
    verdicts: noVerdicts,
    requires: undefined,
    guard: undefined,
    acts: expression === undefined,
    terminal: false,
    sets: 0,
    counter: undefined,
    ...own,
  }
}

/** A set of the table by name; its type must be the expression's. */
export function namedSet(cursor: Cursor, scope: TableScope, expression: Expression): SetSpec {
  const token = cursor.take()
  const set = scope.set(token.text)
  if (set === undefined) throw new Mistake(token, `there is no set or map \`${token.text}\` in this table`)
  if (typesText(set.types) !== typesText(expression.types))
    throw new Mistake(
      token,
      `\`@${set.name}\` holds ${typesText(set.types)}, the expression is ${typesText(expression.types)}`,
    )
  return set
}

/** A set that stands in the rule. */
export function inlineSet(cursor: Cursor, expression: Expression, data: SetSpec['data']): SetSpec {
  const place = cursor.token
  const types = expression.types
  const elements = readElements(cursor, { types, data })
  if (elements.length === 0) throw new Mistake(place, 'a set in a rule has an element at least')
  const set: SetSpec = {
    name: '',
    handle: 0,
    kind: data === undefined ? 'set' : 'map',
    types,
    data,
    flags: ['constant', 'interval'],
    timeout: 0,
    size: undefined,
    comment: undefined,
    elements,
    flushed: 0,
  }
  checkElements(set, elements)
  return set
}

function keyText({ key, comment }: ElementSpec): string {
  const text = key.map((span) => span.text).join(' . ')
  return comment === undefined ? text : `${text} comment "${comment}"`
}

/** `@name`, or `{ a, b : v }`. */
export function setText(set: SetSpec): string {
  if (set.name !== '') return `@${set.name}`
  const texts = sortElements(set.elements).map(
    (element) => `${keyText(element)}${set.data === undefined ? '' : ` : ${element.dataText}`}`,
  )
  return `{ ${texts.join(', ')} }`
}

function inSet(expression: Expression, set: SetSpec, inverted: boolean): Statement {
  const [only] = set.elements
  const single = set.name === '' && set.elements.length === 1 && only !== undefined
  const text = `${expression.text}${inverted ? ' !=' : ''} ${single ? keyText(only) : setText(set)}`
  return statementOf(expression, {
    text,
    sets: set.name === '' && !single ? 1 : 0,
    bind: (binding) => {
      const store = binding.storeOf(set)
      const load = expression.bind(binding)
      return ({ packet, registers }) => {
        if (!load(packet, registers, 0)) return code.broken
        return (store.find(registers, 0) !== undefined) !== inverted ? code.next : code.broken
      }
    },
  })
}

type Holds = (registers: Uint32Array) => boolean

function comparison(operator: string, { first, last }: Span, type: DataType): Holds {
  const inside: Holds = (registers) =>
    compareWords(registers, 0, first) >= 0 && compareWords(registers, 0, last) <= 0
  const value = first[0] as number
  switch (operator) {
    case '<':
      return (registers) => compareWords(registers, 0, first) < 0
    case '>':
      return (registers) => compareWords(registers, 0, last) > 0
    case '<=':
      return (registers) => compareWords(registers, 0, last) <= 0
    case '>=':
      return (registers) => compareWords(registers, 0, first) >= 0
    case '!=':
      return (registers) => !inside(registers)
    case '!':
      return (registers) => ((registers[0] as number) & value) === 0
    case '':
      return type.flags === true ? (registers) => ((registers[0] as number) & value) !== 0 : inside
    default:
      return inside
  }
}

const operators = ['==', '!=', '<=', '>=', '<', '>', '!'] as const

/** Words for operators: `eq`, `ne`. */
const words: ReadonlyMap<string, string> = new Map([
  ['eq', '=='],
  ['ne', '!='],
  ['lt', '<'],
  ['gt', '>'],
  ['le', '<='],
  ['ge', '>='],
])

function readOperator(cursor: Cursor): string {
  const sign = operators.find((operator) => cursor.is(operator)) ?? words.get(cursor.token.text)
  if (sign === undefined || cursor.token.kind === 'string') return ''
  cursor.take()
  return sign
}

/** `tcp flags syn / syn,ack`: nft prints a test of some flags so. */
function flagsText(term: Term, operator: string, value: Span, type: DataType): string {
  const mask = type.print([term.bitwise?.mask ?? 0])
  return `${term.field} ${operator === '!=' ? '!= ' : ''}${value.text} / ${mask}`
}

function testText(term: Term, operator: string, value: Span, type: DataType): string {
  const flags = type === dataTypes.tcp_flag && term.bitwise !== undefined && term.bitwise.flip === 0
  if (flags && (operator === '==' || operator === '!=')) return flagsText(term, operator, value, type)
  const keeps = operator === '==' && (type.flags === true || term.bitwise !== undefined)
  const shown = operator === '' || (operator === '==' && !keeps) ? '' : `${operator} `
  return `${term.text} ${shown}${value.text}`
}

/** Only a test for a transport protocol or family, which a field behind it implies. */
function impliedBy(term: Term, operator: string, { first, last }: Span): Statement['implied'] {
  if ((operator !== '' && operator !== '==') || term.bitwise !== undefined || first[0] !== last[0])
    return undefined
  const [value] = first
  if (value === undefined) return undefined
  if (term.field === 'meta l4proto' || term.field === 'ip protocol' || term.field === 'ip6 nexthdr')
    return { protocol: value }
  return term.field === 'meta nfproto' ? { family: value === 2 ? 4 : 6 } : undefined
}

function compared(cursor: Cursor, term: Term, operator: string, type: DataType): Statement {
  const value = readSpan(cursor, type, true)
  // `tcp flags syn / syn,ack`
  if (type.flags === true && cursor.accept('/')) {
    const mask = readSpan(cursor, type, true).first[0] as number
    return maskedFlags(term, operator === '!=' ? '!=' : '==', value, mask, type)
  }
  const holds = comparison(operator, value, type)
  return statementOf(term, {
    text: testText(term, operator, value, type),
    implied: impliedBy(term, operator, value),
    bind: (binding) => {
      const load = term.bind(binding)
      return ({ packet, registers }) =>
        load(packet, registers, 0) && holds(registers) ? code.next : code.broken
    },
  })
}

function maskedFlags(
  term: Term,
  operator: '==' | '!=',
  value: Span,
  mask: number,
  type: DataType,
): Statement {
  const wanted = value.first[0] as number
  return statementOf(term, {
    text: flagsText({ ...term, bitwise: { mask, flip: 0 } }, operator, value, type),
    bind: (binding) => {
      const load = term.bind(binding)
      return ({ packet, registers }) => {
        if (!load(packet, registers, 0)) return code.broken
        const same = ((registers[0] as number) & mask) >>> 0 === wanted
        return same === (operator === '==') ? code.next : code.broken
      }
    },
  })
}

/** Reads the right side of a test. */
export function readRelation(
  cursor: Cursor,
  scope: TableScope,
  expression: Expression,
  term: Term | undefined,
): Statement {
  const operator = readOperator(cursor)
  const inverted = operator === '!='
  if (cursor.token.kind === 'set') return inSet(expression, namedSet(cursor, scope, expression), inverted)
  if (cursor.is('{')) return inSet(expression, inlineSet(cursor, expression, undefined), inverted)
  const [type] = expression.types
  if (term === undefined || type === undefined)
    return cursor.fail('several fields together are looked up in a set: `{ ... }` or `@name`')
  return compared(cursor, term, operator, type)
}
