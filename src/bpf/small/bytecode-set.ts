// `set FIELD = VALUE` as bytecode: the field's word is read, changed in the frame, the checksums that cover it are
// repaired with the calls of a C program (in XDP by hand), and the word is written back. The counterpart of set-field.ts.
import type { Label } from '../asm/assembler.ts'
import { skbAt } from '../context/skb-fields.ts'
import { fault } from '../fault.ts'
import { checksumFlag } from '../helpers/checksum.ts'
import { bigEndian, emitNumber, emitWide, pointAtMeta } from './bytecode-expr.ts'
import {
  at,
  context,
  copy,
  type Emit,
  frame,
  keep,
  layerPosition,
  leave,
  loadPacket,
  recall,
  slot,
  storePacket,
  walkAgain,
} from './bytecode-frame.ts'
import { isWide } from './expr.ts'
import {
  type FieldName,
  type HeaderField,
  headerFields,
  isHeaderField,
  type MetaFieldName,
} from './fields.ts'
import type { IrExpr } from './ir.ts'

/** Temporaries of this file. */
const temporary = { value: 0, position: 1, transport: 2, udpFlag: 3 } as const
const checksumAt = { ip: 10, tcp: 16, udp: 6, icmp: 2, icmp6: 2 } as const

/** Sets the temporaries to the transport checksum at a layer, if the layer is there. */
function tryTransport(emit: Emit, layer: 'tcp' | 'udp' | 'icmp' | 'icmp6', done: Label): void {
  const { asm } = emit
  const other = asm.label()
  layerPosition(emit, layer, other)
  asm.alu('add', 2, checksumAt[layer])
  keep(emit, temporary.transport, 2)
  if (layer === 'udp') asm.storeNumber(8, frame, slot(temporary.udpFlag), checksumFlag.BPF_F_MARK_MANGLED_0)
  asm.jump(done)
  asm.bind(other)
}

/** Which transport checksums may cover a field of this layer. */
function transportsOf(field: HeaderField): readonly ('tcp' | 'udp' | 'icmp' | 'icmp6')[] {
  if (field.checksum) return []
  switch (field.layer) {
    case 'tcp':
    case 'udp':
    case 'icmp':
    case 'icmp6':
      return [field.layer]
    case 'vxlan':
    case 'geneve':
      return ['udp']
    case 'ip':
      return field.bytes === 4 ? ['tcp', 'udp', 'icmp6'] : []
    case 'ip6':
      return field.bytes === 16 ? ['tcp', 'udp', 'icmp6'] : []
    default:
      return []
  }
}

/** In XDP: the sum at the position in r2 after a word went from r8 to r9. */
function repairFrame(emit: Emit, size: 2 | 4, udp: 'never' | 'flag', done: Label): void {
  const { asm } = emit
  const position = temporary.value
  keep(emit, position, 2)
  loadPacket(emit, at.key, 2, done)
  asm.load(2, 1, frame, at.key)
  const notUdp = asm.label()
  if (udp === 'flag') {
    recall(emit, temporary.udpFlag, 2)
    asm.jumpIf('eq', 2, 0, notUdp)
    asm.jumpIf('eq', 1, 0, done)
    asm.bind(notUdp)
  }
  asm.alu('xor', 1, 0xffff)
  for (const [register, inverted] of [
    [8, true],
    [9, false],
  ] as const) {
    for (const shift of size === 4 ? [16, 0] : [0]) {
      asm.move(2, register)
      if (shift > 0) asm.alu('rsh', 2, shift)
      asm.alu('and', 2, 0xffff)
      if (inverted) asm.alu('xor', 2, 0xffff)
      asm.aluReg('add', 1, 2)
    }
  }
  for (let fold = 0; fold < 2; fold += 1) {
    asm.move(2, 1)
    asm.alu('rsh', 2, 16)
    asm.alu('and', 1, 0xffff)
    asm.aluReg('add', 1, 2)
  }
  asm.alu('xor', 1, 0xffff)
  if (udp === 'flag') {
    const plain = asm.label()
    asm.jumpIf('ne', 1, 0, plain)
    recall(emit, temporary.udpFlag, 2)
    asm.jumpIf('eq', 2, 0, plain)
    asm.set(1, 0xffff)
    asm.bind(plain)
  }
  asm.store(2, frame, at.key, 1)
  recall(emit, position, 2)
  storePacket(emit, at.key, 2)
}

