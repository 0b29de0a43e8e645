// Programs put together instruction by instruction: labels become offsets, maps become numbers that a loader replaces
// with file descriptors. What enters are calls; what leaves are bytes that bpf(2) takes.
import { assert, present } from '../../base/assert.ts'
import type { HelperName } from '../helpers/table.ts'
import { helperTable } from '../helpers/table.ts'
import {
  type AluOperation,
  aluImmediate,
  aluRegister,
  callFunction,
  callHelper,
  exitProgram,
  type Instruction,
  instructionBytes,
  type JumpCondition,
  jump,
  jumpImmediate,
  jumpRegister,
  load,
  loadWide,
  pseudoMapFd,
  type Register,
  store,
  storeImmediate,
  toBigEndian,
  type Width,
  writeInstruction,
} from './instruction.ts'

/** A place in the program, bound by `bind`. */
export type Label = number

/** A finished program. */
export interface Bytecode {
  readonly bytes: Uint8Array
  /** Where file descriptors go: the number of the instruction (its immediate) and the number of the map. */
  readonly maps: readonly { readonly at: number; readonly map: number }[]
}

interface Reference {
  readonly at: number
  readonly label: Label
  readonly kind: 'jump' | 'call'
}

const offsetMax = 32767

/** Collects instructions. */
export class Assembler {
  private readonly instructions: Instruction[] = []
  private readonly bound: (number | undefined)[] = []
  private readonly references: Reference[] = []
  private readonly maps: { readonly at: number; readonly map: number }[] = []

  /** A label that is not bound yet. */
  label(): Label {
    return this.bound.push(undefined) - 1
  }

  /** Binds a label to the next instruction. */
  bind(label: Label): void {
    assert(this.bound[label] === undefined, 'a label is bound once')
    this.bound[label] = this.instructions.length
  }

  /** Whether anything jumps to a label so far: what nothing reaches may not be there at all. */
  isReached(label: Label): boolean {
    return this.references.some((each) => each.label === label)
  }

  alu(operation: AluOperation, dst: Register, immediate: number, bits: 32 | 64 = 64): void {
    this.instructions.push(aluImmediate(operation, dst, immediate, bits))
  }

  aluReg(operation: AluOperation, dst: Register, src: Register, bits: 32 | 64 = 64): void {
    this.instructions.push(aluRegister(operation, dst, src, bits))
  }

  move(dst: Register, src: Register): void {
    this.aluReg('mov', dst, src)
  }

  /** `dst = value`, in one instruction where it fits 32 bits with sign. */
  set(dst: Register, value: number): void {
    if (value >= -0x8000_0000 && value <= 0x7fff_ffff) {
      this.alu('mov', dst, value)
      return
    }
    this.instructions.push(...loadWide(dst, (value % 0x1_0000_0000) >>> 0, Math.floor(value / 0x1_0000_0000)))
  }

  swap(dst: Register, bits: 16 | 32 | 64): void {
    this.instructions.push(toBigEndian(dst, bits))
  }

  load(width: Width, dst: Register, src: Register, offset: number): void {
    this.instructions.push(load(width, dst, src, offset))
  }

  store(width: Width, dst: Register, offset: number, src: Register): void {
    this.instructions.push(store(width, dst, offset, src))
  }

  storeNumber(width: Width, dst: Register, offset: number, value: number): void {
    this.instructions.push(storeImmediate(width, dst, offset, value))
  }

  /** `dst = ` the map with this number. */
  map(dst: Register, map: number): void {
    this.maps.push({ at: this.instructions.length, map })
    this.instructions.push(...loadWide(dst, 0, 0, pseudoMapFd))
  }

  jump(label: Label): void {
    this.refer(label, 'jump')
    this.instructions.push(jump(0))
  }

  jumpIf(condition: JumpCondition, dst: Register, immediate: number, label: Label): void {
    this.refer(label, 'jump')
    this.instructions.push(jumpImmediate(condition, dst, immediate, 0))
  }

  jumpIfReg(condition: JumpCondition, dst: Register, src: Register, label: Label): void {
    this.refer(label, 'jump')
    this.instructions.push(jumpRegister(condition, dst, src, 0))
  }

  call(helper: HelperName): void {
    this.instructions.push(callHelper(helperTable[helper].id))
  }

  callLabel(label: Label): void {
    this.refer(label, 'call')
    this.instructions.push(callFunction(0))
  }

  exit(): void {
    this.instructions.push(exitProgram())
  }

  /** The program. A label that is not bound, or too far away, is our own mistake. */
  finish(): Bytecode {
    const bytes = new Uint8Array(this.instructions.length * instructionBytes)
    const view = new DataView(bytes.buffer)
    for (const [index, each] of this.instructions.entries())
      writeInstruction(view, index * instructionBytes, each)
    for (const { at, label, kind } of this.references) {
      const offset = present(this.bound[label], 'a label that is jumped to is bound') - at - 1
      const position = at * instructionBytes
      if (kind === 'call') view.setInt32(position + 4, offset, true)
      else {
        assert(Math.abs(offset) <= offsetMax, 'a jump reaches its label')
        view.setInt16(position + 2, offset, true)
      }
    }
    return { bytes, maps: this.maps }
  }

  private refer(label: Label, kind: Reference['kind']): void {
    this.references.push({ at: this.instructions.length, label, kind })
  }
}
