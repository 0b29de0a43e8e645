import { describe, expect, test } from 'vitest'
import { bytesToHex } from '../../net/hex.ts'
import { Assembler } from './assembler.ts'

/** The program that `write` puts together, eight bytes a line. */
function assembled(write: (asm: Assembler) => void): string[] {
  const asm = new Assembler()
  write(asm)
  return bytesToHex(asm.finish().bytes).match(/.{16}/g) ?? []
}

describe('one instruction', () => {
  // by hand from RFC 9669: opcode, registers (source in the high half), offset and immediate little endian
  test.each<[string, (asm: Assembler) => void, string[]]>([
    ['r0 = 2', (asm) => asm.set(0, 2), ['b700000002000000']],
    ['r0 = -1', (asm) => asm.set(0, -1), ['b7000000ffffffff']],
    ['r1 = 0x1_0000_0002', (asm) => asm.set(1, 0x1_0000_0002), ['1801000002000000', '0000000001000000']],
    ['r3 = 0x8000_0000', (asm) => asm.set(3, 0x8000_0000), ['1803000000000080', '0000000000000000']],
    ['r6 = r1', (asm) => asm.move(6, 1), ['bf16000000000000']],
    ['w2 += 7', (asm) => asm.alu('add', 2, 7, 32), ['0402000007000000']],
    ['r1 ^= r2', (asm) => asm.aluReg('xor', 1, 2), ['af21000000000000']],
    ['r0 = be16 r0', (asm) => asm.swap(0, 16), ['dc00000010000000']],
    ['r2 = *(u16 *)(r10 - 8)', (asm) => asm.load(2, 2, 10, -8), ['69a2f8ff00000000']],
    ['*(u64 *)(r10 - 16) = r0', (asm) => asm.store(8, 10, -16, 0), ['7b0af0ff00000000']],
    ['*(u32 *)(r10 - 4) = 5', (asm) => asm.storeNumber(4, 10, -4, 5), ['620afcff05000000']],
    ['call bpf_map_lookup_elem', (asm) => asm.call('map_lookup_elem'), ['8500000001000000']],
    ['exit', (asm) => asm.exit(), ['9500000000000000']],
  ])('%s', (_text, write, bytes) => expect(assembled(write)).toEqual(bytes))
})

test('a jump counts from the instruction behind it, in instructions of eight bytes', () => {
  const lines = assembled((asm) => {
    const end = asm.label()
    asm.jumpIf('ne', 1, 0x0800, end) // over a load of two instructions
    asm.set(0, 0x1_0000_0000)
    asm.bind(end)
    asm.exit()
  })
  expect(lines[0]).toBe('5501020000080000')
})

test('a jump back is negative; a call of a function carries its distance in the immediate', () => {
  const lines = assembled((asm) => {
    const start = asm.label()
    asm.bind(start)
    asm.set(0, 0)
    asm.callLabel(start)
    asm.jumpIfReg('lt', 1, 2, start)
    asm.jump(start)
  })
  expect(lines.slice(1)).toEqual(['85100000feffffff', 'ad21fdff00000000', '0500fcff00000000'])
})

test('a map is a load of a file descriptor that the loader fills in', () => {
  const asm = new Assembler()
  asm.set(0, 0)
  asm.map(1, 3)
  const { bytes, maps } = asm.finish()
  expect(maps).toEqual([{ at: 1, map: 3 }])
  expect(bytesToHex(bytes.subarray(8))).toBe('18110000000000000000000000000000')
})

test('a label that is never bound is our own mistake', () => {
  const asm = new Assembler()
  asm.jump(asm.label())
  expect(() => asm.finish()).toThrow('bound')
})
