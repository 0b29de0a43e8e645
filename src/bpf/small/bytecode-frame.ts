// What the parts of the bytecode generator share: registers, the stack frame, and the few sequences that everything is
// made of. r6 holds the context and r7 a map value with the offsets of the layers (a map, because the verifier forgets
// what lies in one: paths through the header walk meet again behind it). Packets are read and written with the load and
// store helpers, which check their bounds at run time.
import { Assembler, type Label } from '../asm/assembler.ts'
import type { Register } from '../asm/instruction.ts'
import { layers } from './fields.ts'
import type { IrMap, SmallIr } from './ir.ts'

/** Context and offsets, for the whole program. */
export const context: Register = 6
export const offsets: Register = 7
/** Survives calls inside one sequence. */
export const kept: Register = 8
export const frame: Register = 10

/** Bytes of the offsets map's only value: a signed 64-bit number for each layer, -1 when the layer is not there. */
export const offsetsBytes = Object.keys(layers).length * 8

/** Places below the frame pointer. Buffers start at a multiple of 8. */
export const at = {
  redirectCode: -8,
  /** Eight temporary numbers, downwards. */
  slots: -16,
  old: -144,
  fresh: -208,
  key: -272,
  value: -400,
} as const

/** Bytes of the value buffer: the longest record or struct. */
export const valueBytesMax = 128

/** One program being generated. */
export interface Emit {
  readonly asm: Assembler
  readonly xdp: boolean
  /** The packet begins at its IP header (cgroup_skb). */
  readonly bare: boolean
  readonly maps: readonly IrMap[]
  /** The number of the map that holds the offsets: behind the program's own. */
  readonly offsetsMap: number
  /** The function that finds the layers. */
  readonly walk: Label
}

/** A fresh state. */
export function startEmit(ir: SmallIr): Emit {
  const asm = new Assembler()
  return {
    asm,
    xdp: ir.type === 'xdp',
    bare: ir.type === 'cgroup_skb',
    maps: ir.maps,
    offsetsMap: ir.maps.length,
    walk: asm.label(),
  }
}

/** Where a temporary number lies. */
export function slot(index: number): number {
  return at.slots - 8 * index
}

/** `slot = r0`. */
export function keep(emit: Emit, index: number, from: Register = 0): void {
  emit.asm.store(8, frame, slot(index), from)
}

/** `register = slot`. */
export function recall(emit: Emit, index: number, into: Register): void {
  emit.asm.load(8, into, frame, slot(index))
}

/** `register = frame + offset`. */
export function address(emit: Emit, register: Register, offset: number): void {
  emit.asm.move(register, frame)
  emit.asm.alu('add', register, offset)
}

/** A jump that is always taken, in a form that leaves what follows reachable for the verifier's first pass. */
export function always(emit: Emit, label: Label): void {
  emit.asm.set(0, 0)
  emit.asm.jumpIf('eq', 0, 0, label)
}

/** `r2 = ` the position of a layer from the packet's start; jumps when the layer is not there. */
export function layerPosition(emit: Emit, layer: keyof typeof layers, absent: Label): void {
  emit.asm.load(8, 2, offsets, layers[layer] * 8)
  emit.asm.jumpIf('slt', 2, 0, absent)
}

/** Copies `bytes` of the packet at r2 into the frame; jumps when they are not there. */
export function loadPacket(emit: Emit, into: number, bytes: number, absent: Label): void {
  const { asm } = emit
  asm.move(1, context)
  address(emit, 3, into)
  asm.set(4, bytes)
  asm.call(emit.xdp ? 'xdp_load_bytes' : 'skb_load_bytes')
  asm.jumpIf('ne', 0, 0, absent)
}

/** Copies bytes of the frame into the packet at r2. */
export function storePacket(emit: Emit, from: number, bytes: number): void {
  const { asm } = emit
  asm.move(1, context)
  address(emit, 3, from)
  asm.set(4, bytes)
  asm.set(5, 0)
  asm.call(emit.xdp ? 'xdp_store_bytes' : 'skb_store_bytes')
}

/** Finds the layers again. */
export function walkAgain(emit: Emit): void {
  emit.asm.move(1, context)
  emit.asm.move(2, offsets)
  emit.asm.callLabel(emit.walk)
}

/** Ends the program. */
export function leave(emit: Emit, code: number): void {
  emit.asm.set(0, code)
  emit.asm.exit()
}

/** Zeroes bytes of the frame, in words of eight. */
export function clear(emit: Emit, from: number, bytes: number): void {
  for (let done = 0; done < bytes; done += 8) emit.asm.storeNumber(8, frame, from + done, 0)
}

/** Stores constant bytes into the frame; `into` is a multiple of 4. */
export function storeConstant(emit: Emit, into: number, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let done = 0
  for (; done + 4 <= bytes.length; done += 4)
    emit.asm.storeNumber(4, frame, into + done, view.getInt32(done, true))
  for (; done < bytes.length; done += 1) emit.asm.storeNumber(1, frame, into + done, bytes[done] ?? 0)
}

/** Copies bytes from one place of the frame to another, in words of `unit` bytes. */
export function copy(emit: Emit, from: number, into: number, bytes: number): void {
  const unit = bytes % 4 === 0 && from % 4 === 0 && into % 4 === 0 ? 4 : bytes % 2 === 0 ? 2 : 1
  for (let done = 0; done < bytes; done += unit) {
    emit.asm.load(unit, 1, frame, from + done)
    emit.asm.store(unit, frame, into + done, 1)
  }
}
