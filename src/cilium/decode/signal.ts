// What the datapath asks of the agent through cilium_signals. lib/signal.h
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import { bytesToHex } from '../../net/hex.ts'
import type { Names } from '../../trace/names.ts'
import { signal } from '../datapath/signal.ts'
import { identityName } from './identity-name.ts'
import { authNames } from './notification.ts'

const signalNames: Readonly<Record<number, string>> = {
  [signal.NAT_FILL_UP]: 'nat-fill-up',
  [signal.CT_FILL_UP]: 'ct-fill-up',
  [signal.AUTH_REQUIRED]: 'auth-required',
}

/** `auth-required careful client node 0 spire`, `nat-fill-up 0x00000000`. */
export function signalText(bytes: Uint8Array, names: Names): string {
  const number = readLe32(bytes, 0)
  const name = signalNames[number] ?? String(number)
  if (number !== signal.AUTH_REQUIRED) return `${name} 0x${bytesToHex(bytes.subarray(4))}`
  const type = bytes[14] as number
  const local = identityName(readLe32(bytes, 4), names)
  const remote = identityName(readLe32(bytes, 8), names)
  return `${name} ${local} ${remote} node ${readLe16(bytes, 12)} ${authNames[type] ?? type}`
}
