// Everything that a small program mentions, in one walk: fields, maps, devices, values, codes. The checks and the
// inference of map layouts read this list instead of walking the tree again.
import type {
  Action,
  CompareOperator,
  Expr,
  Field,
  MapEntry,
  ProgramRule,
  Redirect,
  SmallProgram,
  Test,
  Word,
} from '../../syntax/ast.ts'
import { looksLikeAddress } from '../words/addresses.ts'
import { isBesideWord, isLongField } from '../words/fields.ts'
import { integerOf } from '../words/numbers.ts'

export interface MapUse {
  readonly map: Word
  readonly how: 'in' | 'read' | 'count' | 'update' | 'delete' | 'redirect' | 'tail' | 'emit'
  readonly key: Expr | undefined
  readonly value: Expr | undefined
}

export interface FieldUse {
  readonly field: Field
  readonly how: 'read' | 'set'
}

/** A value beside a field: `ip.src == friend`, `set ip.dst = 10.0.0.1`. */
export interface ValueUse {
  readonly field: Field
  readonly operator: CompareOperator
  readonly value: Expr
}

/** An expression of a kind that its place does not take. */
export interface Misplaced {
  readonly expr: Expr
  readonly hint: string
}

export interface ProgramUses {
  readonly codes: readonly Word[]
  readonly actions: readonly Action[]
  readonly fields: readonly FieldUse[]
  readonly maps: readonly MapUse[]
  readonly values: readonly ValueUse[]
  /** Words that stand for a number or an address without a field beside them: in arithmetic, keys, options. */
  readonly operands: readonly Word[]
  /** Values where the program could not use them. */
  readonly misplaced: readonly Misplaced[]
  readonly redirects: readonly Redirect[]
  /** Programs named by `tail NAME`, and program names in entries of prog-arrays. */
  readonly tails: readonly Word[]
}

interface Collecting {
  readonly codes: Word[]
  readonly actions: Action[]
  readonly fields: FieldUse[]
  readonly maps: MapUse[]
  readonly values: ValueUse[]
  readonly operands: Word[]
  readonly misplaced: Misplaced[]
  readonly redirects: Redirect[]
  readonly tails: Word[]
}

/** Nothing is mentioned (yet). */
export function noUses(): Collecting {
  return {
    codes: [],
    actions: [],
    fields: [],
    maps: [],
    values: [],
    operands: [],
    misplaced: [],
    redirects: [],
    tails: [],
  }
}

/** Collects what the rules of a program mention, in the order of the text. */
export function usesOf(body: SmallProgram): ProgramUses {
  const uses = noUses()
  const declared = new Set<string>()
  for (const item of body.items) {
    if (item.kind !== 'map') continue
    declared.add(item.name.text)
    if (item.type !== 'prog-array') continue
    for (const { value } of item.entries) if (value?.kind === 'word') uses.tails.push(value)
  }
  for (const item of body.items) if (item.kind === 'program-rule') inRule(item, uses, declared)
  return uses
}

function inRule(rule: ProgramRule, uses: Collecting, maps: ReadonlySet<string>): void {
  if (rule.test !== null) inTest(rule.test, uses, maps)
  if (rule.code.text !== 'continue') uses.codes.push(rule.code)
  for (const action of rule.actions) {
    uses.actions.push(action)
    inAction(action, uses)
  }
}

function inTest(test: Test, uses: Collecting, maps: ReadonlySet<string>): void {
  switch (test.kind) {
    case 'and':
    case 'or':
      for (const each of test.tests) inTest(each, uses, maps)
      return
    case 'not':
      inTest(test.test, uses, maps)
      return
    case 'present':
      uses.fields.push({ field: test.field, how: 'read' })
      return
    case 'compare': {
      const { left, operator, right } = test
      inExpr(left, uses)
      // What is no address can only be a map; a check says so where there is none of that name.
      if (
        operator === 'in' &&
        right.kind === 'word' &&
        (maps.has(right.text) || !looksLikeAddress(right.text))
      ) {
        uses.maps.push({ map: right, how: 'in', key: left, value: undefined })
        return
      }
      if (operator === 'matches') {
        uses.misplaced.push({ expr: right, hint: 'a program knows no patterns; only expectations do' })
      } else if (operator === 'in') inList(right, uses)
      if (left.kind === 'field') inValue(left, operator, right, uses)
      else if (operator !== 'in') inExpr(right, uses)
      else if (right.kind === 'word') uses.operands.push(right)
      else if (right.kind === 'list')
        uses.operands.push(...right.items.filter((item) => item.kind === 'word'))
    }
  }
}

