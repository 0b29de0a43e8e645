// Actions as bytecode. An action that finds something absent does nothing; a resize that fails ends the program. The
// counterpart of actions.ts, resize.ts.
import type { Label } from '../asm/assembler.ts'
import { faultCode } from '../codes.ts'
import { swap16, writeLe32 } from '../context/byte-order.ts'
import { skbAt } from '../context/skb-fields.ts'
import { addressFamily, redirNeighBytes, writeWords } from '../context/structs.ts'
import { fault } from '../fault.ts'
import { roomMode } from '../helpers/adjust-room.ts'
import { updateFlag } from '../maps/map.ts'
import { emitBytes, emitKey, emitNumber, lookup, readValue, writeValue } from './bytecode-expr.ts'
import {
  address,
  at,
  clear,
  context,
  copy,
  type Emit,
  frame,
  keep,
  kept,
  layerPosition,
  leave,
  loadPacket,
  recall,
  storeConstant,
  storePacket,
  valueBytesMax,
  walkAgain,
} from './bytecode-frame.ts'
import { emitSet } from './bytecode-set.ts'
import { mapAt } from './expr.ts'
import { type SwapLayer, swapped } from './fields.ts'
import type { IrAction, IrExpr } from './ir.ts'

function emitSwap(emit: Emit, layer: SwapLayer, end: Label): void {
  const { at: first, bytes } = swapped[layer]
  layerPosition(emit, layer, end)
  emit.asm.alu('add', 2, first)
  keep(emit, 0, 2)
  loadPacket(emit, at.old, bytes * 2, end)
  copy(emit, at.old + bytes, at.fresh, bytes)
  copy(emit, at.old, at.fresh + bytes, bytes)
  recall(emit, 0, 2)
  storePacket(emit, at.fresh, bytes * 2)
  walkAgain(emit)
}

type Redirect = Extract<
  IrAction,
  { readonly kind: 'redirect' | 'redirect-neigh' | 'redirect-peer' | 'clone-redirect' }
>

function emitRedirect(emit: Emit, action: Redirect): void {
  const { asm } = emit
  switch (action.kind) {
    case 'redirect':
      asm.set(1, action.ifindex)
      asm.set(2, action.ingress ? 1 : 0)
      return asm.call('redirect')
    case 'redirect-peer':
      asm.set(1, action.ifindex)
      asm.set(2, 0)
      return asm.call('redirect_peer')
    case 'clone-redirect':
      asm.move(1, context)
      asm.set(2, action.ifindex)
      asm.set(3, action.ingress ? 1 : 0)
      asm.call('clone_redirect')
      return walkAgain(emit)
    case 'redirect-neigh':
      return redirectNeigh(emit, action)
  }
}

function redirectNeigh(emit: Emit, action: Extract<Redirect, { readonly kind: 'redirect-neigh' }>): void {
  const { asm } = emit
  const { nextHop } = action
  if (nextHop === undefined) {
    asm.set(2, 0)
    asm.set(3, 0)
  } else {
    const params = new Uint8Array(redirNeighBytes)
    const wide = typeof nextHop !== 'number'
    writeLe32(params, 0, wide ? addressFamily.AF_INET6 : addressFamily.AF_INET)
    writeWords(params, 4, wide ? nextHop : [nextHop])
    storeConstant(emit, at.value, params)
    address(emit, 2, at.value)
    asm.set(3, redirNeighBytes)
  }
  asm.set(1, action.ifindex)
  asm.set(4, 0)
  asm.call('redirect_neigh')
}

/** `map_update_elem(map, key buffer, value buffer, flags)`. */
function updateEntry(emit: Emit, map: number, flags: number): void {
  const { asm } = emit
  asm.map(1, map)
  address(emit, 2, at.key)
  address(emit, 3, at.value)
  asm.set(4, flags)
  asm.call('map_update_elem')
}

