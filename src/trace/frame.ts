// A snapshot as a capture on its device would show it: with the 802.1Q tag that Linux keeps beside the packet.
import { writeU16 } from '../net/bytes.ts'
import { ethernetAt } from '../net/ethernet.ts'
import { etherType } from '../net/protocol.ts'
import type { Snapshot } from './event.ts'

/** The bytes of the frame; the packet's own where there is no tag beside it. */
export function frameOf(snapshot: Snapshot): Uint8Array {
  const { bytes, start, vlanTci } = snapshot
  if (start === 'ip' || vlanTci < 0 || bytes.length < ethernetAt.payload) return bytes
  const frame = new Uint8Array(bytes.length + 4)
  frame.set(bytes.subarray(0, ethernetAt.type))
  writeU16(frame, ethernetAt.type, etherType.vlan)
  writeU16(frame, ethernetAt.type + 2, vlanTci)
  frame.set(bytes.subarray(ethernetAt.type), ethernetAt.type + 4)
  return frame
}
