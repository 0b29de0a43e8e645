// Expressions as bytecode: a number ends in r0; a value that is not there jumps to the label given. The counterpart of
// expr.ts and read.ts.

import type { Label } from '../asm/assembler.ts'
import { swap32 } from '../context/byte-order.ts'
import { skbAt } from '../context/skb-fields.ts'
import { tunnelKeyAt, tunnelKeyBytes } from '../context/structs.ts'
import { fault } from '../fault.ts'
import {
  address,
  always,
  at,
  clear,
  context,
  type Emit,
  frame,
  keep,
  layerPosition,
  loadPacket,
  recall,
} from './bytecode-frame.ts'
import { isLong, isWide, mapAt } from './expr.ts'
import {
  type FieldName,
  type HeaderField,
  headerFields,
  isHeaderField,
  type MetaFieldName,
} from './fields.ts'
import type { IrExpr, IrOperator } from './ir.ts'

const operators: Readonly<Record<IrOperator, 'add' | 'sub' | 'and' | 'or' | 'xor' | 'lsh' | 'rsh'>> = {
  '+': 'add',
  '-': 'sub',
  '&': 'and',
  '|': 'or',
  '^': 'xor',
  '<<': 'lsh',
  '>>': 'rsh',
}

/** struct xdp_md */
const xdpAt = { data: 0, data_end: 4, data_meta: 8, ingress_ifindex: 12, rx_queue_index: 16 } as const

/** Where bytes must lie so that their words are aligned: a number of 6 or 3 bytes ends at a multiple of 8 or 4. */
function lead(bytes: number): number {
  return bytes === 6 ? 2 : bytes === 3 ? 1 : 0
}

/** `r0 = ` the big-endian number of `bytes` bytes that lies `lead(bytes)` behind `from`. */
export function bigEndian(emit: Emit, base: 0 | 10, from: number, bytes: number): void {
  const { asm } = emit
  const start = from + (base === 10 ? lead(bytes) : 0)
  switch (bytes) {
    case 1:
      return asm.load(1, 0, base, start)
    case 2:
      asm.load(2, 0, base, start)
      return asm.swap(0, 16)
    case 4:
      asm.load(4, 0, base, start)
      return asm.swap(0, 32)
    default: {
      const high = bytes - (bytes === 6 ? 4 : 2)
      asm.move(2, base)
      asm.load(high === 2 ? 2 : 1, 1, 2, start)
      if (high === 2) asm.swap(1, 16)
      asm.alu('lsh', 1, bytes === 6 ? 32 : 16)
      asm.load(bytes === 6 ? 4 : 2, 0, 2, start + high)
      asm.swap(0, bytes === 6 ? 32 : 16)
      return asm.aluReg('or', 0, 1)
    }
  }
}

/** Loads a header field's word from the packet and takes its bits. */
function readHeader(emit: Emit, field: HeaderField, absent: Label): void {
  const { asm } = emit
  layerPosition(emit, field.layer, absent)
  asm.alu('add', 2, field.at)
  loadPacket(emit, at.old + lead(field.bytes), field.bytes, absent)
  bigEndian(emit, frame as 10, at.old, field.bytes)
  takeBits(emit, field)
}

function takeBits(emit: Emit, { shift, mask, scale, bytes }: HeaderField): void {
  const { asm } = emit
  if (shift > 0) asm.alu('rsh', 0, shift)
  if (bytes < 6 && mask !== 2 ** (8 * bytes) - 1) asm.alu('and', 0, mask)
  if (scale > 1) asm.alu('mul', 0, scale)
}

/** A tag may lie beside the packet. */
function readVlan(emit: Emit, field: HeaderField, absent: Label): void {
  if (emit.xdp) return readHeader(emit, field, absent)
  const { asm } = emit
  const [inside, done] = [asm.label(), asm.label()]
  asm.load(4, 1, context, skbAt.vlan_present)
  asm.jumpIf('eq', 1, 0, inside)
  if (field.at === 0) {
    asm.load(4, 0, context, skbAt.vlan_tci)
    takeBits(emit, field)
  } else {
    asm.load(4, 0, context, skbAt.protocol)
    asm.swap(0, 16)
  }
  asm.jump(done)
  asm.bind(inside)
  readHeader(emit, field, absent)
  asm.bind(done)
}