function emitCount(emit: Emit, action: Extract<IrAction, { readonly kind: 'count' }>, end: Label): void {
  const { asm } = emit
  const { map, valueOrder } = mapAt(emit.maps, action.map)
  const bytes = map.spec.valueSize
  const missing = asm.label()
  emitNumber(emit, action.by, end)
  keep(emit, 0)
  emitKey(emit, action.map, action.key, end)
  lookup(emit, action.map)
  asm.jumpIf('eq', 0, 0, missing)
  asm.move(kept, 0)
  readValue(emit, bytes, valueOrder)
  recall(emit, 0, 1)
  asm.aluReg('add', 0, 1)
  writeValue(emit, kept as 8, 0, bytes, valueOrder)
  asm.jump(end)
  asm.bind(missing)
  clear(emit, at.value, bytes)
  recall(emit, 0, 0)
  writeValue(emit, 10, at.value, bytes, valueOrder)
  updateEntry(emit, action.map, updateFlag.BPF_NOEXIST)
}

function emitUpdate(emit: Emit, action: Extract<IrAction, { readonly kind: 'update' }>, end: Label): void {
  const { map, valueOrder } = mapAt(emit.maps, action.map)
  const place = { into: at.value, bytes: map.spec.valueSize, order: valueOrder }
  clear(emit, at.value, map.spec.valueSize)
  emitBytes(emit, action.value, place, end)
  emitKey(emit, action.map, action.key, end)
  updateEntry(emit, action.map, updateFlag.BPF_ANY)
}

function emitRecord(emit: Emit, map: number, value: Uint8Array | IrExpr, end: Label): void {
  const { asm } = emit
  const fixed = value instanceof Uint8Array
  const bytes = fixed ? value.length : 8
  if (bytes > valueBytesMax) fault(`a record of ${bytes} bytes does not fit the frame`)
  if (fixed) storeConstant(emit, at.value, value)
  else {
    emitNumber(emit, value, end)
    asm.store(8, frame, at.value, 0)
  }
  if (mapAt(emit.maps, map).map.spec.type === 'ringbuf') {
    asm.map(1, map)
    address(emit, 2, at.value)
    asm.set(3, bytes)
    asm.set(4, 0)
    return asm.call('ringbuf_output')
  }
  asm.move(1, context)
  asm.map(2, map)
  asm.set(3, 0xffff_ffff)
  address(emit, 4, at.value)
  asm.set(5, bytes)
  asm.call('perf_event_output')
}

type Resize = Extract<IrAction, { readonly kind: 'adjust' | 'push-vlan' | 'pop-vlan' | 'tunnel' }>

function emitAdjust(emit: Emit, action: Extract<Resize, { readonly kind: 'adjust' }>): void {
  const { asm, xdp } = emit
  const { part, bytes } = action
  asm.move(1, context)
  if (part === 'room') {
    asm.set(2, bytes)
    asm.set(3, roomMode.mac)
    asm.set(4, 0)
    return asm.call('skb_adjust_room')
  }
  if (xdp) {
    asm.set(2, bytes)
    return asm.call(`xdp_adjust_${part}`)
  }
  if (part === 'meta') fault('only XDP programs can adjust metadata')
  if (part === 'head') asm.set(2, -bytes)
  else {
    asm.load(4, 2, context, skbAt.len)
    asm.alu('add', 2, bytes)
  }
  asm.set(3, 0)
  asm.call(part === 'head' ? 'skb_change_head' : 'skb_change_tail')
}

/** In XDP the tag is put into the frame: room in front, the MAC addresses moved there, the tag behind them. */
function pushVlanFrame(emit: Emit, id: IrExpr, failed: Label): void {
  const { asm } = emit
  emitNumberOrZero(emit, id)
  keep(emit, 0)
  asm.move(1, context)
  asm.set(2, -4)
  asm.call('xdp_adjust_head')
  asm.jumpIf('ne', 0, 0, failed)
  asm.set(2, 4)
  loadPacket(emit, at.fresh, 12, failed)
  asm.storeNumber(2, frame, at.fresh + 12, swap16(0x8100))
  recall(emit, 0, 1)
  asm.swap(1, 16)
  asm.store(2, frame, at.fresh + 14, 1)
  asm.set(2, 0)
  storePacket(emit, at.fresh, 16)
}

