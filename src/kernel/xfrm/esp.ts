// The body of an ESP packet (RFC 4303 section 2): initialization vector, what is protected, padding, next header, check value.
// net/ipv4/esp4.c esp_output(), esp_input(), which IPv6 shares.
import { hash32 } from '../../base/hash.ts'
import { readU8, writeU8, writeU32 } from '../../net/bytes.ts'
import { espAt, writeEsp } from '../../net/esp.ts'
import { open, seal } from '../cipher.ts'
import type { Skb } from '../skb.ts'
import { blockBytes, headerBytes, type XfrmState } from './state.ts'

/** Length of padding and next header, at the end of what is encrypted. */
const trailerBytes = 2
const seqRange = 0x1_0000_0000

function keyOf({ algorithm, spi }: XfrmState): string {
  return `${algorithm.secret} ${spi}`
}

/** What stands before the first encrypted byte counts for the check value, as the number does. */
function secretFor(state: XfrmState, number: number): { readonly key: string; readonly number: number } {
  return { key: keyOf(state), number }
}

/** Writes an initialization vector that no other packet of the state has (crypto/seqiv.c: the number, and a salt). */
function writeVector(bytes: Uint8Array, at: number, state: XfrmState, number: number): void {
  const { iv } = state.algorithm
  for (let offset = 0; offset < iv; offset += 4) {
    const salt = hash32(keyOf(state), offset)
    const word = offset === iv - 4 ? number % seqRange : offset === iv - 8 ? Math.floor(number / seqRange) : 0
    writeU32(bytes, at + offset, (salt ^ word) >>> 0)
  }
}

/**
 * Turns the bytes from `skb.data` on into the body of a packet, whose ESP header `skb.data` stands at afterwards. `next` is the
 * protocol of what is protected.
 */
export function espSeal(skb: Skb, state: XfrmState, next: number): void {
  skb.unfinishedSum = 0 // skb_checksum_help() in xfrm_output()
  const { iv, icv } = state.algorithm
  const length = skb.length
  const block = blockBytes(state)
  const sealed = Math.ceil((length + trailerBytes) / block) * block
  skb.macHeader = -1
  skb.reserve(headerBytes(state))
  skb.resizeTail(sealed + icv)
  state.sent += 1
  const padding = sealed - length - trailerBytes
  const { bytes, data } = skb
  for (let at = 1; at <= padding; at += 1) writeU8(bytes, data + length + at - 1, at)
  writeU8(bytes, data + sealed - 2, padding)
  writeU8(bytes, data + sealed - 1, next)
  seal(bytes, { start: data, end: data + sealed, tag: icv }, secretFor(state, state.sent))
  writeVector(bytes, data - iv, state, state.sent)
  skb.data = data - iv - espAt.payload
  writeEsp(bytes, skb.data, { spi: state.spi, sequence: state.sent % seqRange })
}

/**
 * Opens the packet whose ESP header stands at `skb.data`: afterwards `data` and `tail` enclose what was protected. Answers the
 * protocol of that, or `EBADMSG` for a wrong check value and `EINVAL` for a packet of no possible length.
 */
export function espOpen(skb: Skb, state: XfrmState, number: number): number | 'EBADMSG' | 'EINVAL' {
  const { iv, icv } = state.algorithm
  const start = skb.data + espAt.payload + iv
  const end = skb.tail - icv
  if (end - start < trailerBytes || (end - start) % blockBytes(state) !== 0) return 'EINVAL'
  if (!open(skb.bytes, { start, end, tag: icv }, secretFor(state, number))) return 'EBADMSG'
  const padding = readU8(skb.bytes, end - 2)
  if (padding + trailerBytes > end - start) return 'EINVAL'
  skb.data = start
  skb.tail = end - trailerBytes - padding
  return readU8(skb.bytes, end - 1)
}
