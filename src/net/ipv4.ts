// IPv4. Before changing this file, read RFC 791, RFC 2474 (DSCP) and RFC 3168 (ECN); for what Linux accepts,
// net/ipv4/ip_input.c ip_rcv_core().
import { type Ipv4, readIpv4, writeIpv4 } from './address.ts'
import { readU8, readU16, writeU8, writeU16 } from './bytes.ts'
import { checksumOf } from './checksum.ts'
import { decodeIpv4Options, encodeIpv4Options, type Ipv4Option } from './ipv4-options.ts'
import { type Malformed, malformed } from './malformed.ts'
import type { Naming } from './naming.ts'
import { ipProtocolName } from './protocol.ts'

export const ipv4At = {
  versionAndLength: 0,
  tos: 1,
  totalLength: 2,
  identification: 4,
  flagsAndOffset: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
  options: 20,
} as const

/** Bits of the 16-bit word that starts with the flags; the rest is the fragment offset in units of 8 bytes. */
export const ipv4Flag = {
  reserved: 0x8000,
  dontFragment: 0x4000,
  moreFragments: 0x2000,
  offsetMask: 0x1fff,
} as const

export interface Ipv4Header {
  readonly tos: number
  /** bytes of header and payload together */
  readonly totalLength: number
  readonly identification: number
  readonly reservedFlag: boolean
  readonly dontFragment: boolean
  readonly moreFragments: boolean
  /** bytes, a multiple of 8 */
  readonly fragmentOffset: number
  readonly ttl: number
  readonly protocol: number
  readonly checksum: number
  readonly source: Ipv4
  readonly destination: Ipv4
  readonly options: readonly Ipv4Option[]
}

/** Bytes of the header that starts at `offset`, options included, as its own IHL says. */
export function ipv4HeaderLength(bytes: Uint8Array, offset: number): number {
  return (readU8(bytes, offset) & 15) << 2
}

/** Offset of this fragment in its datagram, in bytes. */
export function ipv4FragmentOffset(bytes: Uint8Array, offset: number): number {
  return (readU16(bytes, offset + ipv4At.flagsAndOffset) & ipv4Flag.offsetMask) << 3
}

/** Whether the packet is a fragment of any kind: more follow, or it is not the first (Linux: ip_is_fragment). */
export function ipv4IsFragment(bytes: Uint8Array, offset: number): boolean {
  return (
    (readU16(bytes, offset + ipv4At.flagsAndOffset) & (ipv4Flag.moreFragments | ipv4Flag.offsetMask)) !== 0
  )
}

/** What is structurally wrong with the header at `offset`; the checksum is another question. */
export function checkIpv4(bytes: Uint8Array, offset: number, end: number): Malformed | undefined {
  if (end - offset < ipv4At.options) return malformed('ip: shorter than its header')
  if (readU8(bytes, offset) >>> 4 !== 4) return malformed('ip: version is not 4')
  const headerLength = ipv4HeaderLength(bytes, offset)
  if (headerLength < ipv4At.options) return malformed('ip: header length is below 20')
  if (headerLength > end - offset) return malformed('ip: header reaches past the packet')
  const totalLength = readU16(bytes, offset + ipv4At.totalLength)
  if (totalLength < headerLength) return malformed('ip: total length is below the header length')
  if (totalLength > end - offset) return malformed('ip: total length reaches past the packet')
  return undefined
}

/** The header at `offset`; malformed as `ip_rcv_core` sees it. A wrong checksum is decoded like a right one. */
export function decodeIpv4(bytes: Uint8Array, offset = 0, end = bytes.length): Ipv4Header | Malformed {
  return checkIpv4(bytes, offset, end) ?? readIpv4Header(bytes, offset)
}

/** The header at `offset` without any check: for quotes in ICMP errors, whose payload is cut off. */
export function readIpv4Header(bytes: Uint8Array, offset: number): Ipv4Header {
  const flags = readU16(bytes, offset + ipv4At.flagsAndOffset)
  return {
    tos: readU8(bytes, offset + ipv4At.tos),
    totalLength: readU16(bytes, offset + ipv4At.totalLength),
    identification: readU16(bytes, offset + ipv4At.identification),
    reservedFlag: (flags & ipv4Flag.reserved) !== 0,
    dontFragment: (flags & ipv4Flag.dontFragment) !== 0,
    moreFragments: (flags & ipv4Flag.moreFragments) !== 0,
    fragmentOffset: (flags & ipv4Flag.offsetMask) << 3,
    ttl: readU8(bytes, offset + ipv4At.ttl),
    protocol: readU8(bytes, offset + ipv4At.protocol),
    checksum: readU16(bytes, offset + ipv4At.checksum),
    source: readIpv4(bytes, offset + ipv4At.source),
    destination: readIpv4(bytes, offset + ipv4At.destination),
    options: decodeIpv4Options(bytes, offset + ipv4At.options, offset + ipv4HeaderLength(bytes, offset)),
  }
}

/** The bytes of a header, options padded to a multiple of four; every field as given, the checksum too. */
export function encodeIpv4(header: Ipv4Header): Uint8Array {
  const options = encodeIpv4Options(header.options)
  const bytes = new Uint8Array(ipv4At.options + options.length)
  const flags =
    (header.reservedFlag ? ipv4Flag.reserved : 0) |
    (header.dontFragment ? ipv4Flag.dontFragment : 0) |
    (header.moreFragments ? ipv4Flag.moreFragments : 0)
  writeU8(bytes, ipv4At.versionAndLength, 0x40 | (bytes.length >>> 2))
  writeU8(bytes, ipv4At.tos, header.tos)
  writeU16(bytes, ipv4At.totalLength, header.totalLength)
  writeU16(bytes, ipv4At.identification, header.identification)
  writeU16(bytes, ipv4At.flagsAndOffset, flags | (header.fragmentOffset >>> 3))
  writeU8(bytes, ipv4At.ttl, header.ttl)
  writeU8(bytes, ipv4At.protocol, header.protocol)
  writeU16(bytes, ipv4At.checksum, header.checksum)
  writeIpv4(bytes, ipv4At.source, header.source)
  writeIpv4(bytes, ipv4At.destination, header.destination)
  bytes.set(options, ipv4At.options)
  return bytes
}

/** Computes and writes the header checksum in place. */
export function writeIpv4Checksum(bytes: Uint8Array, offset: number): void {
  writeU16(bytes, offset + ipv4At.checksum, 0)
  const checksum = checksumOf(bytes, offset, offset + ipv4HeaderLength(bytes, offset))
  writeU16(bytes, offset + ipv4At.checksum, checksum)
}

/** Whether the header checksum is right. */
export function ipv4ChecksumIsRight(bytes: Uint8Array, offset: number): boolean {
  return checksumOf(bytes, offset, offset + ipv4HeaderLength(bytes, offset)) === 0
}

/** `ip 10.0.0.1 > 10.0.0.2 udp ttl 64` */
export function describeIpv4(header: Ipv4Header, naming: Naming): string {
  const ends = `${naming.ip(header.source)} > ${naming.ip(header.destination)}`
  const fragment = header.fragmentOffset > 0 || header.moreFragments
  const part = fragment ? ` frag ${header.fragmentOffset}${header.moreFragments ? '+' : ''}` : ''
  return `ip ${ends} ${ipProtocolName(header.protocol)} ttl ${header.ttl}${part}`
}
