// Compiles expressions: to numbers, and to the bytes of map keys and values.
import { type Ipv6, ipv6IsAt, writeIpv6 } from '../../net/address.ts'
import { writeU16, writeU32, writeU48 } from '../../net/bytes.ts'
import { readLe16, readLe32, readLe64, writeLe16, writeLe32, writeLe64 } from '../context/byte-order.ts'
import { fault } from '../fault.ts'
import { lookupValue } from '../helpers/map.ts'
import { fieldBytes, headerFields, isHeaderField, isLongField, layers } from './fields.ts'
import type { SmallRun } from './headers.ts'
import type { IrExpr, IrOperator, MapShape } from './ir.ts'
import { absent, type NumberOf, reader, readField } from './read.ts'

/** Fills a buffer that is made once, from `at` to its end; false when something the bytes need is not there. */
export type BytesOf = (run: SmallRun, into: Uint8Array, at?: number) => boolean

/** Whether an expression is an IPv6 address rather than a number. */
export function isWide(expr: IrExpr): boolean {
  return expr.kind === 'ip6' || (expr.kind === 'field' && fieldBytes(expr.field) === 16)
}

/** Whether an expression is a number of 64 bits: a time, the value of a map that has eight bytes, or a sum with one. */
export function isLong(maps: readonly MapShape[], expr: IrExpr): boolean {
  switch (expr.kind) {
    case 'field':
      return isLongField(expr.field)
    case 'entry':
      return mapAt(maps, expr.map).map.spec.valueSize === 8
    case 'arithmetic':
      return isLong(maps, expr.left) || isLong(maps, expr.right)
    default:
      return false
  }
}

/** 64-bit arithmetic, unsigned. Times fit into 53 bits, so a sum of them is exact. */
function appliedLong(operator: IrOperator, left: number, right: number): number {
  if (operator === '+') return left + right
  if (operator === '-' && left >= right) return left - right
  const [first, second] = [BigInt(left), BigInt(right)]
  return Number(BigInt.asUintN(64, bigOperations[operator](first, second)))
}

const bigOperations: Readonly<Record<IrOperator, (left: bigint, right: bigint) => bigint>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '&': (left, right) => left & right,
  '|': (left, right) => left | right,
  '^': (left, right) => left ^ right,
  '<<': (left, right) => left << (right & 63n),
  '>>': (left, right) => left >> (right & 63n),
}

function applied(operator: IrOperator, left: number, right: number): number {
  switch (operator) {
    case '+':
      return (left + right) >>> 0
    case '-':
      return (left - right) >>> 0
    case '&':
      return (left & right) >>> 0
    case '|':
      return (left | right) >>> 0
    case '^':
      return (left ^ right) >>> 0
    case '<<':
      return (left << right) >>> 0
    case '>>':
      return left >>> right
  }
}

/** A map's value as a number: host order, or as it stood in a packet. */
export function readNumber(bytes: Uint8Array, order: 'le' | 'be'): number {
  if (order === 'be') return reader(bytes.length)(bytes, 0)
  switch (bytes.length) {
    case 1:
      return bytes[0] as number
    case 2:
      return readLe16(bytes, 0)
    case 4:
      return readLe32(bytes, 0)
    default:
      return readLe64(bytes, 0)
  }
}

/** Writes a number into all of `into` behind `at`. */
export function writeNumber(into: Uint8Array, order: 'le' | 'be', value: number, at = 0): void {
  const length = into.length - at
  if (length === 1) into[at] = value
  else if (order === 'be' && length === 2) writeU16(into, at, value)
  else if (order === 'be' && length === 6) writeU48(into, at, value)
  else if (order === 'be') writeU32(into, into.length - 4, value)
  else if (length === 2) writeLe16(into, at, value)
  else if (length === 4) writeLe32(into, at, value)
  else writeLe64(into, at, value)
}

/** The map of an index; an index that is not there is a mistake of whoever made the program. */
export function mapAt<Map extends MapShape>(maps: readonly Map[], index: number): Map {
  return maps[index] ?? fault(`no map number ${index}`)
}

function entryOf(maps: readonly MapShape[], index: number, keyExpr: IrExpr): NumberOf {
  const target = mapAt(maps, index)
  const fillKey = keyOf(maps, index, keyExpr)
  const key = new Uint8Array(target.map.spec.keySize)
  return (run) => {
    const value = fillKey(run, key) ? lookupValue(run.context, run.map(index), key) : undefined
    return value === undefined ? absent : readNumber(value, target.valueOrder)
  }
}

/** Compiles an expression that is a number. */
export function numberOf(maps: readonly MapShape[], expr: IrExpr): NumberOf {
  switch (expr.kind) {
    case 'number': {
      const { value } = expr
      return () => value
    }
    case 'ip6':
      return fault('an IPv6 address is not a number')
    case 'field':
      return readField(expr.field)
    case 'entry':
      return entryOf(maps, expr.map, expr.key)
    case 'arithmetic': {
      const left = numberOf(maps, expr.left)
      const right = numberOf(maps, expr.right)
      const { operator } = expr
      const apply = isLong(maps, expr) ? appliedLong : applied
      return (run) => {
        const first = left(run)
        const second = right(run)
        return Number.isNaN(first) || Number.isNaN(second) ? absent : apply(operator, first, second)
      }
    }
  }
}

/** Where the sixteen bytes of an IPv6 field are, or -1. */
export function wideAt(expr: IrExpr): (run: SmallRun) => number {
  if (expr.kind !== 'field' || !isHeaderField(expr.field)) return fault('not an IPv6 field')
  const { layer, at } = headerFields[expr.field]
  const index = layers[layer]
  return (run) => {
    const offset = run.layer(index)
    return offset < 0 ? -1 : offset + at
  }
}

/** Compiles "the field equals this address". */
export function wideEquals(expr: IrExpr, address: Ipv6): (run: SmallRun) => boolean {
  const where = wideAt(expr)
  return (run) => {
    const offset = where(run)
    return offset >= 0 && ipv6IsAt(run.bytes, offset, address)
  }
}

/** Compiles an expression to bytes: numbers in the given order, IPv6 addresses as on the wire. */
export function bytesOf(maps: readonly MapShape[], expr: IrExpr, order: 'le' | 'be'): BytesOf {
  if (expr.kind === 'ip6') {
    const { value } = expr
    return (_run, into, at = 0) => {
      writeIpv6(into, at, value)
      return true
    }
  }
  if (isWide(expr)) {
    const where = wideAt(expr)
    return (run, into, at = 0) => {
      const offset = where(run)
      if (offset >= 0) into.set(run.bytes.subarray(offset, offset + 16), at)
      return offset >= 0
    }
  }
  const number = numberOf(maps, expr)
  return (run, into, at = 0) => {
    const value = number(run)
    if (Number.isNaN(value)) return false
    writeNumber(into, order, value, at)
    return true
  }
}

/** Compiles the key of a map; an LPM trie's key gets the full length of its data in front. */
export function keyOf(maps: readonly MapShape[], index: number, expr: IrExpr): BytesOf {
  const { map, keyOrder } = mapAt(maps, index)
  const fill = bytesOf(maps, expr, keyOrder)
  if (map.spec.type !== 'lpm_trie') return fill
  return (run, into) => {
    writeLe32(into, 0, (into.length - 4) * 8)
    return fill(run, into, 4)
  }
}
