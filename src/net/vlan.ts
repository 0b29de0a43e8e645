// VLAN tags: four bytes between the addresses and the EtherType. Before changing this file, read IEEE 802.1Q clause 9.
//
//   destination source | 8100 | pcp dei vid | type | payload
//                      ^ the Ethernet type    ^ this tag's `type`
//
// A layer starts at the two bytes behind 8100 (802.1Q) or 88a8 (802.1ad), because the tag's own number belongs to the
// header before it.
import { readU16, writeU16 } from './bytes.ts'
import { type Malformed, malformed } from './malformed.ts'
import { etherTypeName } from './protocol.ts'

export const vlanAt = { control: 0, type: 2, payload: 4 } as const

export interface VlanHeader {
  /** 0 to 7 */
  readonly priority: number
  /** drop eligible indicator */
  readonly dropEligible: boolean
  /** VLAN identifier, 0 to 4095; 0 is a priority tag */
  readonly vid: number
  readonly type: number
}

/** The tag at `offset`; malformed when fewer than four bytes are left. */
export function decodeVlan(bytes: Uint8Array, offset = 0, end = bytes.length): VlanHeader | Malformed {
  if (end - offset < vlanAt.payload) return malformed('vlan: shorter than its tag')
  const control = readU16(bytes, offset + vlanAt.control)
  return {
    priority: control >>> 13,
    dropEligible: (control & 0x1000) !== 0,
    vid: control & 0xfff,
    type: readU16(bytes, offset + vlanAt.type),
  }
}

/** The four bytes of a tag, without the EtherType that announces it. */
export function encodeVlan(header: VlanHeader): Uint8Array {
  const bytes = new Uint8Array(vlanAt.payload)
  const control = (header.priority << 13) | (header.dropEligible ? 0x1000 : 0) | (header.vid & 0xfff)
  writeU16(bytes, vlanAt.control, control)
  writeU16(bytes, vlanAt.type, header.type)
  return bytes
}

/** `vlan 100 ipv4` */
export function describeVlan(header: VlanHeader): string {
  return `vlan ${header.vid} ${etherTypeName(header.type)}`
}
