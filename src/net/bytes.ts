// The smallest steps between bytes and numbers. Network byte order everywhere; nothing here allocates except hex.
//
// Reading past the end yields zeros rather than an exception: every caller has checked its lengths, and a packet
// that lies about them must never stop a run.

/** One byte. */
export function readU8(bytes: Uint8Array, offset: number): number {
  return bytes[offset] as number
}

/** Two bytes, big endian. */
export function readU16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number)
}

/** Three bytes, big endian (VNI). */
export function readU24(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 16) | readU16(bytes, offset + 1)
}

/** Four bytes, big endian, as an unsigned number. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return ((readU16(bytes, offset) << 16) | readU16(bytes, offset + 2)) >>> 0
}

/** Six bytes, big endian (MAC address); fits a safe integer. */
export function readU48(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset) * 0x1_0000_0000 + readU32(bytes, offset + 2)
}

/** Whether `bytes[start..end)` are exactly `other`. */
export function bytesAre(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  const { length } = other
  if (end - start !== length) return false
  for (let at = 0; at < length; at += 1) if (bytes[start + at] !== other[at]) return false
  return true
}

/** Writes the low 8 bits. */
export function writeU8(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value
}

/** Writes the low 16 bits, big endian. */
export function writeU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8
  bytes[offset + 1] = value
}

/** Writes the low 24 bits, big endian. */
export function writeU24(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 16
  writeU16(bytes, offset + 1, value)
}

/** Writes the low 32 bits, big endian. */
export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  writeU16(bytes, offset, value >>> 16)
  writeU16(bytes, offset + 2, value)
}

/** Writes the low 48 bits, big endian. */
export function writeU48(bytes: Uint8Array, offset: number, value: number): void {
  writeU16(bytes, offset, Math.floor(value / 0x1_0000_0000))
  writeU32(bytes, offset + 2, value % 0x1_0000_0000)
}

/** Whether two byte strings are equal. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  for (let i = 0; i < left.length; i += 1) if (left[i] !== right[i]) return false
  return true
}

/** All parts, one after the other. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** Whether `bytes[start, end)` is what an encoder appends to fill up a word of four: fewer than four zeros. */
export function isPadding(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start >= 4) return false
  for (let offset = start; offset < end; offset += 1) if (bytes[offset] !== 0) return false
  return true
}

/** htons(), ntohs() where the host is little endian: the two bytes in the other order. */
export function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff)
}

/** htonl(), ntohl(): the four bytes in the other order. */
export function swap32(value: number): number {
  return ((swap16(value & 0xffff) << 16) | swap16(value >>> 16)) >>> 0
}

/** Bytes of a payload: `abcdefgh...`, so that a reader of a capture sees where a segment begins. */
export function letters(count: number): Uint8Array {
  const data = new Uint8Array(count)
  for (let at = 0; at < count; at += 1) data[at] = 97 + (at % 26)
  return data
}
