// Compiles actions to functions on a run. An action that must end the run sets `run.stop`.
import type { Ipv6 } from '../../net/address.ts'
import { writeLe32, writeLe64 } from '../context/byte-order.ts'
import { addressFamily, redirNeighBytes, writeWords } from '../context/structs.ts'
import { deleteElem, lookupValue, resolveTailCall, updateElem } from '../helpers/map.ts'
import { tracedCall } from '../helpers/note.ts'
import { currentCpu, perfEventOutput, ringbufOutput } from '../helpers/records.ts'
import { cloneRedirect, redirect, redirectMap, redirectNeigh, redirectPeer } from '../helpers/redirect.ts'
import { updateFlag } from '../maps/map.ts'
import { RingBuf } from '../maps/record-maps.ts'
import { bytesOf, keyOf, mapAt, numberOf, readNumber, writeNumber } from './expr.ts'
import { layers, type SwapLayer, swapped } from './fields.ts'
import type { SmallRun } from './headers.ts'
import type { IrAction, IrExpr, MapShape, SmallShape } from './ir.ts'
import { resize } from './resize.ts'
import { type ActionOf, setField } from './set-field.ts'

function swap(layer: SwapLayer): ActionOf {
  const { at, bytes } = swapped[layer]
  const index = layers[layer]
  return (run) => {
    const offset = run.layer(index)
    if (offset < 0) return
    const first = offset + at
    for (let byte = first; byte < first + bytes; byte += 1) {
      const kept = run.bytes[byte] as number
      run.bytes[byte] = run.bytes[byte + bytes] as number
      run.bytes[byte + bytes] = kept
    }
    run.refresh()
  }
}

function neighbour(nextHop: number | Ipv6 | undefined): Uint8Array | undefined {
  if (nextHop === undefined) return undefined
  const params = new Uint8Array(redirNeighBytes)
  const wide = typeof nextHop !== 'number'
  writeLe32(params, 0, wide ? addressFamily.AF_INET6 : addressFamily.AF_INET)
  writeWords(params, 4, wide ? nextHop : [nextHop])
  return params
}

function count(maps: readonly MapShape[], index: number, keyExpr: IrExpr, by: IrExpr): ActionOf {
  const { map, valueOrder } = mapAt(maps, index)
  const fill = keyOf(maps, index, keyExpr)
  const amount = numberOf(maps, by)
  const key = new Uint8Array(map.spec.keySize)
  const fresh = new Uint8Array(map.spec.valueSize)
  return (run) => {
    const added = amount(run)
    if (Number.isNaN(added) || !fill(run, key)) return
    const value = lookupValue(run.context, run.map(index), key)
    if (value !== undefined) {
      writeNumber(value, valueOrder, readNumber(value, valueOrder) + added)
      return
    }
    writeNumber(fresh, valueOrder, added)
    tracedCall(run.context, 'map_update_elem', updateElem, run.map(index), key, fresh, updateFlag.BPF_NOEXIST)
  }
}

function update(maps: readonly MapShape[], index: number, keyExpr: IrExpr, valueExpr: IrExpr): ActionOf {
  const { map, valueOrder } = mapAt(maps, index)
  const fillKey = keyOf(maps, index, keyExpr)
  const fillValue = bytesOf(maps, valueExpr, valueOrder)
  const key = new Uint8Array(map.spec.keySize)
  const value = new Uint8Array(map.spec.valueSize)
  return (run) => {
    if (!fillKey(run, key) || !fillValue(run, value)) return
    tracedCall(run.context, 'map_update_elem', updateElem, run.map(index), key, value, updateFlag.BPF_ANY)
  }
}

function remove(maps: readonly MapShape[], index: number, keyExpr: IrExpr): ActionOf {
  const { map } = mapAt(maps, index)
  const fill = keyOf(maps, index, keyExpr)
  const key = new Uint8Array(map.spec.keySize)
  return (run) => {
    if (fill(run, key)) tracedCall(run.context, 'map_delete_elem', deleteElem, run.map(index), key)
  }
}

/** The slot of a device map as the helper takes it: an index. */
function throughMap(maps: readonly MapShape[], index: number, keyExpr: IrExpr, flags: number): ActionOf {
  const slot = numberOf(maps, keyExpr)
  return (run) => {
    const wanted = slot(run)
    if (!Number.isNaN(wanted)) run.redirectCode = redirectMap(run.context, run.map(index), wanted, flags)
  }
}

function tailCall(maps: readonly MapShape[], index: number, slotExpr: IrExpr): ActionOf {
  const slot = numberOf(maps, slotExpr)
  return (run) => {
    const wanted = slot(run)
    if (Number.isNaN(wanted)) return
    const target = resolveTailCall(run.context, run.map(index), wanted)
    if (target === undefined) return
    run.context.next = target
    run.stop = 0
  }
}

function emit(maps: readonly MapShape[], index: number, value: Uint8Array | IrExpr): ActionOf {
  const send = (run: SmallRun, record: Uint8Array): void => {
    const map = run.map(index)
    if (map instanceof RingBuf) tracedCall(run.context, 'ringbuf_output', ringbufOutput, map, record, 0)
    else tracedCall(run.context, 'perf_event_output', perfEventOutput, map, currentCpu, record)
  }
  if (value instanceof Uint8Array) return (run) => send(run, value)
  const number = numberOf(maps, value)
  return (run) => {
    const told = number(run)
    if (Number.isNaN(told)) return
    const record = new Uint8Array(8)
    writeLe64(record, 0, told)
    send(run, record)
  }
}

type RedirectAction = Extract<
  IrAction,
  { readonly kind: 'redirect' | 'redirect-neigh' | 'redirect-peer' | 'clone-redirect' }
>

function redirectAction(action: RedirectAction): ActionOf {
  const { ifindex } = action
  switch (action.kind) {
    case 'redirect': {
      const flags = action.ingress ? 1 : 0
      return (run) => {
        tracedCall(run.context, 'redirect', redirect, ifindex, flags)
      }
    }
    case 'redirect-neigh': {
      const params = neighbour(action.nextHop)
      return (run) => {
        tracedCall(run.context, 'redirect_neigh', redirectNeigh, ifindex, params, 0)
      }
    }
    case 'redirect-peer':
      return (run) => {
        tracedCall(run.context, 'redirect_peer', redirectPeer, ifindex, 0)
      }
    case 'clone-redirect': {
      const flags = action.ingress ? 1 : 0
      return (run) => {
        tracedCall(run.context, 'clone_redirect', cloneRedirect, ifindex, flags)
        run.refresh()
      }
    }
  }
}

/** Compiles one action. */
export function actionOf(ir: SmallShape, action: IrAction): ActionOf {
  const { maps } = ir
  switch (action.kind) {
    case 'swap':
      return swap(action.layer)
    case 'set':
      return setField(maps, action.field, action.value)
    case 'redirect':
    case 'redirect-neigh':
    case 'redirect-peer':
    case 'clone-redirect':
      return redirectAction(action)
    case 'redirect-map':
      return throughMap(maps, action.map, action.key, action.flags)
    case 'count':
      return count(maps, action.map, action.key, action.by)
    case 'update':
      return update(maps, action.map, action.key, action.value)
    case 'delete':
      return remove(maps, action.map, action.key)
    case 'tail-call':
      return tailCall(maps, action.map, action.index)
    case 'adjust':
    case 'push-vlan':
    case 'pop-vlan':
    case 'tunnel':
      return resize(ir, action)
    case 'emit':
      return emit(maps, action.map, action.value)
  }
}
