// ESP: which security association a packet belongs to and its sequence number; everything behind is encrypted. Before
// changing this file, read RFC 4303 section 2.
import { readU32, writeU32 } from './bytes.ts'
import { type Malformed, malformed } from './malformed.ts'

/** `payload`: where the initialization vector begins. */
export const espAt = { spi: 0, sequence: 4, payload: 8 } as const

export interface EspHeader {
  readonly spi: number
  readonly sequence: number
}

/** The header at `offset`. */
export function decodeEsp(bytes: Uint8Array, offset = 0, end = bytes.length): EspHeader | Malformed {
  if (end - offset < espAt.payload) return malformed('esp: shorter than its header')
  return { spi: readU32(bytes, offset + espAt.spi), sequence: readU32(bytes, offset + espAt.sequence) }
}

/** Writes a header. */
export function writeEsp(bytes: Uint8Array, offset: number, { spi, sequence }: EspHeader): void {
  writeU32(bytes, offset + espAt.spi, spi)
  writeU32(bytes, offset + espAt.sequence, sequence)
}

/** `esp spi 3 seq 7` */
export function describeEsp({ spi, sequence }: EspHeader): string {
  return `esp spi ${spi} seq ${sequence}`
}