/** Calls a replace helper for a word that goes from r8 to r9; r2 is the checksum's position. */
function replaceHelper(emit: Emit, helper: 'l3_csum_replace' | 'l4_csum_replace', flags: number): void {
  const { asm } = emit
  asm.move(1, context)
  asm.move(3, 8)
  asm.move(4, 9)
  asm.set(5, flags)
  if (helper === 'l4_csum_replace') {
    recall(emit, temporary.udpFlag, 0)
    asm.aluReg('or', 5, 0)
  }
  asm.call(helper)
}

function repairWord(emit: Emit, field: HeaderField, size: 2 | 4, transport: boolean): void {
  const { asm } = emit
  if (field.layer === 'ip' && !field.checksum) {
    const done = asm.label()
    layerPosition(emit, 'ip', done)
    asm.alu('add', 2, checksumAt.ip)
    if (emit.xdp) repairFrame(emit, size, 'never', done)
    else replaceHelper(emit, 'l3_csum_replace', size)
    asm.bind(done)
  }
  if (!transport) return
  const done = asm.label()
  recall(emit, temporary.transport, 2)
  asm.jumpIf('slt', 2, 0, done)
  const pseudo = field.layer === 'ip' || field.layer === 'ip6' ? checksumFlag.BPF_F_PSEUDO_HDR : 0
  if (emit.xdp) repairFrame(emit, size, 'flag', done)
  else replaceHelper(emit, 'l4_csum_replace', size | pseudo)
  asm.bind(done)
}

/** Repairs and writes: the old bytes lie in `old`, the new ones in `fresh`, the position in its temporary. */
function replace(emit: Emit, field: HeaderField, bytes: number): void {
  const { asm } = emit
  const transports = transportsOf(field)
  if (transports.length > 0) {
    const found = asm.label()
    asm.storeNumber(8, frame, slot(temporary.transport), -1)
    asm.storeNumber(8, frame, slot(temporary.udpFlag), 0)
    for (const layer of transports) tryTransport(emit, layer, found)
    asm.bind(found)
  }
  const size = bytes % 4 === 0 ? 4 : 2
  const repairs = transports.length > 0 || (field.layer === 'ip' && !field.checksum)
  for (let word = 0; repairs && word < bytes; word += size) {
    const same = asm.label()
    asm.load(size, 8, frame, at.old + word)
    asm.load(size, 9, frame, at.fresh + word)
    asm.jumpIfReg('eq', 8, 9, same)
    repairWord(emit, field, size, transports.length > 0)
    asm.bind(same)
  }
  recall(emit, temporary.position, 2)
  storePacket(emit, at.fresh, bytes)
}

/** Stores r0 as the field's word, big endian; 2-byte words do where alignment asks for them. */
function writeWord(emit: Emit, into: number, bytes: number): void {
  const { asm } = emit
  if (bytes === 1) return asm.store(1, frame, into, 0)
  if (bytes === 2 || bytes === 4) {
    asm.swap(0, bytes === 2 ? 16 : 32)
    return asm.store(bytes, frame, into, 0)
  }
  const unit = bytes === 6 ? 2 : 1
  for (let done = 0; done < bytes; done += unit) {
    asm.move(1, 0)
    const shift = (bytes - unit - done) * 8
    if (shift > 0) asm.alu('rsh', 1, shift)
    if (unit === 2) asm.swap(1, 16)
    asm.store(unit, frame, into + done, 1)
  }
}

