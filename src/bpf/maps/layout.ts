// How the bytes of a key or a value are read by people: a declared layout turns them into text for traces. Maps
// themselves never look inside.

import { formatIpv4, formatIpv6, readIpv4, readIpv6 } from '../../net/address.ts'
import { readU48 } from '../../net/bytes.ts'
import { formatMac, macFrom } from '../../net/mac.ts'

/**
 * Types of a field. `u16 u32 u64` are in host byte order (little endian, as on x86); `be16 be32` in network order;
 * `ip4` and `ip6` are addresses as they stand in a packet; `bytes` is shown as hex.
 */
export type FieldType = 'u8' | 'u16' | 'u32' | 'u64' | 'be16' | 'be32' | 'ip4' | 'ip6' | 'mac' | 'bytes'

/** One field of a struct. A layout with one field that has no name is a plain number or address. */
export interface LayoutField {
  readonly name: string
  readonly type: FieldType
  readonly offset: number
  /** Only for `bytes`. */
  readonly length?: number
  /** Values that have names: `{ 6: 'tcp' }`. */
  readonly words?: Readonly<Record<number, string>>
}

/** The fields of a key or a value that people want to see; padding is left out. */
export type Layout = readonly LayoutField[]

const sizes: Readonly<Record<FieldType, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  be16: 2,
  be32: 4,
  ip4: 4,
  ip6: 16,
  mac: 6,
  bytes: 0,
}

/** A layout of one plain value: `layoutOf('u32')`. */
export function layoutOf(type: FieldType): Layout {
  return [{ name: '', type, offset: 0 }]
}

/** Two hex digits a byte, without separators. */
export function hexText(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** Little-endian number of 1 to 8 bytes; a u64 as a bigint's text when it is past 2^53. */
function littleText(bytes: Uint8Array, offset: number, size: number): string {
  let value = 0n
  for (let at = size - 1; at >= 0; at -= 1) value = (value << 8n) | BigInt(bytes[offset + at] ?? 0)
  return value.toString()
}

function bigText(bytes: Uint8Array, offset: number, size: number): string {
  let value = 0
  for (let at = 0; at < size; at += 1) value = value * 256 + (bytes[offset + at] ?? 0)
  return String(value)
}

function fieldText(field: LayoutField, bytes: Uint8Array): string {
  const { type, offset } = field
  switch (type) {
    case 'u8':
    case 'u16':
    case 'u32':
    case 'u64':
      return littleText(bytes, offset, sizes[type])
    case 'be16':
    case 'be32':
      return bigText(bytes, offset, sizes[type])
    case 'ip4':
      return formatIpv4(readIpv4(bytes, offset))
    case 'ip6':
      return formatIpv6(readIpv6(bytes, offset))
    case 'mac':
      return formatMac(macFrom(readU48(bytes, offset)))
    case 'bytes':
      return hexText(bytes.subarray(offset, offset + (field.length ?? bytes.length)))
  }
}

/** `10.0.0.1`, `src 10.0.0.1 dport 80`, or hex where no layout was declared. */
export function describeBytes(layout: Layout | undefined, bytes: Uint8Array): string {
  if (layout === undefined) return `0x${hexText(bytes)}`
  return layout
    .map((field) => {
      const text = fieldText(field, bytes)
      const word = field.words?.[Number(text)] ?? text
      return field.name === '' ? word : `${field.name} ${word}`
    })
    .join(' ')
}
