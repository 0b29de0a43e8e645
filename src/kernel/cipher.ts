// What stands for authenticated encryption (ChaCha20-Poly1305, AES-GCM) here: bytes that nobody can read without the key, a
// tag, mostly of 16 bytes, that notices any change, the same for the same key and number. It is no cryptography: sizes and who can
// read what are as in Linux, the bytes are not.
import { hash32 } from '../base/hash.ts'
import { readU32, writeU32 } from '../net/bytes.ts'
import { authTagBytes } from '../net/wireguard.ts'

/** A stream of 32-bit words out of a key and a number (xorshift128, Marsaglia 2003). */
function keystream(key: string, number: number): () => number {
  let x = hash32(key, number) | 1
  let y = hash32(key, number + 1) ^ 0x9e37_79b9
  let z = hash32(key, Math.floor(number / 0x1_0000_0000))
  let w = hash32(key, 0x5bd1_e995)
  return () => {
    const t = x ^ (x << 11)
    x = y
    y = z
    z = w
    w = (w ^ (w >>> 19) ^ t ^ (t >>> 8)) >>> 0
    return w
  }
}

function apply(bytes: Uint8Array, start: number, end: number, next: () => number): void {
  for (let at = start; at < end; at += 4) {
    const word = next()
    for (let index = 0; index < 4 && at + index < end; index += 1) {
      const place = at + index
      bytes[place] = (bytes[place] as number) ^ ((word >>> (24 - index * 8)) & 0xff)
    }
  }
}

/** The words of the tag over readable bytes. */
function tagOf(
  bytes: Uint8Array,
  range: { readonly start: number; readonly end: number; readonly tag: number },
  next: () => number,
): readonly number[] {
  const { start, end } = range
  const words = [next(), next(), next(), next()]
  for (let at = start; at < end; at += 1) {
    const index = (at - start) & 3
    words[index] = Math.imul((words[index] as number) ^ (bytes[at] as number), 0x0100_0193) >>> 0
  }
  return Array.from({ length: range.tag / 4 }, (_, index) => {
    const [word = 0, other = 0] = [words[index & 3], words[(index + 1) & 3]]
    return (Math.imul(word, 1 + 2 * (index >>> 2)) ^ other ^ (end - start)) >>> 0
  })
}

/** Which bytes are sealed, and how long the tag behind them is (a multiple of 4 bytes; that of ChaCha20-Poly1305 unless said). */
interface Sealed {
  readonly start: number
  readonly end: number
  readonly tag?: number
}

/** Encrypts `[start, end)` in place and writes the tag behind it, for which there must be room. */
export function seal(
  bytes: Uint8Array,
  { start, end, tag: length = authTagBytes }: Sealed,
  { key, number }: { readonly key: string; readonly number: number },
): void {
  const next = keystream(key, number)
  const tag = tagOf(bytes, { start, end, tag: length }, next)
  apply(bytes, start, end, next)
  tag.forEach((word, index) => {
    writeU32(bytes, end + index * 4, word)
  })
}

/** Decrypts `[start, end)`, whose tag stands behind it, in place. False, and the bytes as they were, where key, number, bytes or tag do not belong together. */
export function open(
  bytes: Uint8Array,
  { start, end, tag: length = authTagBytes }: Sealed,
  { key, number }: { readonly key: string; readonly number: number },
): boolean {
  const next = keystream(key, number)
  const words = [next(), next(), next(), next()]
  apply(bytes, start, end, next)
  let index = 0
  const tag = tagOf(bytes, { start, end, tag: length }, () => words[index++] as number)
  if (tag.every((word, at) => readU32(bytes, end + at * 4) === word)) return true
  const again = keystream(key, number)
  for (let skipped = 0; skipped < 4; skipped += 1) again()
  apply(bytes, start, end, again)
  return false
}
