// Compiles tests. A test on a field of an absent layer is false, whatever the operator.

import { readU32 } from '../../net/bytes.ts'
import { maskBits } from '../../net/prefix.ts'
import { fault } from '../fault.ts'
import { lookupValue } from '../helpers/map.ts'
import { isWide, keyOf, mapAt, numberOf, wideAt, wideEquals } from './expr.ts'
import { headerFields, isHeaderField, layers } from './fields.ts'
import type { SmallRun } from './headers.ts'
import type { IrCompare, IrExpr, IrItem, IrTest, MapShape } from './ir.ts'
import { readField } from './read.ts'

/** Whether a run passes. */
export type TestOf = (run: SmallRun) => boolean

const compares: Readonly<Record<IrCompare, (left: number, right: number) => boolean>> = {
  '==': (left, right) => left === right,
  '!=': (left, right) => left < right || left > right,
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
}

function sameWide(left: IrExpr, right: IrExpr): TestOf {
  const one = wideAt(left)
  const two = wideAt(right)
  return (run) => {
    const a = one(run)
    const b = two(run)
    if (a < 0 || b < 0) return false
    for (let word = 0; word < 16; word += 4) {
      if (readU32(run.bytes, a + word) !== readU32(run.bytes, b + word)) return false
    }
    return true
  }
}

function compareWide(operator: IrCompare, left: IrExpr, right: IrExpr): TestOf {
  if (operator !== '==' && operator !== '!=')
    return fault(`IPv6 addresses cannot be compared with ${operator}`)
  if (left.kind === 'ip6')
    return right.kind === 'ip6' ? fault('nothing to test') : compareWide(operator, right, left)
  const equal = right.kind === 'ip6' ? wideEquals(left, right.value) : sameWide(left, right)
  if (operator === '==') return equal
  const where = wideAt(left)
  const other = right.kind === 'ip6' ? where : wideAt(right)
  return (run) => where(run) >= 0 && other(run) >= 0 && !equal(run)
}

function itemTest(maps: readonly MapShape[], value: IrExpr, item: IrItem): TestOf {
  if (item.kind === 'prefix6') {
    const where = wideAt(value)
    const masks = [0, 32, 64, 96].map((bits) => maskBits(item.length - bits))
    return (run) => {
      const offset = where(run)
      if (offset < 0) return false
      for (let word = 0; word < 4; word += 1) {
        const difference = readU32(run.bytes, offset + word * 4) ^ (item.address[word] as number)
        if ((difference & (masks[word] as number)) !== 0) return false
      }
      return true
    }
  }
  const number = numberOf(maps, value)
  if (item.kind === 'number') return (run) => number(run) === item.value
  const mask = maskBits(item.length)
  return (run) => {
    const address = number(run)
    return !Number.isNaN(address) && ((address ^ item.address) & mask) === 0
  }
}

/** Numbers in a list are looked up in a set; only prefixes are tried one by one. */
function oneOf(maps: readonly MapShape[], value: IrExpr, items: readonly IrItem[]): TestOf {
  if (items.length > 0 && items.every((item) => item.kind === 'number')) {
    const wanted = new Set(items.map((item) => (item.kind === 'number' ? item.value : 0)))
    const number = numberOf(maps, value)
    return (run) => wanted.has(number(run))
  }
  const fitting = items.filter((item) => (item.kind === 'prefix6') === isWide(value))
  const tests = fitting.map((item) => itemTest(maps, value, item))
  return (run) => tests.some((test) => test(run))
}

function inMap(maps: readonly MapShape[], value: IrExpr, index: number): TestOf {
  const { map } = mapAt(maps, index)
  const keyBytes = map.spec.keySize - (map.spec.type === 'lpm_trie' ? 4 : 0)
  // an IPv4 trie holds no IPv6 address, and the other way round
  if (isWide(value) !== (keyBytes === 16)) return () => false
  const fill = keyOf(maps, index, value)
  const key = new Uint8Array(map.spec.keySize)
  return (run) => fill(run, key) && lookupValue(run.context, run.map(index), key) !== undefined
}

function hasLayer(name: keyof typeof layers): TestOf {
  const index = layers[name]
  if (name !== 'vlan') return (run) => run.layer(index) >= 0
  return (run) => (run.context.skb?.vlanTci ?? -1) >= 0 || run.layer(index) >= 0
}

/** Compiles a test. */
export function testOf(maps: readonly MapShape[], test: IrTest): TestOf {
  switch (test.kind) {
    case 'compare': {
      if (isWide(test.left) || isWide(test.right)) return compareWide(test.operator, test.left, test.right)
      const left = numberOf(maps, test.left)
      const right = numberOf(maps, test.right)
      const compare = compares[test.operator]
      return (run) => compare(left(run), right(run))
    }
    case 'one-of':
      return oneOf(maps, test.value, test.items)
    case 'in-map':
      return inMap(maps, test.value, test.map)
    case 'layer':
      return hasLayer(test.layer)
    case 'present': {
      if (isHeaderField(test.field) && headerFields[test.field].bytes === 16) return hasLayer('ip6')
      const number = readField(test.field)
      return (run) => number(run) > 0
    }
    case 'not': {
      const inner = testOf(maps, test.test)
      return (run) => !inner(run)
    }
    case 'and': {
      const tests = test.tests.map((part) => testOf(maps, part))
      return (run) => tests.every((part) => part(run))
    }
    case 'or': {
      const tests = test.tests.map((part) => testOf(maps, part))
      return (run) => tests.some((part) => part(run))
    }
  }
}