function popVlanFrame(emit: Emit, end: Label, failed: Label): void {
  const { asm } = emit
  layerPosition(emit, 'vlan', end)
  asm.set(2, 0)
  loadPacket(emit, at.fresh, 12, failed)
  asm.set(2, 4)
  storePacket(emit, at.fresh, 12)
  asm.move(1, context)
  asm.set(2, 4)
  asm.call('xdp_adjust_head')
}

/** `r0 = ` a number; what is not there counts as 0. */
function emitNumberOrZero(emit: Emit, expr: IrExpr): void {
  const { asm } = emit
  const [absent, done] = [asm.label(), asm.label()]
  emitNumber(emit, expr, absent)
  if (!asm.isReached(absent)) return
  asm.jump(done)
  asm.bind(absent)
  asm.set(0, 0)
  asm.bind(done)
}

function resizeStep(emit: Emit, action: Resize, end: Label, failed: Label): void {
  const { asm, xdp } = emit
  switch (action.kind) {
    case 'adjust':
      return emitAdjust(emit, action)
    case 'push-vlan':
      if (xdp) return pushVlanFrame(emit, action.id, failed)
      emitNumberOrZero(emit, action.id)
      asm.move(3, 0)
      asm.move(1, context)
      asm.set(2, swap16(0x8100))
      return asm.call('skb_vlan_push')
    case 'pop-vlan':
      if (xdp) return popVlanFrame(emit, end, failed)
      asm.move(1, context)
      return asm.call('skb_vlan_pop')
    case 'tunnel':
      storeConstant(emit, at.value, action.key)
      asm.move(1, context)
      address(emit, 2, at.value)
      asm.set(3, action.key.length)
      asm.set(4, action.flags)
      return asm.call('skb_set_tunnel_key')
  }
}

function emitResize(emit: Emit, action: Resize, end: Label): void {
  const { asm, xdp } = emit
  const [failed, done] = [asm.label(), asm.label()]
  resizeStep(emit, action, end, failed)
  asm.jumpIf('eq', 0, 0, done)
  asm.bind(failed)
  leave(emit, faultCode(xdp ? 'xdp' : 'sched_cls'))
  asm.bind(done)
  walkAgain(emit)
}

/** Generates one action. */
export function emitAction(emit: Emit, action: IrAction): void {
  const { asm } = emit
  const end = asm.label()
  emitInto(emit, action, end)
  asm.bind(end)
}

function emitInto(emit: Emit, action: IrAction, end: Label): void {
  const { asm } = emit
  switch (action.kind) {
    case 'swap':
      return emitSwap(emit, action.layer, end)
    case 'set':
      return emitSet(emit, action.field, action.value, end)
    case 'redirect':
    case 'redirect-neigh':
    case 'redirect-peer':
    case 'clone-redirect':
      return emitRedirect(emit, action)
    case 'redirect-map':
      emitNumber(emit, action.key, end)
      asm.move(2, 0)
      asm.map(1, action.map)
      asm.set(3, action.flags)
      asm.call('redirect_map')
      return asm.store(8, frame, at.redirectCode, 0)
    case 'count':
      return emitCount(emit, action, end)
    case 'update':
      return emitUpdate(emit, action, end)
    case 'delete':
      emitKey(emit, action.map, action.key, end)
      asm.map(1, action.map)
      address(emit, 2, at.key)
      return asm.call('map_delete_elem')
    case 'tail-call':
      emitNumber(emit, action.index, end)
      asm.move(3, 0)
      asm.move(1, context)
      asm.map(2, action.map)
      return asm.call('tail_call')
    case 'emit':
      return emitRecord(emit, action.map, action.value, end)
    default:
      return emitResize(emit, action, end)
  }
}
