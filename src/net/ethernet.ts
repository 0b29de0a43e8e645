// Ethernet II frames: fourteen bytes, no preamble and no frame check sequence, as Linux sees them.
// Before changing this file, read IEEE 802.3 clause 3 and RFC 894. A type below 0x600 is an 802.3 length.
import { readU16, writeU16 } from './bytes.ts'
import { type Mac, readMac, writeMac } from './mac.ts'
import { type Malformed, malformed } from './malformed.ts'
import type { Naming } from './naming.ts'
import { etherTypeName } from './protocol.ts'

export const ethernetAt = { destination: 0, source: 6, type: 12, payload: 14 } as const

export interface EthernetHeader {
  readonly destination: Mac
  readonly source: Mac
  /** EtherType, or an 802.3 length when below 0x600 */
  readonly type: number
}

/** The header at `offset`; malformed when fewer than 14 bytes are left before `end`. */
export function decodeEthernet(
  bytes: Uint8Array,
  offset = 0,
  end = bytes.length,
): EthernetHeader | Malformed {
  if (end - offset < ethernetAt.payload) return malformed('ethernet: shorter than its header')
  return {
    destination: readMac(bytes, offset + ethernetAt.destination),
    source: readMac(bytes, offset + ethernetAt.source),
    type: readU16(bytes, offset + ethernetAt.type),
  }
}

/** The fourteen bytes of a header. */
export function encodeEthernet(header: EthernetHeader): Uint8Array {
  const bytes = new Uint8Array(ethernetAt.payload)
  writeEthernet(bytes, 0, header)
  return bytes
}

/** Writes a header in place, as a device does before it transmits. */
export function writeEthernet(bytes: Uint8Array, offset: number, header: EthernetHeader): void {
  writeMac(bytes, offset + ethernetAt.destination, header.destination)
  writeMac(bytes, offset + ethernetAt.source, header.source)
  writeU16(bytes, offset + ethernetAt.type, header.type)
}

/** `eth 02:00:00:00:00:01 > 02:00:00:00:00:02 ipv4` */
export function describeEthernet(header: EthernetHeader, naming: Naming): string {
  return `eth ${naming.mac(header.source)} > ${naming.mac(header.destination)} ${etherTypeName(header.type)}`
}
