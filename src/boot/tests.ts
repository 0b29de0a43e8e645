// Tests of small programs in the neutral form.
import { assert } from '../base/assert.ts'
import { isSmallLayer } from '../bpf/small/fields.ts'
import type { IrItem, IrTest } from '../bpf/small/ir.ts'
import { isIpv4 } from '../net/address.ts'
import { isIpv4Prefix, type Prefix } from '../net/prefix.ts'
import type { Compare, Expr, Field, Test } from '../syntax/ast.ts'
import { exprOf, fieldName } from './expressions.ts'
import { type Build, mapIndex } from './program-build.ts'
import { valueOfWord } from './values.ts'

/** A test. */
export function testOf(test: Test, build: Build): IrTest {
  switch (test.kind) {
    case 'not':
      return { kind: 'not', test: testOf(test.test, build) }
    case 'and':
    case 'or':
      return { kind: test.kind, tests: test.tests.map((each) => testOf(each, build)) }
    case 'present':
      return presentOf(test.field)
    case 'compare':
      return compareOf(test, build)
  }
}

/** A layer's name, or a field that is there and not 0. */
function presentOf(field: Field): IrTest {
  if (isSmallLayer(field.path)) return { kind: 'layer', layer: field.path }
  return { kind: 'present', field: fieldName(field) }
}

function compareOf(test: Compare, build: Build): IrTest {
  const { left, operator, right } = test
  const value = exprOf(left, build)
  const isMap = right.kind === 'word' && build.maps.some((map) => map.name === right.text)
  if (operator === 'in' && isMap) return { kind: 'in-map', value, map: mapIndex(right.text, build) }
  if (operator === 'in') return { kind: 'one-of', value, items: itemsOf(right, build) }
  assert(operator !== 'matches', 'small programs know no patterns')
  const prefix = prefixOf(right, build)
  if (prefix !== undefined) {
    const among: IrTest = { kind: 'one-of', value, items: [itemOfPrefix(prefix)] }
    return operator === '!=' ? { kind: 'not', test: among } : among
  }
  return { kind: 'compare', operator, left: value, right: exprOf(right, build) }
}

function prefixOf(expr: Expr, build: Build): Prefix | undefined {
  if (expr.kind !== 'word' || !expr.text.includes('/')) return undefined
  const value = valueOfWord(expr.text, build.surroundings.names)
  return value.kind === 'prefix' ? value.prefix : undefined
}

function itemOfPrefix(prefix: Prefix): IrItem {
  return isIpv4Prefix(prefix)
    ? { kind: 'prefix4', address: prefix.address, length: prefix.length }
    : { kind: 'prefix6', address: prefix.address, length: prefix.length }
}

function itemsOf(expr: Expr, build: Build): IrItem[] {
  if (expr.kind === 'list') return expr.items.flatMap((item) => itemsOf(item, build))
  const prefix = prefixOf(expr, build)
  if (prefix !== undefined) return [itemOfPrefix(prefix)]
  assert(expr.kind === 'word', 'the items of a list are words')
  const value = valueOfWord(expr.text, build.surroundings.names)
  if (value.kind === 'number') return [value]
  assert(value.kind === 'address', 'an item is a number, an address or a prefix')
  const { address } = value
  if (isIpv4(address)) return [{ kind: 'number', value: address }]
  return [{ kind: 'prefix6', address, length: 128 }]
}
