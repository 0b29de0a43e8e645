// Host byte order is little endian, as on x86: what a C program loads natively from a packet has its bytes swapped.

export { swap16, swap32 } from '../../net/bytes.ts'

/** Two bytes, little endian. */
export function readLe16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] as number) | ((bytes[offset + 1] as number) << 8)
}

/** Four bytes, little endian, as an unsigned number. */
export function readLe32(bytes: Uint8Array, offset: number): number {
  return (readLe16(bytes, offset) | (readLe16(bytes, offset + 2) << 16)) >>> 0
}

/** Eight bytes, little endian; exact up to 2^53. */
export function readLe64(bytes: Uint8Array, offset: number): number {
  return readLe32(bytes, offset + 4) * 0x1_0000_0000 + readLe32(bytes, offset)
}

/** Writes the low 16 bits, little endian. */
export function writeLe16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value
  bytes[offset + 1] = value >>> 8
}

/** Writes the low 32 bits, little endian. */
export function writeLe32(bytes: Uint8Array, offset: number, value: number): void {
  writeLe16(bytes, offset, value)
  writeLe16(bytes, offset + 2, value >>> 16)
}

/** Writes a number up to 2^53 as eight bytes, little endian. */
export function writeLe64(bytes: Uint8Array, offset: number, value: number): void {
  writeLe32(bytes, offset, value % 0x1_0000_0000)
  writeLe32(bytes, offset + 4, Math.floor(value / 0x1_0000_0000))
}
