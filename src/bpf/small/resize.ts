// Actions that move the packet's bytes or its metadata: heads, tails, VLAN tags, tunnel keys. A helper that fails ends
// the run, as nearly every C program does: XDP_ABORTED or TC_ACT_SHOT.
import { writeU16 } from '../../net/bytes.ts'
import { faultCode } from '../codes.ts'
import { swap16 } from '../context/byte-order.ts'
import { fault } from '../fault.ts'
import { roomMode, skbAdjustRoom } from '../helpers/adjust-room.ts'
import { tracedCall } from '../helpers/note.ts'
import { skbChangeHead, skbChangeTail } from '../helpers/skb-shape.ts'
import { skbSetTunnelKey } from '../helpers/tunnel.ts'
import { skbVlanPop, skbVlanPush } from '../helpers/vlan.ts'
import { xdpAdjustHead, xdpAdjustMeta, xdpAdjustTail } from '../helpers/xdp.ts'
import { numberOf } from './expr.ts'
import { layers } from './fields.ts'
import type { SmallRun } from './headers.ts'
import type { IrAction, SmallShape } from './ir.ts'
import type { ActionOf } from './set-field.ts'

export type ResizeAction = Extract<
  IrAction,
  { readonly kind: 'adjust' | 'push-vlan' | 'pop-vlan' | 'tunnel' }
>

const vlanProtocol = 0x8100
const tagBytes = 4
const macAddressesBytes = 12

type Step = (run: SmallRun) => number

function adjust(type: SmallShape['type'], part: 'head' | 'tail' | 'meta' | 'room', bytes: number): Step {
  const xdp = type === 'xdp'
  switch (part) {
    case 'head':
      return xdp
        ? (run) => tracedCall(run.context, 'xdp_adjust_head', xdpAdjustHead, bytes)
        : (run) => tracedCall(run.context, 'skb_change_head', skbChangeHead, -bytes, 0)
    case 'tail':
      return xdp
        ? (run) => tracedCall(run.context, 'xdp_adjust_tail', xdpAdjustTail, bytes)
        : (run) => tracedCall(run.context, 'skb_change_tail', skbChangeTail, run.end - run.start + bytes, 0)
    case 'meta':
      if (!xdp) return fault('only XDP programs can adjust metadata')
      return (run) => tracedCall(run.context, 'xdp_adjust_meta', xdpAdjustMeta, bytes)
    case 'room':
      if (xdp) return fault('only tc programs can adjust room')
      return (run) => tracedCall(run.context, 'skb_adjust_room', skbAdjustRoom, bytes, roomMode.mac, 0)
  }
}

/** In XDP the tag goes into the frame: room in front, the MAC addresses moved there, the tag behind them. */
function pushVlanFrame(run: SmallRun, tci: number): number {
  const result = tracedCall(run.context, 'xdp_adjust_head', xdpAdjustHead, -tagBytes)
  if (result !== 0) return result
  run.refresh()
  const { bytes, start } = run
  bytes.copyWithin(start, start + tagBytes, start + tagBytes + macAddressesBytes)
  writeU16(bytes, start + macAddressesBytes, vlanProtocol)
  writeU16(bytes, start + macAddressesBytes + 2, tci)
  return 0
}

function popVlanFrame(run: SmallRun): number {
  if (run.layer(layers.vlan) < 0) return 0
  const { bytes, start } = run
  bytes.copyWithin(start + tagBytes, start, start + macAddressesBytes)
  return tracedCall(run.context, 'xdp_adjust_head', xdpAdjustHead, tagBytes)
}

function step(ir: SmallShape, action: ResizeAction): Step {
  const xdp = ir.type === 'xdp'
  switch (action.kind) {
    case 'adjust':
      return adjust(ir.type, action.part, action.bytes)
    case 'push-vlan': {
      const id = numberOf(ir.maps, action.id)
      if (xdp) return (run) => pushVlanFrame(run, id(run))
      return (run) => tracedCall(run.context, 'skb_vlan_push', skbVlanPush, swap16(vlanProtocol), id(run))
    }
    case 'pop-vlan':
      return xdp ? popVlanFrame : (run) => tracedCall(run.context, 'skb_vlan_pop', skbVlanPop)
    case 'tunnel':
      if (xdp) return fault('only tc programs can set a tunnel key')
      return (run) => tracedCall(run.context, 'skb_set_tunnel_key', skbSetTunnelKey, action.key, action.flags)
  }
}

/** Compiles an action that moves bytes; positions are found again behind it. */
export function resize(ir: SmallShape, action: ResizeAction): ActionOf {
  const act = step(ir, action)
  const failed = faultCode(ir.type)
  return (run) => {
    if (act(run) !== 0) run.stop = failed
    run.refresh()
  }
}