function setNumber(emit: Emit, field: HeaderField, value: IrExpr, end: Label): void {
  const { asm } = emit
  const first = field.at & ~1
  const inside = field.at - first
  const bytes = ((field.at + field.bytes + 1) & ~1) - first
  emitNumber(emit, value, end)
  if (field.scale > 1) asm.alu('div', 0, field.scale)
  keep(emit, temporary.value)
  layerPosition(emit, field.layer, end)
  asm.alu('add', 2, first)
  keep(emit, temporary.position, 2)
  loadPacket(emit, at.old, bytes, end)
  copy(emit, at.old, at.fresh, bytes)
  const part = field.bytes < 6 && (field.shift > 0 || field.mask !== 2 ** (8 * field.bytes) - 1)
  if (part) {
    const bits = (field.mask << field.shift) >>> 0
    if (field.bytes === 3) fault('no part of a field of 3 bytes can be set')
    bigEndian(emit, 10, at.old + inside, field.bytes)
    asm.alu('and', 0, ~bits | 0, 32)
    recall(emit, temporary.value, 1)
    if (field.shift > 0) asm.alu('lsh', 1, field.shift, 32)
    asm.alu('and', 1, bits | 0, 32)
    asm.aluReg('or', 0, 1, 32)
  } else recall(emit, temporary.value, 0)
  writeWord(emit, at.fresh + inside, field.bytes)
  replace(emit, field, bytes)
}

function setWide(emit: Emit, field: HeaderField, value: IrExpr, end: Label): void {
  emitWide(emit, value, at.fresh, end)
  layerPosition(emit, field.layer, end)
  emit.asm.alu('add', 2, field.at)
  keep(emit, temporary.position, 2)
  loadPacket(emit, at.old, 16, end)
  replace(emit, field, 16)
}

const skbFields: Readonly<Partial<Record<MetaFieldName, number>>> = {
  mark: skbAt.mark,
  priority: skbAt.priority,
  queue: skbAt.queue_mapping,
  tc_index: skbAt.tc_index,
  tc_classid: skbAt.tc_classid,
  cb0: skbAt.cb,
  cb1: skbAt.cb + 4,
  cb2: skbAt.cb + 8,
  cb3: skbAt.cb + 12,
  cb4: skbAt.cb + 16,
}

/** In XDP data_meta grows by four bytes first; what cannot grow ends the program. */
function setMetadata(emit: Emit, end: Label): void {
  const { asm } = emit
  if (emit.xdp) {
    const grown = asm.label()
    asm.move(1, context)
    asm.set(2, -4)
    asm.call('xdp_adjust_meta')
    asm.jumpIf('eq', 0, 0, grown)
    leave(emit, 0)
    asm.bind(grown)
  }
  pointAtMeta(emit, end)
  recall(emit, temporary.value, 0)
  asm.store(4, 1, 0, 0)
}

function setContext(emit: Emit, name: MetaFieldName, value: IrExpr, end: Label): void {
  const { asm } = emit
  emitNumber(emit, value, end)
  keep(emit, temporary.value)
  const offset = skbFields[name]
  if (name === 'meta') setMetadata(emit, end)
  else if (name === 'tstamp') asm.store(8, context, skbAt.tstamp, 0)
  else if (offset !== undefined) asm.store(4, context, offset, 0)
  else if (name === 'hash' || name === 'packet.type') {
    asm.move(2, 0)
    asm.move(1, context)
    asm.call(name === 'hash' ? 'set_hash' : 'skb_change_type')
  } else fault(`${name} cannot be set`)
}

/** Generates `set`; jumps to `end` when the layer or the value is not there. */
export function emitSet(emit: Emit, name: FieldName, value: IrExpr, end: Label): void {
  if (!isHeaderField(name)) return setContext(emit, name, value, end)
  const field = headerFields[name]
  if ((field.bytes === 16) !== isWide(value)) fault(`${name} and its new value are of different kinds`)
  if (field.bytes === 16) setWide(emit, field, value, end)
  else setNumber(emit, field, value, end)
  walkAgain(emit)
}
