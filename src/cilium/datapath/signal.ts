// What the datapath asks of the agent through cilium_signals. lib/signal.h
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import type { Ctx } from './ctx.ts'
import type { Family } from './family.ts'

export const signal = { NAT_FILL_UP: 0, CT_FILL_UP: 1, AUTH_REQUIRED: 2 } as const

const numberBytes = 4

/** SEND_SIGNAL(): `message` is the member of struct signal_msg that belongs to the number. */
function sendSignal(ctx: Ctx, number: number, message: Uint8Array): void {
  const record = new Uint8Array(numberBytes + message.length)
  writeLe32(record, 0, number)
  record.set(message, numberBytes)
  ctx.signal(record)
}

/** SIGNAL_PROTO_V4, SIGNAL_PROTO_V6 */
function protocolMessage(family: Family): Uint8Array {
  const message = new Uint8Array(4)
  writeLe32(message, 0, family.version === 4 ? 0 : 1)
  return message
}

/** send_signal_nat_fill_up(): NAT has trouble finding ports, the agent shall collect old entries. */
export function signalNatFillUp(ctx: Ctx, family: Family): void {
  sendSignal(ctx, signal.NAT_FILL_UP, protocolMessage(family))
}

/** send_signal_auth_required(): `key` is a struct auth_key. */
export function signalAuthRequired(ctx: Ctx, key: Uint8Array): void {
  sendSignal(ctx, signal.AUTH_REQUIRED, key)
}

/** send_signal_ct_fill_up(): conntrack is full, the agent shall collect old entries. */
export function signalCtFillUp(ctx: Ctx, family: Family): void {
  sendSignal(ctx, signal.CT_FILL_UP, protocolMessage(family))
}
