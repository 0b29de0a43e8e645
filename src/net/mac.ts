// MAC addresses as numbers up to 2^48: they are table keys on every hop, and a number is the cheapest key there is.
import type { Branded } from '../base/brand.ts'
import type { Ipv4, Ipv6 } from './address.ts'
import { readU48, writeU48 } from './bytes.ts'

/** A 48-bit MAC address; the first byte on the wire is the most significant. */
export type Mac = Branded<number, 'Mac'>

export const broadcastMac = 0xffff_ffff_ffff as Mac
export const zeroMac = 0 as Mac

/** A MAC address from its number, 0 to 2^48 - 1. */
export function macFrom(value: number): Mac {
  return value as Mac
}

/** `02:00:00:00:00:01` (or with hyphens, any case) to a MAC address. */
export function parseMac(text: string): Mac | undefined {
  if (!/^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$/i.test(text)) return undefined
  return Number.parseInt(text.replace(/[:-]/g, ''), 16) as Mac
}

/** Six lower-case pairs with colons. */
export function formatMac(mac: Mac): string {
  const digits = mac.toString(16).padStart(12, '0')
  return digits.replace(/..(?=.)/g, '$&:')
}

/** The MAC address at `offset`. */
export function readMac(bytes: Uint8Array, offset: number): Mac {
  return readU48(bytes, offset) as Mac
}

/** Writes six bytes. */
export function writeMac(bytes: Uint8Array, offset: number, mac: Mac): void {
  writeU48(bytes, offset, mac)
}

/** Whether the group bit is set: multicast, which includes broadcast (Linux: is_multicast_ether_addr). */
export function isMulticastMac(mac: Mac): boolean {
  return (Math.floor(mac / 0x100_0000_0000) & 1) === 1
}

/** `01:00:5e` and the low 23 bits of an IPv4 group (RFC 1112 section 6.4). */
export function multicastMacOf4(group: Ipv4): Mac {
  return (0x0100_5e00_0000 + (group & 0x7f_ffff)) as Mac
}

/** `33:33` and the low 32 bits of an IPv6 group (RFC 2464 section 7). */
export function multicastMacOf6(group: Ipv6): Mac {
  return (0x3333_0000_0000 + group[3]) as Mac
}