/** The right side of `in`: addresses, prefixes and numbers that are known before the program runs. */
function inList(expr: Expr, uses: Collecting): void {
  const hint = '`in` takes a map, a prefix or a list of values'
  if (expr.kind === 'list') {
    for (const item of expr.items) if (item.kind !== 'word') uses.misplaced.push({ expr: item, hint })
  } else if (expr.kind !== 'word') uses.misplaced.push({ expr, hint })
}

/** A value beside a field is read as that field's; every other expression by itself. */
function inValue(field: Field, operator: CompareOperator, value: Expr, uses: Collecting): void {
  // beside a time a duration is a number; and a word may be what lies beside the packet
  const reads = value.kind === 'word' && (isLongField(field.path) || isBesideWord(value.text))
  if (reads) uses.operands.push(value)
  else if (value.kind === 'word') uses.values.push({ field, operator, value })
  else if (value.kind === 'list' && operator === 'in') uses.values.push({ field, operator, value })
  else inExpr(value, uses)
}

function inExpr(expr: Expr, uses: Collecting): void {
  switch (expr.kind) {
    case 'field':
      uses.fields.push({ field: expr, how: 'read' })
      return
    case 'map-entry':
      inEntry(expr, 'read', undefined, uses)
      return
    case 'arithmetic':
      inExpr(expr.left, uses)
      inExpr(expr.right, uses)
      return
    case 'list':
      uses.misplaced.push({ expr, hint: 'a list stands behind `in`' })
      return
    case 'word':
      uses.operands.push(expr)
      return
  }
}

function inEntry(entry: MapEntry, how: MapUse['how'], value: Expr | undefined, uses: Collecting): void {
  uses.maps.push({ map: entry.map, how, key: entry.key, value })
  inExpr(entry.key, uses)
}

function inAction(action: Action, uses: Collecting): void {
  switch (action.kind) {
    case 'set-field':
      uses.fields.push({ field: action.field, how: 'set' })
      inValue(action.field, '==', action.value, uses)
      return
    case 'redirect':
      uses.redirects.push(action)
      if (action.via !== null) uses.operands.push(action.via)
      return
    case 'redirect-map':
      inEntry(action.entry, 'redirect', undefined, uses)
      return
    case 'count':
      inEntry(action.entry, 'count', action.by ?? undefined, uses)
      if (action.by !== null) inExpr(action.by, uses)
      return
    case 'update':
      inEntry(action.entry, 'update', action.value, uses)
      inExpr(action.value, uses)
      return
    case 'delete-entry':
      inEntry(action.entry, 'delete', undefined, uses)
      return
    case 'tail-call':
      if (action.target.kind === 'word') uses.tails.push(action.target)
      else inEntry(action.target, 'tail', undefined, uses)
      return
    case 'resize':
      inExpr(action.bytes, uses)
      if (action.bytes.kind !== 'word' || integerOf(action.bytes.text) === undefined)
        uses.misplaced.push({ expr: action.bytes, hint: 'a number of bytes, as in `adjust-head -14`' })
      return
    case 'vlan':
      if (action.vlan !== null) inExpr(action.vlan, uses)
      return
    case 'emit':
      uses.maps.push({ map: action.map, how: 'emit', key: undefined, value: action.value })
      if (action.value.kind !== 'word' || action.value.form === 'bare') inExpr(action.value, uses)
      return
    case 'tunnel':
      for (const { values } of action.options) uses.operands.push(...values)
      return
    case 'swap':
      return
  }
}
