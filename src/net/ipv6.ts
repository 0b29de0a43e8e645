// IPv6, the fixed forty bytes. Before changing this file, read RFC 8200; for what Linux accepts, net/ipv6/ip6_input.c
// ip6_rcv_core(). The extension headers are in ipv6-extensions.ts.
import { type Ipv6, readIpv6, writeIpv6 } from './address.ts'
import { readU8, readU16, readU32, writeU8, writeU16, writeU32 } from './bytes.ts'
import { type Malformed, malformed } from './malformed.ts'
import type { Naming } from './naming.ts'
import { ipProtocolName } from './protocol.ts'

export const ipv6At = {
  /** version 4 bits, traffic class 8 bits, flow label 20 bits */
  versionClassFlow: 0,
  payloadLength: 4,
  nextHeader: 6,
  hopLimit: 7,
  source: 8,
  destination: 24,
  payload: 40,
} as const

export interface Ipv6Header {
  readonly trafficClass: number
  readonly flowLabel: number
  /** bytes behind the fixed header, extension headers included */
  readonly payloadLength: number
  readonly nextHeader: number
  readonly hopLimit: number
  readonly source: Ipv6
  readonly destination: Ipv6
}

/** DSCP and ECN of the header at `offset`. */
export function ipv6TrafficClass(bytes: Uint8Array, offset: number): number {
  return (readU16(bytes, offset) >>> 4) & 0xff
}

/** The 20-bit flow label of the header at `offset`. */
export function ipv6FlowLabel(bytes: Uint8Array, offset: number): number {
  return readU32(bytes, offset) & 0xf_ffff
}

/** Writes the flow label; no checksum covers it. */
export function writeIpv6FlowLabel(bytes: Uint8Array, offset: number, value: number): void {
  writeU32(bytes, offset, (readU32(bytes, offset) & 0xfff0_0000) | (value & 0xf_ffff))
}

/** What is structurally wrong with the header at `offset`. Jumbograms (RFC 2675) are not modelled. */
export function checkIpv6(bytes: Uint8Array, offset: number, end: number): Malformed | undefined {
  if (end - offset < ipv6At.payload) return malformed('ip6: shorter than its header')
  if (readU8(bytes, offset) >>> 4 !== 6) return malformed('ip6: version is not 6')
  const payload = readU16(bytes, offset + ipv6At.payloadLength)
  if (payload > end - offset - ipv6At.payload) return malformed('ip6: payload length reaches past the packet')
  return undefined
}

/** The header at `offset`; malformed as `ip6_rcv_core` sees it. */
export function decodeIpv6(bytes: Uint8Array, offset = 0, end = bytes.length): Ipv6Header | Malformed {
  return checkIpv6(bytes, offset, end) ?? readIpv6Header(bytes, offset)
}

/** The header at `offset` without any check: for quotes in ICMPv6 errors, whose payload is cut off. */
export function readIpv6Header(bytes: Uint8Array, offset: number): Ipv6Header {
  return {
    trafficClass: ipv6TrafficClass(bytes, offset),
    flowLabel: ipv6FlowLabel(bytes, offset),
    payloadLength: readU16(bytes, offset + ipv6At.payloadLength),
    nextHeader: readU8(bytes, offset + ipv6At.nextHeader),
    hopLimit: readU8(bytes, offset + ipv6At.hopLimit),
    source: readIpv6(bytes, offset + ipv6At.source),
    destination: readIpv6(bytes, offset + ipv6At.destination),
  }
}

/** The forty bytes of a header. */
export function encodeIpv6(header: Ipv6Header): Uint8Array {
  const bytes = new Uint8Array(ipv6At.payload)
  writeU32(bytes, 0, (0x6000_0000 | (header.trafficClass << 20) | header.flowLabel) >>> 0)
  writeU16(bytes, ipv6At.payloadLength, header.payloadLength)
  writeU8(bytes, ipv6At.nextHeader, header.nextHeader)
  writeU8(bytes, ipv6At.hopLimit, header.hopLimit)
  writeIpv6(bytes, ipv6At.source, header.source)
  writeIpv6(bytes, ipv6At.destination, header.destination)
  return bytes
}

/** `ip6 fd00::1 > fd00::2 udp ttl 64` */
export function describeIpv6(header: Ipv6Header, naming: Naming): string {
  const ends = `${naming.ip(header.source)} > ${naming.ip(header.destination)}`
  return `ip6 ${ends} ${ipProtocolName(header.nextHeader)} ttl ${header.hopLimit}`
}
