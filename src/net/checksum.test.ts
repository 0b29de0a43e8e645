import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readU16, readU32, writeU16, writeU32 } from './bytes.ts'
import {
  checksumOf,
  foldSum,
  replaceU16,
  replaceU32,
  sumWords,
  updateChecksum16,
  updateChecksum32,
} from './checksum.ts'
import { crc32c } from './crc32c.ts'
import { hexToBytes } from './hex.ts'

test('the example of RFC 1071 section 3', () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
  expect(foldSum(sumWords(bytes, 0, 8))).toBe(0xddf2)
})

test('the example of RFC 1624 section 4', () => {
  expect(updateChecksum16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000)
})

test('an odd last byte is the high half of a word', () => {
  expect(checksumOf(Uint8Array.of(0x12), 0, 1)).toBe(0xedff)
})

test('the CRC32c of RFC 3720 appendix B.4', () => {
  expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a91_36aa)
  expect(crc32c(new Uint8Array(32).fill(0xff), 0, 32)).toBe(0x62a8_ab43)
  expect(
    crc32c(
      Uint8Array.from({ length: 32 }, (_, index) => index),
      0,
      32,
    ),
  ).toBe(0x46dd_794e)
  expect(crc32c(new TextEncoder().encode('123456789'), 0, 9)).toBe(0xe306_9283)
})

/** Bytes with a checksum in front, as in any header that is not all zeros. */
const covered = fc
  .uint8Array({ minLength: 8, maxLength: 64 })
  .filter((bytes) => bytes.length % 2 === 0)
  .map((bytes) => {
    bytes[2] = 0x45
    writeU16(bytes, 0, 0)
    writeU16(bytes, 0, checksumOf(bytes, 0, bytes.length))
    return bytes
  })

test('the incremental checksum is the full one', () => {
  fc.assert(
    fc.property(covered, fc.nat(0xffff), fc.nat(0xffff_ffff), (bytes, short, long) => {
      const end = bytes.length
      const check16 = updateChecksum16(readU16(bytes, 0), readU16(bytes, 6), short)
      replaceU16(bytes, 6, short, 0)
      expect(readU16(bytes, 0)).toBe(check16)
      expect(checksumOf(bytes, 0, end)).toBe(0)
      const check32 = updateChecksum32(readU16(bytes, 0), readU32(bytes, 4), long)
      replaceU32(bytes, 4, long, 0)
      writeU16(bytes, 0, 0)
      const full = checksumOf(bytes, 0, end)
      expect(check32).toBe(full)
      writeU32(bytes, 4, long)
    }),
  )
})

test.each([
  ['0x0a0B', [10, 11]],
  ['0a:0b 0c\n0d', [10, 11, 12, 13]],
  ['', []],
])('`%s` is hex', (text, expected) => {
  expect(hexToBytes(text)).toEqual(Uint8Array.from(expected))
})

test.each([
  ['0a0', 'the last byte has only one hex digit'],
  ['0 a', 'the byte before character 2 has only one hex digit'],
  ['0azz', '`z` at character 3 is not a hex digit'],
])('`%s` is not: %s', (text, reason) => {
  expect(hexToBytes(text)).toEqual({ malformed: reason })
})
