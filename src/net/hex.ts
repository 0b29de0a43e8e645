// Bytes as people write them. Enters: text from a scenario or a capture; leaves: bytes, or what is wrong and where.
import { type Malformed, malformed } from './malformed.ts'

/** Blanks, and the signs that tools put between bytes. */
const separators = ' \t\r\n:_'

function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/**
 * Hex digits to bytes. Blanks, colons and underscores may separate bytes (not the two digits of one byte); a leading
 * `0x` is allowed. Returns why not for an odd number of digits or a foreign character, naming its 1-based place.
 */
export function hexToBytes(text: string): Uint8Array | Malformed {
  const start = /^\s*0x/i.exec(text)?.[0].length ?? 0
  const bytes = new Uint8Array((text.length - start) >> 1)
  let count = 0
  let high = -1
  for (let i = start; i < text.length; i += 1) {
    const digit = digitOf(text.charCodeAt(i))
    if (digit < 0) {
      if (!separators.includes(text.charAt(i))) {
        return malformed(`\`${text.charAt(i)}\` at character ${i + 1} is not a hex digit`)
      }
      if (high >= 0) return malformed(`the byte before character ${i + 1} has only one hex digit`)
    } else if (high < 0) {
      high = digit
    } else {
      bytes[count] = high * 16 + digit
      count += 1
      high = -1
    }
  }
  return high < 0 ? bytes.subarray(0, count) : malformed('the last byte has only one hex digit')
}

/** Bytes to lower-case hex digits without separators. */
export function bytesToHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}
