// Options of neighbour discovery: type, length in units of 8 bytes, data. Before changing this file, read RFC 4861
// section 4.6. An option of length zero makes the whole message invalid.
import { type Ipv6, readIpv6, writeIpv6 } from './address.ts'
import { concatBytes, readU8, readU32, writeU8, writeU32 } from './bytes.ts'
import { type Mac, readMac, writeMac } from './mac.ts'
import { type Malformed, malformed } from './malformed.ts'

export const ndOptionType = { sourceLink: 1, targetLink: 2, prefix: 3, redirected: 4, mtu: 5 } as const

export type NdOption =
  | { readonly kind: 'source-link'; readonly mac: Mac }
  | { readonly kind: 'target-link'; readonly mac: Mac }
  | {
      readonly kind: 'prefix'
      readonly length: number
      readonly onLink: boolean
      readonly autonomous: boolean
      readonly validSeconds: number
      readonly preferredSeconds: number
      readonly prefix: Ipv6
    }
  | { readonly kind: 'mtu'; readonly mtu: number }
  /** the packet that caused a redirect, from its IPv6 header on, padded to a multiple of 8 */
  | { readonly kind: 'redirected'; readonly data: Uint8Array }
  | { readonly kind: 'other'; readonly type: number; readonly data: Uint8Array }

/** The options between `start` and `end`. */
export function decodeNdOptions(
  bytes: Uint8Array,
  start: number,
  end: number,
): readonly NdOption[] | Malformed {
  const options: NdOption[] = []
  let offset = start
  while (offset < end) {
    const length = offset + 1 < end ? readU8(bytes, offset + 1) << 3 : 0
    if (length === 0) return malformed('nd: an option has length 0')
    if (length > end - offset) return malformed('nd: an option reaches past the packet')
    options.push(decodeOption(bytes, offset, length))
    offset += length
  }
  return options
}

function decodeOption(bytes: Uint8Array, offset: number, length: number): NdOption {
  const type = readU8(bytes, offset)
  if (type === ndOptionType.sourceLink && length === 8)
    return { kind: 'source-link', mac: readMac(bytes, offset + 2) }
  if (type === ndOptionType.targetLink && length === 8)
    return { kind: 'target-link', mac: readMac(bytes, offset + 2) }
  if (type === ndOptionType.mtu && length === 8) return { kind: 'mtu', mtu: readU32(bytes, offset + 4) }
  if (type === ndOptionType.redirected)
    return { kind: 'redirected', data: bytes.slice(offset + 8, offset + length) }
  if (type === ndOptionType.prefix && length === 32) {
    const flags = readU8(bytes, offset + 3)
    return {
      kind: 'prefix',
      length: readU8(bytes, offset + 2),
      onLink: (flags & 0x80) !== 0,
      autonomous: (flags & 0x40) !== 0,
      validSeconds: readU32(bytes, offset + 4),
      preferredSeconds: readU32(bytes, offset + 8),
      prefix: readIpv6(bytes, offset + 16),
    }
  }
  return { kind: 'other', type, data: bytes.slice(offset + 2, offset + length) }
}

/** An option of a type and a length in bytes, padded to a multiple of 8, its data still zero. */
function blank(type: number, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array((lengthBytes + 7) & ~7)
  bytes[0] = type
  bytes[1] = bytes.length >>> 3
  return bytes
}

function encodeOption(option: NdOption): Uint8Array {
  switch (option.kind) {
    case 'source-link':
    case 'target-link': {
      const bytes = blank(
        option.kind === 'source-link' ? ndOptionType.sourceLink : ndOptionType.targetLink,
        8,
      )
      writeMac(bytes, 2, option.mac)
      return bytes
    }
    case 'mtu': {
      const bytes = blank(ndOptionType.mtu, 8)
      writeU32(bytes, 4, option.mtu)
      return bytes
    }
    case 'prefix': {
      const bytes = blank(ndOptionType.prefix, 32)
      writeU8(bytes, 2, option.length)
      writeU8(bytes, 3, (option.onLink ? 0x80 : 0) | (option.autonomous ? 0x40 : 0))
      writeU32(bytes, 4, option.validSeconds)
      writeU32(bytes, 8, option.preferredSeconds)
      writeIpv6(bytes, 16, option.prefix)
      return bytes
    }
    case 'redirected': {
      const bytes = blank(ndOptionType.redirected, 8 + option.data.length)
      bytes.set(option.data, 8)
      return bytes
    }
    case 'other': {
      const bytes = blank(option.type, 2 + option.data.length)
      bytes.set(option.data, 2)
      return bytes
    }
  }
}

/** The bytes of all options. */
export function encodeNdOptions(options: readonly NdOption[]): Uint8Array {
  return concatBytes(options.map(encodeOption))
}

/** The link-layer address option of a wanted type, looked for from `start`; allocates nothing but the answer. */
export function findLinkAddress(
  bytes: Uint8Array,
  start: number,
  end: number,
  wanted: typeof ndOptionType.sourceLink | typeof ndOptionType.targetLink,
): Mac | undefined {
  let offset = start
  while (offset + 8 <= end) {
    const length = readU8(bytes, offset + 1) << 3
    if (length === 0) return undefined
    if (readU8(bytes, offset) === wanted) return readMac(bytes, offset + 2)
    offset += length
  }
  return undefined
}
