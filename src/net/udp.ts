// UDP. Before changing this file, read RFC 768 and RFC 1122 section 4.1.3.4: a checksum of zero means "none" over IPv4.
import { readU16, writeU16 } from './bytes.ts'
import { type Malformed, malformed } from './malformed.ts'

export const udpAt = { source: 0, destination: 2, length: 4, checksum: 6, payload: 8 } as const

export interface UdpHeader {
  readonly source: number
  readonly destination: number
  /** bytes of header and payload together */
  readonly length: number
  readonly checksum: number
}

/** The header at `offset`; malformed when its length is below 8 or reaches past `end` (Linux: udp_rcv, "short packet"). */
export function decodeUdp(bytes: Uint8Array, offset = 0, end = bytes.length): UdpHeader | Malformed {
  if (end - offset < udpAt.payload) return malformed('udp: shorter than its header')
  const length = readU16(bytes, offset + udpAt.length)
  if (length < udpAt.payload) return malformed('udp: length is below 8')
  if (length > end - offset) return malformed('udp: length reaches past the packet')
  return {
    source: readU16(bytes, offset + udpAt.source),
    destination: readU16(bytes, offset + udpAt.destination),
    length,
    checksum: readU16(bytes, offset + udpAt.checksum),
  }
}

/** The eight bytes of a header. */
export function encodeUdp(header: UdpHeader): Uint8Array {
  const bytes = new Uint8Array(udpAt.payload)
  writeU16(bytes, udpAt.source, header.source)
  writeU16(bytes, udpAt.destination, header.destination)
  writeU16(bytes, udpAt.length, header.length)
  writeU16(bytes, udpAt.checksum, header.checksum)
  return bytes
}

/** A header without its checksum (0), and the data behind it. */
export function udpSegment(source: number, destination: number, data: Uint8Array): Uint8Array {
  const segment = new Uint8Array(udpAt.payload + data.length)
  writeU16(segment, udpAt.source, source)
  writeU16(segment, udpAt.destination, destination)
  writeU16(segment, udpAt.length, segment.length)
  segment.set(data, udpAt.payload)
  return segment
}

/** `udp 4000 > 53 len 20` */
export function describeUdp(header: UdpHeader): string {
  return `udp ${header.source} > ${header.destination} len ${header.length - udpAt.payload}`
}
