// VXLAN: eight bytes behind UDP, then an Ethernet frame. Before changing this file, read RFC 7348 section 5; the group
// policy extension (draft-smith-vxlan-group-policy), which puts an identity into the reserved bits, is kept as a number.
import { readU8, readU16, readU24, writeU8, writeU16, writeU24 } from './bytes.ts'
import { type Malformed, malformed } from './malformed.ts'

export const vxlanAt = { flags: 0, group: 2, vni: 4, payload: 8 } as const
export const vxlanFlag = { vniPresent: 0x08, groupPolicy: 0x80 } as const

export interface VxlanHeader {
  readonly flags: number
  /** group policy identifier when the flag `groupPolicy` is set, else zero */
  readonly group: number
  readonly vni: number
}

/** The header at `offset`; malformed when cut off or without the VNI flag (Linux: vxlan_rcv drops it). */
export function decodeVxlan(bytes: Uint8Array, offset = 0, end = bytes.length): VxlanHeader | Malformed {
  if (end - offset < vxlanAt.payload) return malformed('vxlan: shorter than its header')
  const flags = readU8(bytes, offset + vxlanAt.flags)
  if ((flags & vxlanFlag.vniPresent) === 0) return malformed('vxlan: flag for the VNI is not set')
  return { flags, group: readU16(bytes, offset + vxlanAt.group), vni: readU24(bytes, offset + vxlanAt.vni) }
}

/** The eight bytes of a header. */
export function encodeVxlan(header: VxlanHeader): Uint8Array {
  const bytes = new Uint8Array(vxlanAt.payload)
  writeU8(bytes, vxlanAt.flags, header.flags)
  writeU16(bytes, vxlanAt.group, header.group)
  writeU24(bytes, vxlanAt.vni, header.vni)
  return bytes
}

/** `vxlan vni 42` */
export function describeVxlan(header: VxlanHeader): string {
  return `vxlan vni ${header.vni}`
}
