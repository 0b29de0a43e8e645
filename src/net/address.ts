// IP addresses. IPv4 is one unsigned number (10.0.0.1 is 0x0a000001), IPv6 is four of them: both are cheap to compare,
// to hash and to read from a packet. Text is made and read only at the edges.
import ipaddr from 'ipaddr.js'
import type { Branded } from '../base/brand.ts'
import { readU32, writeU32 } from './bytes.ts'
import type { Mac } from './mac.ts'

/** An IPv4 address as an unsigned 32-bit number, first octet most significant. */
export type Ipv4 = Branded<number, 'Ipv4'>

/** An IPv6 address as four unsigned 32-bit words, in the order of the wire. */
export type Ipv6 = readonly [number, number, number, number]

/** Either family; `typeof address === 'number'` tells which. */
export type IpAddress = Ipv4 | Ipv6

export const anyIpv4 = 0 as Ipv4
export const anyIpv6: Ipv6 = [0, 0, 0, 0]
export const broadcastIpv4 = 0xffff_ffff as Ipv4
/** ff02::1, all nodes on the link. */
export const allNodes: Ipv6 = [0xff02_0000, 0, 0, 1]
/** An IPv4 address from any number; bits above 32 are lost, a negative number is read as two's complement. */
export function ipv4From(value: number): Ipv4 {
  return (value >>> 0) as Ipv4
}

const fourParts = /^\d{1,3}(?:\.\d{1,3}){3}$/

/** `a.b.c.d` in decimal, exactly four parts, to an address. */
export function parseIpv4(text: string): Ipv4 | undefined {
  // The library tells a wrong text by an exception; most words that are asked about do not even look like an address.
  if (!fourParts.test(text) || !ipaddr.IPv4.isValidFourPartDecimal(text)) return undefined
  const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv4.parse(text).octets
  return (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) as Ipv4
}

/** Any RFC 4291 text without a zone to an address. */
export function parseIpv6(text: string): Ipv6 | undefined {
  if (text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined
  const p = ipaddr.IPv6.parse(text).parts
  const word = (i: number): number => (((p[i] ?? 0) << 16) | (p[i + 1] ?? 0)) >>> 0
  return [word(0), word(2), word(4), word(6)]
}

/** An address of either family from its text. */
export function parseIp(text: string): IpAddress | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

/** Four decimal parts. */
export function formatIpv4(address: Ipv4): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`
}

/** RFC 5952: lower case, no leading zeros, the longest run of zeros (two or more groups) as `::`. */
export function formatIpv6(address: Ipv6): string {
  const parts: number[] = []
  for (const word of address) parts.push(word >>> 16, word & 0xffff)
  return new ipaddr.IPv6(parts).toRFC5952String()
}

/** The text of either family. */
export function formatIp(address: IpAddress): string {
  return isIpv4(address) ? formatIpv4(address) : formatIpv6(address)
}

/** Which family an address belongs to. */
export function isIpv4(address: IpAddress): address is Ipv4 {
  return typeof address === 'number'
}

/** Whether two IPv6 addresses are equal. */
export function sameIpv6(left: Ipv6, right: Ipv6): boolean {
  return left[3] === right[3] && left[2] === right[2] && left[1] === right[1] && left[0] === right[0]
}

/** Whether two addresses are of one family and equal. */
export function sameIp(left: IpAddress, right: IpAddress): boolean {
  if (isIpv4(left) || isIpv4(right)) return left === right
  return sameIpv6(left, right)
}

/** The IPv4 address at `offset`. */
export function readIpv4(bytes: Uint8Array, offset: number): Ipv4 {
  return readU32(bytes, offset) as Ipv4
}

/** Writes four bytes. */
export function writeIpv4(bytes: Uint8Array, offset: number, address: Ipv4): void {
  writeU32(bytes, offset, address)
}

/** The IPv6 address at `offset`; makes a new value, so on the packet path prefer `ipv6IsAt`. */
export function readIpv6(bytes: Uint8Array, offset: number): Ipv6 {
  return [
    readU32(bytes, offset),
    readU32(bytes, offset + 4),
    readU32(bytes, offset + 8),
    readU32(bytes, offset + 12),
  ]
}

/** Writes sixteen bytes. */
export function writeIpv6(bytes: Uint8Array, offset: number, address: Ipv6): void {
  writeU32(bytes, offset, address[0])
  writeU32(bytes, offset + 4, address[1])
  writeU32(bytes, offset + 8, address[2])
  writeU32(bytes, offset + 12, address[3])
}

/** Whether the sixteen bytes at `offset` are this address, without making a value. */
export function ipv6IsAt(bytes: Uint8Array, offset: number, address: Ipv6): boolean {
  return (
    readU32(bytes, offset + 12) === address[3] &&
    readU32(bytes, offset + 8) === address[2] &&
    readU32(bytes, offset + 4) === address[1] &&
    readU32(bytes, offset) === address[0]
  )
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(address: IpAddress): boolean {
  return isIpv4(address) ? address >>> 28 === 14 : address[0] >>> 24 === 0xff
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(address: IpAddress): boolean {
  if (isIpv4(address)) return address >>> 24 === 127
  return address[3] === 1 && (address[0] | address[1] | address[2]) === 0
}

/** 169.254.0.0/16 or fe80::/10. */
export function isLinkLocal(address: IpAddress): boolean {
  return isIpv4(address) ? address >>> 16 === 0xa9fe : address[0] >>> 22 === 0x3fa
}

/** 0.0.0.0 or ::. */
export function isUnspecified(address: IpAddress): boolean {
  return isIpv4(address) ? address === 0 : (address[0] | address[1] | address[2] | address[3]) === 0
}

/** ff02::1:ffXX:XXXX, where neighbours listen for solicitations of this address (RFC 4291 section 2.7.1). */
export function solicitedNode(address: Ipv6): Ipv6 {
  return [0xff02_0000, 0, 1, (0xff00_0000 | (address[3] & 0xff_ffff)) >>> 0]
}

/** fe80:: with the modified EUI-64 of a MAC address: universal bit flipped, ff:fe in the middle (RFC 4291 appendix A). */
export function linkLocalOf(mac: Mac): Ipv6 {
  const vendor = Math.floor(mac / 0x100_0000)
  const serial = mac % 0x100_0000
  return [0xfe80_0000, 0, (((vendor ^ 0x02_0000) << 8) | 0xff) >>> 0, (0xfe00_0000 | serial) >>> 0]
}
