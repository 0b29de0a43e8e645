// What the kernel refuses when a filter is attached: net/core/filter.c bpf_check_classic() and check_load_and_stores().
// So a filter that passes ends: all jumps go forward, and the last instruction returns.
import {
  aluOf,
  ancillary,
  ancillaryBase,
  type ClassicInstruction,
  classOf,
  instructionsMax,
  jumpOf,
  memoryWords,
  modeOf,
  returnA,
  sizeOf,
  sourceX,
  transferXa,
} from './instruction.ts'

function knownCodes(): Set<number> {
  const codes = new Set<number>()
  const { LD, LDX, ST, STX, ALU, JMP, RET, MISC } = classOf
  for (const operation of Object.values(aluOf)) codes.add(ALU | operation).add(ALU | operation | sourceX)
  codes.delete(ALU | aluOf.NEG | sourceX)
  for (const size of Object.values(sizeOf)) codes.add(LD | size | modeOf.ABS).add(LD | size | modeOf.IND)
  codes
    .add(LD | modeOf.LEN)
    .add(LD | modeOf.IMM)
    .add(LD | modeOf.MEM)
  codes
    .add(LDX | modeOf.LEN)
    .add(LDX | modeOf.IMM)
    .add(LDX | modeOf.MEM)
    .add(LDX | sizeOf.B | modeOf.MSH)
  codes
    .add(ST)
    .add(STX)
    .add(RET)
    .add(RET | returnA)
    .add(MISC)
    .add(MISC | transferXa)
    .add(JMP | jumpOf.JA)
  for (const jump of [jumpOf.JEQ, jumpOf.JGT, jumpOf.JGE, jumpOf.JSET]) {
    codes.add(JMP | jump).add(JMP | jump | sourceX)
  }
  return codes
}

const known = knownCodes()
const ancillaryKnown = new Set<number>(Object.values(ancillary))

function aluProblem({ code, k }: ClassicInstruction): string | undefined {
  if ((code & sourceX) !== 0) return undefined
  const operation = code & 0xf0
  if ((operation === aluOf.DIV || operation === aluOf.MOD) && k === 0) return 'division by zero'
  const shift = operation === aluOf.LSH || operation === aluOf.RSH
  return shift && k >= 32 ? `shift by ${k}` : undefined
}

function jumpProblem({ code, jt, jf, k }: ClassicInstruction, left: number): string | undefined {
  const furthest = (code & 0xf0) === jumpOf.JA ? k : Math.max(jt, jf)
  return furthest >= left ? 'jumps past the end' : undefined
}

function usesMemory({ code }: ClassicInstruction): boolean {
  const kind = code & 7
  if (kind === classOf.ST || kind === classOf.STX) return true
  return (kind === classOf.LD || kind === classOf.LDX) && (code & 0xe0) === modeOf.MEM
}

function problemOf(instruction: ClassicInstruction, left: number): string | undefined {
  const { code, k } = instruction
  if (!known.has(code)) return `unknown opcode 0x${code.toString(16)}`
  if (usesMemory(instruction) && k >= memoryWords) return `no memory word ${k}`
  switch (code & 7) {
    case classOf.ALU:
      return aluProblem(instruction)
    case classOf.JMP:
      return jumpProblem(instruction, left)
    case classOf.LD: {
      const isAncillary = (code & 0xe0) === modeOf.ABS && k >= ancillaryBase
      return isAncillary && !ancillaryKnown.has(k - ancillaryBase) ? 'unknown ancillary load' : undefined
    }
    default:
      return undefined
  }
}

/** A memory word must be written on every way to where it is read: one bit for each word, met at each jump's target. */
function memoryProblem(instructions: readonly ClassicInstruction[]): string | undefined {
  const reaching = new Uint16Array(instructions.length).fill(0xffff)
  let written = 0
  const meet = (target: number): void => {
    if (target < reaching.length) reaching[target] = (reaching[target] as number) & written
  }
  for (const [pc, { code, jt, jf, k }] of instructions.entries()) {
    written &= reaching[pc] as number
    const kind = code & 7
    if (kind === classOf.ST || kind === classOf.STX) written |= 1 << k
    else if ((kind === classOf.LD || kind === classOf.LDX) && (code & 0xe0) === modeOf.MEM) {
      if ((written & (1 << k)) === 0)
        return `instruction ${pc}: memory word ${k} is read before it is written`
    } else if (kind === classOf.JMP) {
      if ((code & 0xf0) === jumpOf.JA) meet(pc + 1 + k)
      else {
        meet(pc + 1 + jt)
        meet(pc + 1 + jf)
      }
      written = 0xffff
    } else if (kind === classOf.RET) written = 0xffff
  }
  return undefined
}

/** Why the kernel would refuse a filter (-EINVAL); undefined for a good one. Instructions are counted from 0, as in `tcpdump -d`. */
export function checkClassic(instructions: readonly ClassicInstruction[]): string | undefined {
  const count = instructions.length
  if (count === 0) return 'no instructions'
  if (count > instructionsMax) return `${count} instructions, at most ${instructionsMax} are allowed`
  for (const [pc, instruction] of instructions.entries()) {
    const problem = problemOf(instruction, count - pc - 1)
    if (problem !== undefined) return `instruction ${pc}: ${problem}`
  }
  const last = instructions[count - 1]
  if (last === undefined || (last.code & 7) !== classOf.RET) return 'the last instruction does not return'
  return memoryProblem(instructions)
}