const skbFields: Readonly<Partial<Record<MetaFieldName, number>>> = {
  mark: skbAt.mark,
  hash: skbAt.hash,
  gso_size: skbAt.gso_size,
  gso_segs: skbAt.gso_segs,
  wire_len: skbAt.wire_len,
  priority: skbAt.priority,
  queue: skbAt.queue_mapping,
  tc_index: skbAt.tc_index,
  tc_classid: skbAt.tc_classid,
  cb0: skbAt.cb,
  cb1: skbAt.cb + 4,
  cb2: skbAt.cb + 8,
  cb3: skbAt.cb + 12,
  cb4: skbAt.cb + 16,
  'packet.type': skbAt.pkt_type,
  'packet.len': skbAt.len,
  ifindex: skbAt.ifindex,
  iif: skbAt.ingress_ifindex,
}

const xdpFields: Readonly<Partial<Record<MetaFieldName, number>>> = {
  ifindex: xdpAt.ingress_ifindex,
  iif: xdpAt.ingress_ifindex,
  queue: xdpAt.rx_queue_index,
}

const tunnelFields: Readonly<Partial<Record<MetaFieldName, { readonly at: number; readonly width: 1 | 4 }>>> =
  {
    'tunnel.vni': { at: tunnelKeyAt.tunnel_id, width: 4 },
    'tunnel.ttl': { at: tunnelKeyAt.tunnel_ttl, width: 1 },
    'tunnel.tos': { at: tunnelKeyAt.tunnel_tos, width: 1 },
    'tunnel.remote': { at: tunnelKeyAt.remote, width: 4 },
    'tunnel.local': { at: tunnelKeyAt.local, width: 4 },
  }

/** The first word of data_meta; r1 points at it afterwards. */
export function pointAtMeta(emit: Emit, absent: Label): void {
  const { asm } = emit
  asm.load(4, 1, context, emit.xdp ? xdpAt.data_meta : skbAt.data_meta)
  asm.load(4, 2, context, emit.xdp ? xdpAt.data : skbAt.data)
  asm.move(3, 1)
  asm.alu('add', 3, 4)
  asm.jumpIfReg('gt', 3, 2, absent)
}

function readTunnel(emit: Emit, field: { readonly at: number; readonly width: 1 | 4 }, absent: Label): void {
  const { asm } = emit
  clear(emit, at.value, tunnelKeyBytes)
  asm.move(1, context)
  address(emit, 2, at.value)
  asm.set(3, tunnelKeyBytes)
  asm.set(4, 0)
  asm.call('skb_get_tunnel_key')
  asm.jumpIf('ne', 0, 0, absent)
  asm.load(field.width, 0, frame, at.value + field.at)
}

function readMeta(emit: Emit, name: MetaFieldName, absent: Label): void {
  const { asm, xdp } = emit
  const tunnel = tunnelFields[name]
  if (name === 'now') asm.call('ktime_get_ns')
  else if (name === 'tstamp') {
    if (xdp) return always(emit, absent)
    asm.load(8, 0, context, skbAt.tstamp)
  } else if (name === 'meta') {
    pointAtMeta(emit, absent)
    asm.load(4, 0, 1, 0)
  } else if (name === 'protocol') {
    if (xdp) return readHeader(emit, headerFields['eth.type'], absent)
    asm.load(4, 0, context, skbAt.protocol)
    asm.swap(0, 16)
  } else if (xdp && name === 'packet.len') {
    asm.move(1, context)
    asm.call('xdp_get_buff_len')
  } else if (!xdp && tunnel !== undefined) readTunnel(emit, tunnel, absent)
  else {
    const offset = xdp ? xdpFields[name] : skbFields[name]
    if (offset === undefined) return always(emit, absent)
    asm.load(4, 0, context, offset)
  }
}

/** `r0 = ` a field that is a number. */
export function emitField(emit: Emit, name: FieldName, absent: Label): void {
  if (!isHeaderField(name)) return readMeta(emit, name, absent)
  const field = headerFields[name]
  if (field.layer === 'vlan') readVlan(emit, field, absent)
  else readHeader(emit, field, absent)
}

/** `r0 = ` the number in a map's value at r0. */
export function readValue(emit: Emit, bytes: number, order: 'le' | 'be'): void {
  if (order === 'be') return bigEndian(emit, 0, 0, bytes)
  emit.asm.load(bytes === 1 || bytes === 2 || bytes === 4 ? bytes : 8, 0, 0, 0)
}

