// What can be said about the bytecode without a kernel: its shape. That it does what the executor does is asked of the
// kernel itself in test/bytecode.test.ts.
import { expect, test } from 'vitest'
import { bytesToHex } from '../../net/hex.ts'
import { scratchMap, smallBytecode } from './bytecode.ts'
import type { IrRule, SmallIr } from './ir.ts'

function program(rules: readonly IrRule[], type: SmallIr['type'] = 'xdp'): SmallIr {
  return { name: 'small', type, maps: [], rules, otherwise: type === 'xdp' ? 2 : -1 }
}

const drops: IrRule = { code: 1, actions: [] }

test('it begins with its context kept, no redirect, and the offsets of the layers from its own map', () => {
  const { bytes, maps } = smallBytecode(program([drops]))
  expect(bytesToHex(bytes).match(/.{16}/g)?.slice(0, 8)).toEqual([
    'bf16000000000000', // r6 = r1
    '7a0af8ffffffffff', // *(u64 *)(r10 - 8) = -1
    '620af0fe00000000', // *(u32 *)(r10 - 272) = 0
    '1811000000000000', // r1 = map
    '0000000000000000',
    'bfa2000000000000', // r2 = r10
    '07020000f0feffff', // r2 += -272
    '8500000001000000', // call bpf_map_lookup_elem
  ])
  expect(maps).toEqual([{ at: 3, map: 0 }])
  expect(scratchMap.valueSize).toBe(96)
})

test('what stands behind a rule without a test is not made: the verifier refuses what nothing reaches', () => {
  const one = smallBytecode(program([drops])).bytes
  const two = smallBytecode(program([drops, { code: 3, actions: [] }])).bytes
  expect(two).toEqual(one)
})

test('a program that only tests is followed by its default', () => {
  const rule: IrRule = { test: { kind: 'layer', layer: 'tcp' }, code: 1, actions: [] }
  const xdp = bytesToHex(smallBytecode(program([rule])).bytes)
  const tc = bytesToHex(smallBytecode(program([rule], 'sched_cls')).bytes)
  expect(xdp).toContain('b7000000020000009500000000000000') // r0 = XDP_PASS, exit
  expect(tc).toContain('b7000000ffffffff9500000000000000') // r0 = TC_ACT_UNSPEC, exit
})

test('a set of what cannot be set is a fault here, before anything is loaded', () => {
  const value = { kind: 'number', value: 1 } as const
  const rule: IrRule = { code: 1, actions: [{ kind: 'set', field: 'packet.len', value }] }
  expect(() => smallBytecode(program([rule]))).toThrow('packet.len cannot be set')
})
