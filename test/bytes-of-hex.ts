import { hexToBytes } from '../src/net/hex.ts'

/** The bytes of a hexadecimal text, blanks allowed. Throws where it is none: for tests. */
export function bytesOfHex(text: string): Uint8Array {
  const bytes = hexToBytes(text)
  if (!(bytes instanceof Uint8Array)) throw new Error(`these are no bytes: ${text}`)
  return bytes
}