/** Stores r0 as a number of `bytes` bytes at `base + into`; r0 is lost. */
export function writeValue(emit: Emit, base: 8 | 10, into: number, bytes: number, order: 'le' | 'be'): void {
  const { asm } = emit
  if (bytes === 1) return asm.store(1, base, into, 0)
  if (order === 'le') return asm.store(bytes === 2 || bytes === 4 ? bytes : 8, base, into, 0)
  if (bytes === 2) {
    asm.swap(0, 16)
    return asm.store(2, base, into, 0)
  }
  if (bytes === 6) {
    for (const [index, shift] of [32, 16, 0].entries()) {
      asm.move(1, 0)
      if (shift > 0) asm.alu('rsh', 1, shift)
      asm.swap(1, 16)
      asm.store(2, base, into + index * 2, 1)
    }
    return
  }
  asm.swap(0, 32)
  asm.store(4, base, into + bytes - 4, 0)
}

/** Puts an IPv6 address into the frame. */
export function emitWide(emit: Emit, expr: IrExpr, into: number, absent: Label): void {
  if (expr.kind === 'ip6') {
    for (const [index, word] of expr.value.entries())
      emit.asm.storeNumber(4, frame, into + index * 4, swap32(word) | 0)
    return
  }
  if (expr.kind !== 'field' || !isHeaderField(expr.field)) return fault('not an IPv6 address')
  const field = headerFields[expr.field]
  layerPosition(emit, field.layer, absent)
  emit.asm.alu('add', 2, field.at)
  loadPacket(emit, into, 16, absent)
}

/** Puts an expression's bytes into the frame: `bytes` long, from `into` on. */
export function emitBytes(
  emit: Emit,
  expr: IrExpr,
  place: { readonly into: number; readonly bytes: number; readonly order: 'le' | 'be' },
  absent: Label,
): void {
  if (isWide(expr)) return emitWide(emit, expr, place.into, absent)
  emitNumber(emit, expr, absent)
  writeValue(emit, 10, place.into, place.bytes, place.order)
}

/** Fills the key buffer with the key of a map. */
export function emitKey(emit: Emit, index: number, expr: IrExpr, absent: Label, depth = 4): void {
  const { map, keyOrder } = mapAt(emit.maps, index)
  const { keySize, type } = map.spec
  const head = type === 'lpm_trie' ? 4 : 0
  const wide = isWide(expr)
  if (!wide) emitNumber(emit, expr, absent, depth)
  clear(emit, at.key, keySize)
  if (wide) emitWide(emit, expr, at.key + head, absent)
  else writeValue(emit, 10, at.key + head, keySize - head, keyOrder)
  if (head > 0) emit.asm.storeNumber(4, frame, at.key, (keySize - 4) * 8)
}

/** `r0 = ` the value of the entry under the key buffer, or 0. */
export function lookup(emit: Emit, index: number): void {
  emit.asm.map(1, index)
  address(emit, 2, at.key)
  emit.asm.call('map_lookup_elem')
}

/** `r0 = ` an expression that is a number. `depth` is the first temporary that is free. */
export function emitNumber(emit: Emit, expr: IrExpr, absent: Label, depth = 4): void {
  const { asm } = emit
  switch (expr.kind) {
    case 'number':
      return asm.set(0, expr.value)
    case 'ip6':
      return fault('an IPv6 address is not a number')
    case 'field':
      return emitField(emit, expr.field, absent)
    case 'entry': {
      const { map, valueOrder } = mapAt(emit.maps, expr.map)
      emitKey(emit, expr.map, expr.key, absent, depth)
      lookup(emit, expr.map)
      asm.jumpIf('eq', 0, 0, absent)
      return readValue(emit, map.spec.valueSize, valueOrder)
    }
    case 'arithmetic':
      if (depth > 8) return fault('an expression this deep does not fit the frame')
      emitNumber(emit, expr.left, absent, depth + 1)
      keep(emit, depth)
      emitNumber(emit, expr.right, absent, depth + 1)
      recall(emit, depth, 1)
      if (isLong(emit.maps, expr)) asm.aluReg(operators[expr.operator], 1, 0)
      else asm.aluReg(operators[expr.operator], 1, 0, 32)
      return asm.move(0, 1)
  }
}
