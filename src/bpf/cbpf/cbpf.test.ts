import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkClassic } from './check.ts'
import type { ClassicInstruction } from './instruction.ts'
import { parseClassic } from './parse.ts'
import { runClassic } from './run.ts'

interface Fixture {
  readonly frames: readonly string[]
  readonly cases: readonly {
    readonly filter: string
    readonly dd: readonly string[]
    readonly ddd: string
    readonly passed: readonly number[]
  }[]
}

const fixture = JSON.parse(
  readFileSync(new URL('./fixtures/tcpdump.json', import.meta.url), 'utf8'),
) as Fixture
const frames = fixture.frames.map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')))

function parsed(text: string): readonly ClassicInstruction[] {
  const result = parseClassic(text)
  if (result.kind === 'refused') throw new Error(`${result.line}: ${result.message}`)
  return result.instructions
}

function keep(instructions: readonly ClassicInstruction[], bytes: Uint8Array): number {
  return runClassic(instructions, { bytes, start: 0, end: bytes.length, network: 14 })
}

function passes(instructions: readonly ClassicInstruction[]): number[] {
  return frames.flatMap((frame, index) => (keep(instructions, frame) > 0 ? [index] : []))
}

describe('filters compiled by tcpdump let through what tcpdump lets through', () => {
  test.each(fixture.cases)('$filter', ({ dd, ddd, passed }) => {
    const instructions = parsed(dd.join('\n'))
    expect(passes(instructions)).toEqual(passed)
    expect(parsed(ddd)).toEqual(instructions)
  })
})

test('the form of iptables --bytecode is read too', () => {
  expect(parsed('4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0')).toHaveLength(4)
})

test.each([
  ['{ 0x28, 0, 0, 0x0000000c },\nhello', 2, 'not an instruction: hello'],
  ['', 0, 'no instructions'],
  ['2\n6 0 0 0', 0, '2 instructions announced, 1 there'],
  ['{ 0x28, 0, 0, 12 },', 0, 'the last instruction does not return'],
  ['{ 0x15, 1, 0, 12 },\n{ 0x6, 0, 0, 0 },', 0, 'instruction 0: jumps past the end'],
  ['{ 0x5, 0, 0, 1 },\n{ 0x6, 0, 0, 0 },', 0, 'instruction 0: jumps past the end'],
  ['{ 0x5, 0, 0, 4294967295 },\n{ 0x6, 0, 0, 0 },', 0, 'instruction 0: jumps past the end'],
  ['{ 0x34, 0, 0, 0 },\n{ 0x6, 0, 0, 0 },', 0, 'instruction 0: division by zero'],
  ['{ 0x64, 0, 0, 32 },\n{ 0x6, 0, 0, 0 },', 0, 'instruction 0: shift by 32'],
  ['{ 0x60, 0, 0, 16 },\n{ 0x6, 0, 0, 0 },', 0, 'instruction 0: no memory word 16'],
  ['{ 0x60, 0, 0, 3 },\n{ 0x6, 0, 0, 0 },', 0, 'instruction 0: memory word 3 is read before it is written'],
  ['{ 0xff, 0, 0, 0 },\n{ 0x6, 0, 0, 0 },', 0, 'instruction 0: unknown opcode 0xff'],
  ['{ 0x20, 0, 0, 0xfffff00c },\n{ 0x6, 0, 0, 0 },', 0, 'instruction 0: unknown ancillary load'],
])('%j is refused at line %i: %s', (text, line, message) => {
  expect(parseClassic(text)).toEqual({ kind: 'refused', line, message })
})

test('a load past the end ends the filter with 0', () => {
  const instructions = parsed('{ 0x20, 0, 0, 11 },\n{ 0x6, 0, 0, 65535 },')
  expect(keep(instructions, new Uint8Array(15))).toBe(65535)
  expect(keep(instructions, new Uint8Array(14))).toBe(0)
})

test('a division by a zero X ends the filter with 0', () => {
  const instructions = parsed('{ 0x1, 0, 0, 0 },\n{ 0x0, 0, 0, 9 },\n{ 0x3c, 0, 0, 0 },\n{ 0x6, 0, 0, 1 },')
  expect(keep(instructions, new Uint8Array(20))).toBe(0)
})

test('any program that passes the check ends, on any packet', () => {
  const codes = [
    0x28, 0x30, 0x20, 0x40, 0x48, 0x80, 0, 1, 0x60, 2, 4, 0x0c, 0x24, 0x3c, 0x54, 0x15, 0x25, 0x45, 5, 6,
    0x16, 7, 0x87, 0xb1,
  ]
  const instruction = fc.record({
    code: fc.constantFrom(...codes),
    jt: fc.nat(6),
    jf: fc.nat(6),
    k: fc.oneof(fc.nat(40), fc.nat(0xffff_ffff)),
  })
  fc.assert(
    fc.property(fc.array(instruction, { maxLength: 30 }), fc.uint8Array({ maxLength: 60 }), (body, bytes) => {
      const program = [...body, { code: 6, jt: 0, jf: 0, k: 7 }]
      if (checkClassic(program) !== undefined) return
      const result = keep(program, bytes)
      expect(result >= 0 && result <= 0xffff_ffff).toBe(true)
    }),
  )
})
