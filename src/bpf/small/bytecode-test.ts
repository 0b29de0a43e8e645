// Tests as bytecode: what follows runs when the test is true, otherwise the program jumps. The counterpart of tests.ts.

import { maskBits } from '../../net/prefix.ts'
import type { Label } from '../asm/assembler.ts'
import type { JumpCondition } from '../asm/instruction.ts'
import { swap32 } from '../context/byte-order.ts'
import { skbAt } from '../context/skb-fields.ts'
import { fault } from '../fault.ts'
import { emitKey, emitNumber, emitWide, lookup } from './bytecode-expr.ts'
import { always, at, context, type Emit, frame, keep, layerPosition, recall } from './bytecode-frame.ts'
import { isWide, mapAt } from './expr.ts'
import { headerFields, isHeaderField, type LayerName } from './fields.ts'
import type { IrCompare, IrExpr, IrItem, IrTest } from './ir.ts'

/** The condition under which a comparison is false. Numbers are of at most 48 bits, so signed comparisons do. */
const opposite: Readonly<Record<IrCompare, JumpCondition>> = {
  '==': 'ne',
  '!=': 'eq',
  '<': 'sge',
  '<=': 'sgt',
  '>': 'sle',
  '>=': 'slt',
}

/** Jumps unless the 16 bytes in `old` and in `fresh` are equal under a mask. */
function sameWide(emit: Emit, masks: readonly number[], no: Label): void {
  const { asm } = emit
  for (const [word, mask] of masks.entries()) {
    if (mask === 0) continue
    asm.load(4, 1, frame, at.old + word * 4)
    asm.load(4, 2, frame, at.fresh + word * 4)
    asm.aluReg('xor', 1, 2, 32)
    if (mask !== -1) asm.alu('and', 1, swap32(mask >>> 0) | 0, 32)
    asm.jumpIf('ne', 1, 0, no)
  }
}

const wholeAddress = [-1, -1, -1, -1] as const

function compareWide(emit: Emit, operator: IrCompare, left: IrExpr, right: IrExpr, no: Label): void {
  emitWide(emit, left, at.old, no)
  emitWide(emit, right, at.fresh, no)
  if (operator === '==') return sameWide(emit, wholeAddress, no)
  if (operator !== '!=') return fault(`IPv6 addresses cannot be compared with ${operator}`)
  const differ = emit.asm.label()
  sameWide(emit, wholeAddress, differ)
  emit.asm.jump(no)
  emit.asm.bind(differ)
}

function emitCompare(emit: Emit, test: Extract<IrTest, { readonly kind: 'compare' }>, no: Label): void {
  const { left, right, operator } = test
  if (isWide(left) || isWide(right)) return compareWide(emit, operator, left, right, no)
  emitNumber(emit, left, no)
  keep(emit, 0)
  emitNumber(emit, right, no)
  recall(emit, 0, 1)
  emit.asm.jumpIfReg(opposite[operator], 1, 0, no)
}

/** Jumps to `yes` when the number in temporary 0, or the address in `old`, is this item. */
function emitItem(emit: Emit, item: IrItem, yes: Label): void {
  const { asm } = emit
  if (item.kind === 'prefix6') {
    const other = asm.label()
    for (const [index, word] of item.address.entries())
      asm.storeNumber(4, frame, at.fresh + index * 4, swap32(word) | 0)
    sameWide(
      emit,
      [0, 32, 64, 96].map((bits) => maskBits(item.length - bits) | 0),
      other,
    )
    asm.jump(yes)
    asm.bind(other)
    // a prefix of length 0 holds everything: then nothing above has jumped here
    return
  }
  recall(emit, 0, 1)
  if (item.kind === 'number') {
    asm.set(2, item.value)
    return asm.jumpIfReg('eq', 1, 2, yes)
  }
  asm.set(2, item.address)
  asm.aluReg('xor', 1, 2, 32)
  asm.alu('and', 1, maskBits(item.length) | 0, 32)
  asm.jumpIf('eq', 1, 0, yes)
}

function oneOf(emit: Emit, value: IrExpr, items: readonly IrItem[], no: Label): void {
  const { asm } = emit
  const wide = isWide(value)
  const fitting = items.filter((item) => (item.kind === 'prefix6') === wide)
  if (fitting.length === 0) return always(emit, no)
  const yes = asm.label()
  if (wide) emitWide(emit, value, at.old, no)
  else {
    emitNumber(emit, value, no)
    keep(emit, 0)
  }
  if (wide && fitting.some((item) => item.kind === 'prefix6' && item.length === 0)) return
  for (const item of fitting) emitItem(emit, item, yes)
  asm.jump(no)
  asm.bind(yes)
}

function inMap(emit: Emit, value: IrExpr, index: number, no: Label): void {
  const { map } = mapAt(emit.maps, index)
  const keyBytes = map.spec.keySize - (map.spec.type === 'lpm_trie' ? 4 : 0)
  if (isWide(value) !== (keyBytes === 16)) return always(emit, no)
  emitKey(emit, index, value, no)
  lookup(emit, index)
  emit.asm.jumpIf('eq', 0, 0, no)
}

function hasLayer(emit: Emit, layer: LayerName, no: Label): void {
  const { asm } = emit
  if (layer !== 'vlan' || emit.xdp) return layerPosition(emit, layer, no)
  const yes = asm.label()
  asm.load(4, 1, context, skbAt.vlan_present)
  asm.jumpIf('ne', 1, 0, yes)
  layerPosition(emit, layer, no)
  asm.bind(yes)
}

function emitParts(emit: Emit, test: Extract<IrTest, { readonly kind: 'and' | 'or' }>, no: Label): void {
  const { asm } = emit
  if (test.kind === 'and') {
    for (const part of test.tests) emitTest(emit, part, no)
    return
  }
  const yes = asm.label()
  for (const [index, part] of test.tests.entries()) {
    if (index === test.tests.length - 1) {
      emitTest(emit, part, no)
      continue
    }
    const next = asm.label()
    emitTest(emit, part, next)
    asm.jump(yes)
    asm.bind(next)
  }
  if (test.tests.length === 0) always(emit, no)
  asm.bind(yes)
}

/** Generates a test. */
export function emitTest(emit: Emit, test: IrTest, no: Label): void {
  const { asm } = emit
  switch (test.kind) {
    case 'compare':
      return emitCompare(emit, test, no)
    case 'one-of':
      return oneOf(emit, test.value, test.items, no)
    case 'in-map':
      return inMap(emit, test.value, test.map, no)
    case 'layer':
      return hasLayer(emit, test.layer, no)
    case 'present':
      if (isHeaderField(test.field) && headerFields[test.field].bytes === 16) return hasLayer(emit, 'ip6', no)
      emitNumber(emit, { kind: 'field', field: test.field }, no)
      return asm.jumpIf('sle', 0, 0, no)
    case 'not': {
      const yes = asm.label()
      emitTest(emit, test.test, yes)
      asm.jump(no)
      asm.bind(yes)
      return
    }
    case 'and':
    case 'or':
      return emitParts(emit, test, no)
  }
}
