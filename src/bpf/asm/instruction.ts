// One eBPF instruction: opcodes by name, and the eight bytes each takes. Linux: include/uapi/linux/bpf.h,
// include/uapi/linux/bpf_common.h; RFC 9669 sections 3 to 5. Little endian, as on every machine we run on.

/** Registers: r0 returns, r1-r5 are arguments, r6-r9 survive calls, r10 is the frame pointer. */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10

/** Bytes of a memory access. */
export type Width = 1 | 2 | 4 | 8

/** An instruction before it is encoded. `offset` is in instructions for jumps, in bytes for memory. */
export interface Instruction {
  readonly opcode: number
  readonly dst: number
  readonly src: number
  readonly offset: number
  /** 32 bits; signed or unsigned. */
  readonly immediate: number
}

const widthBits: Readonly<Record<Width, number>> = { 4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18 }

/** Operations of the ALU classes (BPF_OP). */
export const aluOperation = {
  add: 0x00,
  sub: 0x10,
  mul: 0x20,
  div: 0x30,
  or: 0x40,
  and: 0x50,
  lsh: 0x60,
  rsh: 0x70,
  neg: 0x80,
  mod: 0x90,
  xor: 0xa0,
  mov: 0xb0,
  arsh: 0xc0,
} as const

export type AluOperation = keyof typeof aluOperation

/** Conditions of jumps. */
export const jumpCondition = {
  eq: 0x10,
  gt: 0x20,
  ge: 0x30,
  set: 0x40,
  ne: 0x50,
  sgt: 0x60,
  sge: 0x70,
  lt: 0xa0,
  le: 0xb0,
  slt: 0xc0,
  sle: 0xd0,
} as const

export type JumpCondition = keyof typeof jumpCondition

const classBits = { ldx: 0x01, st: 0x02, stx: 0x03, alu: 0x04, jmp: 0x05, alu64: 0x07 } as const
const memoryMode = 0x60
const registerSource = 0x08
const always = 0x00
const call = 0x80
const exit = 0x90
const endian = 0xd0

/** src of a call to a function of the same program (BPF_PSEUDO_CALL). */
export const pseudoCall = 1
/** src of a 64-bit load of a map's file descriptor (BPF_PSEUDO_MAP_FD). */
export const pseudoMapFd = 1

function instruction(
  opcode: number,
  dst: number,
  src: number,
  offset: number,
  immediate: number,
): Instruction {
  return { opcode, dst, src, offset, immediate }
}

/** `dst OP= immediate`; `bits` 32 zeroes the upper half. */
export function aluImmediate(
  operation: AluOperation,
  dst: Register,
  immediate: number,
  bits: 32 | 64 = 64,
): Instruction {
  return instruction(
    (bits === 64 ? classBits.alu64 : classBits.alu) | aluOperation[operation],
    dst,
    0,
    0,
    immediate,
  )
}

/** `dst OP= src`. */
export function aluRegister(
  operation: AluOperation,
  dst: Register,
  src: Register,
  bits: 32 | 64 = 64,
): Instruction {
  const kind = bits === 64 ? classBits.alu64 : classBits.alu
  return instruction(kind | registerSource | aluOperation[operation], dst, src, 0, 0)
}

/** `dst = htobe(dst)` of 16, 32 or 64 bits: swaps the bytes, zeroes the rest. */
export function toBigEndian(dst: Register, bits: 16 | 32 | 64): Instruction {
  return instruction(classBits.alu | registerSource | endian, dst, 0, 0, bits)
}

/** `dst = *(src + offset)`. */
export function load(width: Width, dst: Register, src: Register, offset: number): Instruction {
  return instruction(classBits.ldx | memoryMode | widthBits[width], dst, src, offset, 0)
}

/** `*(dst + offset) = src`. */
export function store(width: Width, dst: Register, offset: number, src: Register): Instruction {
  return instruction(classBits.stx | memoryMode | widthBits[width], dst, src, offset, 0)
}

/** `*(dst + offset) = immediate`. */
export function storeImmediate(width: Width, dst: Register, offset: number, immediate: number): Instruction {
  return instruction(classBits.st | memoryMode | widthBits[width], dst, 0, offset, immediate)
}

/** `if dst OP immediate goto +offset`. */
export function jumpImmediate(
  condition: JumpCondition,
  dst: Register,
  immediate: number,
  offset: number,
): Instruction {
  return instruction(classBits.jmp | jumpCondition[condition], dst, 0, offset, immediate)
}

/** `if dst OP src goto +offset`. */
export function jumpRegister(
  condition: JumpCondition,
  dst: Register,
  src: Register,
  offset: number,
): Instruction {
  return instruction(classBits.jmp | registerSource | jumpCondition[condition], dst, src, offset, 0)
}

/** `goto +offset`. */
export function jump(offset: number): Instruction {
  return instruction(classBits.jmp | always, 0, 0, offset, 0)
}

/** `call helper`. */
export function callHelper(id: number): Instruction {
  return instruction(classBits.jmp | call, 0, 0, 0, id)
}

/** `call +offset`: a function of the same program. */
export function callFunction(offset: number): Instruction {
  return instruction(classBits.jmp | call, 0, pseudoCall, 0, offset)
}

/** `exit`. */
export function exitProgram(): Instruction {
  return instruction(classBits.jmp | exit, 0, 0, 0, 0)
}

/** The two instructions of a 64-bit load: `low` and `high` are the halves, `src` says what they mean. */
export function loadWide(dst: Register, low: number, high: number, src = 0): readonly Instruction[] {
  return [instruction(0x18, dst, src, 0, low), instruction(0, 0, 0, 0, high)]
}

/** Bytes of an instruction. */
export const instructionBytes = 8

/** Writes an instruction at `at`: opcode, registers (dst in the low half), offset, immediate. */
export function writeInstruction(view: DataView, at: number, each: Instruction): void {
  view.setUint8(at, each.opcode)
  view.setUint8(at + 1, each.dst | (each.src << 4))
  view.setInt16(at + 2, each.offset, true)
  view.setUint32(at + 4, each.immediate >>> 0, true)
}
