// The list that IPv4 and TCP options are written in: type, length, data. `end` (0) and `nop` (1) have no length.
import { isPadding, readU8 } from './bytes.ts'

/** What stands in such a list beside the options of a protocol. */
export type ListOption =
  | { readonly kind: 'nop' }
  /** the end of the list with what stands behind it, kept where that is more than the usual zero padding */
  | { readonly kind: 'end'; readonly data: Uint8Array }
  /** an option whose length is below 2 or reaches past the header, and everything behind it */
  | { readonly kind: 'invalid'; readonly data: Uint8Array }

/** The options between `start` and `end`, read by `decode`; padding with at most three zeros is not kept. */
export function decodeOptionList<Option>(
  bytes: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
  decode: (bytes: Uint8Array, offset: number, length: number) => Option,
): readonly (Option | ListOption)[] {
  const options: (Option | ListOption)[] = []
  let offset = start
  while (offset < end) {
    const type = readU8(bytes, offset)
    if (type === 0) {
      if (!isPadding(bytes, offset, end)) options.push({ kind: 'end', data: bytes.slice(offset + 1, end) })
      break
    }
    if (type === 1) {
      options.push({ kind: 'nop' })
      offset += 1
      continue
    }
    const length = offset + 1 < end ? readU8(bytes, offset + 1) : 0
    if (length < 2 || length > end - offset) {
      options.push({ kind: 'invalid', data: bytes.slice(offset, end) })
      break
    }
    options.push(decode(bytes, offset, length))
    offset += length
  }
  return options
}
