// Runs a checked classic filter on a packet: the answer is how many bytes of it to keep, 0 for none. Loads outside of the
// packet end the filter with 0. net/core/filter.c bpf_convert_filter() says what Linux adds to the BSD machine.
import { readU16, readU32 } from '../../net/bytes.ts'
import type { RunContext, SkbView } from '../contract.ts'
import {
  aluOf,
  ancillary,
  ancillaryBase,
  type ClassicInstruction,
  classOf,
  jumpOf,
  linkBase,
  memoryWords,
  modeOf,
  networkBase,
  returnA,
  sizeOf,
  sourceX,
  transferXa,
} from './instruction.ts'

/** What a filter works on. Positions are offsets into `bytes`. */
export interface ClassicPacket {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  /** Where the IP header is: loads from SKF_NET_OFF. */
  readonly network: number
  /** The packet's metadata and the run, for ancillary loads; without them those are 0. */
  readonly skb?: SkbView
  readonly context?: RunContext
}

/** A load failed: the filter answers 0. */
const outside = -1

function loadAt({ bytes, end }: ClassicPacket, position: number, size: number): number {
  const length = size === sizeOf.W ? 4 : size === sizeOf.H ? 2 : 1
  if (position < 0 || position + length > end) return outside
  if (length === 1) return bytes[position] as number
  return length === 2 ? readU16(bytes, position) : readU32(bytes, position)
}

function ancillaryValue({ skb, context }: ClassicPacket, which: number): number {
  if (skb === undefined) return 0
  switch (which) {
    case ancillary.protocol:
      return skb.protocol
    case ancillary.pktType:
      return skb.pktType
    case ancillary.ifindex:
      return skb.ifindex
    case ancillary.mark:
      return skb.mark >>> 0
    case ancillary.queue:
      return skb.queueMapping
    case ancillary.rxHash:
      return skb.hash >>> 0
    case ancillary.cpu:
      return context?.kernel.cpu ?? 0
    case ancillary.vlanTag:
      return Math.max(skb.vlanTci, 0)
    case ancillary.vlanTagPresent:
      return skb.vlanTci < 0 ? 0 : 1
    case ancillary.random:
      return context === undefined ? 0 : context.kernel.random32() >>> 0
    case ancillary.vlanTpid:
      return skb.vlanTci < 0 ? 0 : skb.vlanProtocol
    default:
      return 0
  }
}

/** A load at an unsigned offset: packet bytes, or one of Linux's windows at the top of the range. */
function load(packet: ClassicPacket, offset: number, size: number): number {
  if (offset < 0x8000_0000) return loadAt(packet, packet.start + offset, size)
  if (offset >= networkBase) return loadAt(packet, packet.network + (offset - networkBase), size)
  return offset >= linkBase ? loadAt(packet, packet.start + (offset - linkBase), size) : outside
}

function calculated(operation: number, a: number, b: number): number {
  switch (operation) {
    case aluOf.ADD:
      return (a + b) >>> 0
    case aluOf.SUB:
      return (a - b) >>> 0
    case aluOf.MUL:
      return Math.imul(a, b) >>> 0
    case aluOf.DIV:
      return b === 0 ? outside : Math.floor(a / b)
    case aluOf.MOD:
      return b === 0 ? outside : a % b
    case aluOf.AND:
      return (a & b) >>> 0
    case aluOf.OR:
      return (a | b) >>> 0
    case aluOf.XOR:
      return (a ^ b) >>> 0
    case aluOf.LSH:
      return (a << (b & 31)) >>> 0
    case aluOf.RSH:
      return a >>> (b & 31)
    default:
      return -a >>> 0
  }
}

function jumps(operation: number, a: number, b: number): boolean {
  switch (operation) {
    case jumpOf.JEQ:
      return a === b
    case jumpOf.JGT:
      return a > b
    case jumpOf.JGE:
      return a >= b
    default:
      return (a & b) !== 0
  }
}

interface Registers {
  a: number
  x: number
  readonly memory: Uint32Array
}

/** What a load instruction yields, or `outside`. */
function loaded(packet: ClassicPacket, { code, k }: ClassicInstruction, registers: Registers): number {
  const size = code & 0x18
  switch (code & 0xe0) {
    case modeOf.IMM:
      return k
    case modeOf.LEN:
      return packet.end - packet.start
    case modeOf.MEM:
      return registers.memory[k] as number
    case modeOf.MSH: {
      const byte = load(packet, k, sizeOf.B)
      return byte < 0 ? outside : (byte & 15) * 4
    }
    case modeOf.IND:
      return load(packet, (registers.x + k) >>> 0, size)
    default:
      return k >= ancillaryBase ? ancillaryValue(packet, k - ancillaryBase) : load(packet, k, size)
  }
}

/** Runs a filter that `checkClassic` found good: bytes to keep (unsigned 32 bits), 0 to drop. */
export function runClassic(instructions: readonly ClassicInstruction[], packet: ClassicPacket): number {
  const registers: Registers = { a: 0, x: 0, memory: new Uint32Array(memoryWords) }
  for (let pc = 0; pc < instructions.length; pc += 1) {
    const instruction = instructions[pc] as ClassicInstruction
    const { code, jt, jf, k } = instruction
    const operand = (code & sourceX) !== 0 ? registers.x : k
    switch (code & 7) {
      case classOf.LD:
        registers.a = loaded(packet, instruction, registers)
        if (registers.a < 0) return 0
        break
      case classOf.LDX:
        registers.x = loaded(packet, instruction, registers)
        if (registers.x < 0) return 0
        break
      case classOf.ST:
        registers.memory[k] = registers.a
        break
      case classOf.STX:
        registers.memory[k] = registers.x
        break
      case classOf.ALU:
        registers.a = calculated(code & 0xf0, registers.a, operand)
        if (registers.a < 0) return 0
        break
      case classOf.JMP:
        if ((code & 0xf0) === jumpOf.JA) pc += k
        else pc += jumps(code & 0xf0, registers.a, operand) ? jt : jf
        break
      case classOf.RET:
        return (code & returnA) !== 0 ? registers.a : k
      default:
        if ((code & transferXa) !== 0) registers.a = registers.x
        else registers.x = registers.a
    }
  }
  return 0
}
