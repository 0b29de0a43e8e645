// Reads a classic filter as tools print it: `tcpdump -dd` (C initialisers), `tcpdump -ddd` and iptables' `--bytecode`
// (decimal numbers, the count first, lines or commas between).
import { checkClassic } from './check.ts'
import type { ClassicInstruction } from './instruction.ts'

export type ParsedClassic =
  | { readonly kind: 'filter'; readonly instructions: readonly ClassicInstruction[] }
  /** `line` counts from 1 in the text; 0 where the whole is meant. */
  | { readonly kind: 'refused'; readonly line: number; readonly message: string }

const initialiser = /^\{\s*(0x[0-9a-f]+|\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(0x[0-9a-f]+|\d+)\s*\}\s*,?$/i
const decimal = /^(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$/

function instructionOf(match: RegExpExecArray): ClassicInstruction | undefined {
  const [code = 0, jt = 0, jf = 0, k = 0] = match.slice(1).map(Number)
  return code > 0xffff || jt > 0xff || jf > 0xff || k > 0xffff_ffff ? undefined : { code, jt, jf, k }
}

function refused(line: number, message: string): ParsedClassic {
  return { kind: 'refused', line, message }
}

/** Parses and checks a filter; a text that is neither form, or a program the kernel refuses, gives line and reason. */
export function parseClassic(text: string): ParsedClassic {
  const lines = text.split(/\r?\n|(?<=^[^{}]*\d),(?=\s*\d+ )/)
  const instructions: ClassicInstruction[] = []
  let announced: number | undefined
  for (const [index, raw] of lines.entries()) {
    const line = raw.trim()
    if (line === '') continue
    if (/^\d+$/.test(line) && announced === undefined && instructions.length === 0) {
      announced = Number(line)
      continue
    }
    const match = initialiser.exec(line) ?? decimal.exec(line)
    const instruction = match === null ? undefined : instructionOf(match)
    if (instruction === undefined) return refused(index + 1, `not an instruction: ${line}`)
    instructions.push(instruction)
  }
  if (announced !== undefined && announced !== instructions.length) {
    return refused(0, `${announced} instructions announced, ${instructions.length} there`)
  }
  const problem = checkClassic(instructions)
  return problem === undefined ? { kind: 'filter', instructions } : refused(0, problem)
}
