// Tests of expectations: `ip.ttl == 63`, `not vlan`, `tcp and tcp.dport in [80, 443]`.
import type { Compare, Field, Test } from '../../syntax/ast.ts'
import type { FieldTest } from '../claim.ts'
import { mistake } from '../diagnose.ts'
import { type FieldInfo, fieldInfo, isInTraces, isNotified, kindText } from '../words/fields.ts'
import type { Scope } from './scope.ts'
import { notYet } from './unavailable.ts'
import { readValue } from './value.ts'

/** What is known of a field. The grammar has the closed list; a field that nothing reads yet says so. */
export function readField(field: Field, { report }: Scope): FieldInfo | undefined {
  const info = fieldInfo(field.path)
  if (info === undefined) notYet(field.span, `the field \`${field.path}\``, report)
  return info
}

/** A field that an expectation asks for; what no trace keeps says that it is not available. */
export function readTracedField(field: Field, scope: Scope): FieldInfo | undefined {
  const info = readField(field, scope)
  if (info === undefined || isInTraces(info)) return info
  if (isNotified(info.path) && scope.entities.clusters.some(({ type }) => type === 'cilium')) return info
  notYet(field.span, `the field \`${field.path}\``, scope.report)
  return undefined
}

/** A test with its values, or undefined after a message. */
export function readTest(test: Test, scope: Scope): FieldTest | undefined {
  const { span } = test
  switch (test.kind) {
    case 'present': {
      const info = readTracedField(test.field, scope)
      return info && { kind: 'present', field: info.path, span }
    }
    case 'not': {
      const inner = readTest(test.test, scope)
      return inner && { kind: 'not', test: inner, span }
    }
    case 'and':
    case 'or': {
      const tests = test.tests.map((each) => readTest(each, scope))
      const good = tests.filter((each) => each !== undefined)
      return good.length === tests.length ? { kind: test.kind, tests: good, span } : undefined
    }
    case 'compare':
      return readCompare(test, scope)
  }
}

function readCompare(test: Compare, scope: Scope): FieldTest | undefined {
  const { left, operator, right, span } = test
  if (left.kind !== 'field') {
    scope.report(
      mistake('S121', left.span, 'an expectation compares a field with a value', {
        hint: 'the left side must be one field',
      }),
    )
    return undefined
  }
  const info = readTracedField(left, scope)
  if (info === undefined || !operatorFits(test, info, scope)) return undefined
  const value = readValue(right, info, operator, scope)
  return value && { kind: 'compare', field: info.path, operator, value, span }
}

const ordering: readonly string[] = ['<', '>', '<=', '>=']

/** Whether the operator makes sense for the field: only numbers have an order, only texts match a pattern. */
export function operatorFits(test: Compare, info: FieldInfo, { report }: Scope): boolean {
  const { operator } = test
  const wrong =
    (ordering.includes(operator) && info.kind !== 'number') ||
    (operator === 'matches' && info.kind !== 'text')
  if (wrong) {
    report(
      mistake('S121', test.span, `\`${operator}\` cannot be asked of \`${info.path}\``, {
        hint: `it holds ${kindText(info)}; use \`==\`, \`!=\` or \`in\``,
      }),
    )
  }
  return !wrong
}
