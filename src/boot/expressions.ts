// Expressions of small programs in the neutral form.
import { assert } from '../base/assert.ts'
import { type FieldName, isSmallField } from '../bpf/small/fields.ts'
import type { IrExpr } from '../bpf/small/ir.ts'
import { isIpv4 } from '../net/address.ts'
import type { Expr, Field } from '../syntax/ast.ts'
import { type Build, mapIndex } from './program-build.ts'
import { valueOfWord } from './values.ts'

/** Names that the language and the packet layer spell differently from the small programs' table. */
const spelled: Readonly<Record<string, FieldName>> = {
  'vlan.vid': 'vlan.id',
  'ip6.next': 'ip6.nexthdr',
  'meta.value': 'meta',
  len: 'packet.len',
}

/** A field by its name in the neutral form. */
export function fieldName(field: Field): FieldName {
  const name = spelled[field.path] ?? field.path
  assert(isSmallField(name), `${name} is a field of small programs`)
  return name
}

/** An expression; lists are the business of tests. */
export function exprOf(expr: Expr, build: Build): IrExpr {
  switch (expr.kind) {
    case 'field':
      return { kind: 'field', field: fieldName(expr) }
    case 'map-entry':
      return { kind: 'entry', map: mapIndex(expr.map.text, build), key: exprOf(expr.key, build) }
    case 'arithmetic':
      return {
        kind: 'arithmetic',
        operator: expr.operator,
        left: exprOf(expr.left, build),
        right: exprOf(expr.right, build),
      }
    case 'list':
      return { kind: 'number', value: 0 }
    case 'word': {
      const device = build.surroundings.deviceIndex(expr.text)
      const isField = isSmallField(expr.text) && !build.surroundings.names.has(expr.text)
      if (device <= 0 && isField) return { kind: 'field', field: expr.text }
      const value =
        device > 0
          ? ({ kind: 'number', value: device } as const)
          : valueOfWord(expr.text, build.surroundings.names)
      if (value.kind === 'number') return value
      const address = value.kind === 'address' ? value.address : value.prefix.address
      return isIpv4(address) ? { kind: 'number', value: address } : { kind: 'ip6', value: address }
    }
  }
}
