// TCP options: kind, length, data, padded with zeros to a multiple of four.
// Before changing this file, read RFC 9293 section 3.2 (MSS), RFC 7323 (window scale, timestamps), RFC 2018 (SACK).
import { readU8, readU16, readU32, writeU16, writeU32 } from './bytes.ts'
import { decodeOptionList, type ListOption } from './option-list.ts'

export const tcpOptionKind = {
  end: 0,
  nop: 1,
  mss: 2,
  windowScale: 3,
  sackPermitted: 4,
  sack: 5,
  timestamps: 8,
} as const

/** One received block: its first sequence number and the one behind its last. */
export interface SackBlock {
  readonly start: number
  readonly end: number
}

export type TcpOption =
  | { readonly kind: 'mss'; readonly value: number }
  | { readonly kind: 'window-scale'; readonly shift: number }
  | { readonly kind: 'sack-permitted' }
  | { readonly kind: 'sack'; readonly blocks: readonly SackBlock[] }
  | { readonly kind: 'timestamps'; readonly value: number; readonly echo: number }
  | { readonly kind: 'other'; readonly type: number; readonly data: Uint8Array }
  | ListOption

/** The options between `start` and `end`; padding with at most three zeros is not kept. */
export function decodeTcpOptions(bytes: Uint8Array, start: number, end: number): readonly TcpOption[] {
  return decodeOptionList(bytes, { start, end }, decodeOption)
}

function decodeOption(bytes: Uint8Array, offset: number, length: number): TcpOption {
  const type = readU8(bytes, offset)
  const data = offset + 2
  if (type === tcpOptionKind.mss && length === 4) return { kind: 'mss', value: readU16(bytes, data) }
  if (type === tcpOptionKind.windowScale && length === 3)
    return { kind: 'window-scale', shift: readU8(bytes, data) }
  if (type === tcpOptionKind.sackPermitted && length === 2) return { kind: 'sack-permitted' }
  if (type === tcpOptionKind.sack && length > 2 && length % 8 === 2) {
    const blocks: SackBlock[] = []
    for (let at = data; at < offset + length; at += 8) {
      blocks.push({ start: readU32(bytes, at), end: readU32(bytes, at + 4) })
    }
    return { kind: 'sack', blocks }
  }
  if (type === tcpOptionKind.timestamps && length === 10) {
    return { kind: 'timestamps', value: readU32(bytes, data), echo: readU32(bytes, data + 4) }
  }
  return { kind: 'other', type, data: bytes.slice(data, offset + length) }
}

/** An option of a kind and a length, its data still zero. */
function blank(kind: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes[0] = kind
  bytes[1] = length
  return bytes
}

function encodeOption(option: TcpOption): Uint8Array {
  switch (option.kind) {
    case 'nop':
      return Uint8Array.of(tcpOptionKind.nop)
    case 'mss':
      return Uint8Array.of(tcpOptionKind.mss, 4, option.value >>> 8, option.value)
    case 'window-scale':
      return Uint8Array.of(tcpOptionKind.windowScale, 3, option.shift)
    case 'sack-permitted':
      return blank(tcpOptionKind.sackPermitted, 2)
    case 'sack':
      return encodeSack(option.blocks)
    case 'timestamps': {
      const bytes = blank(tcpOptionKind.timestamps, 10)
      writeU32(bytes, 2, option.value)
      writeU32(bytes, 6, option.echo)
      return bytes
    }
    case 'other': {
      const bytes = blank(option.type, option.data.length + 2)
      bytes.set(option.data, 2)
      return bytes
    }
    case 'invalid':
      return option.data
    case 'end':
      return Uint8Array.of(tcpOptionKind.end, ...option.data)
  }
}

function encodeSack(blocks: readonly SackBlock[]): Uint8Array {
  const bytes = blank(tcpOptionKind.sack, 2 + 8 * blocks.length)
  blocks.forEach(({ start, end }, index) => {
    writeU32(bytes, 2 + 8 * index, start)
    writeU32(bytes, 6 + 8 * index, end)
  })
  return bytes
}

/** The bytes of all options, padded with zeros to a multiple of four. At most 40 fit into a header. */
export function encodeTcpOptions(options: readonly TcpOption[]): Uint8Array {
  const body = options.flatMap((option) => [...encodeOption(option)])
  const bytes = new Uint8Array((body.length + 3) & ~3)
  bytes.set(body)
  return bytes
}

/** Offset of the first whole option of a kind in the TCP header at `l4`, or -1; allocates nothing. */
export function findTcpOption(bytes: Uint8Array, l4: number, wanted: number): number {
  const end = l4 + ((readU8(bytes, l4 + 12) >>> 4) << 2)
  let offset = l4 + 20
  while (offset < end) {
    const kind = readU8(bytes, offset)
    if (kind === tcpOptionKind.end) return -1
    if (kind === tcpOptionKind.nop) {
      offset += 1
      continue
    }
    const length = offset + 1 < end ? readU8(bytes, offset + 1) : 0
    if (length < 2 || length > end - offset) return -1
    if (kind === wanted) return offset
    offset += length
  }
  return -1
}

/** The maximum segment size that a SYN offers, or undefined. */
export function readMss(bytes: Uint8Array, l4: number): number | undefined {
  const offset = findTcpOption(bytes, l4, tcpOptionKind.mss)
  return offset >= 0 && readU8(bytes, offset + 1) === 4 ? readU16(bytes, offset + 2) : undefined
}

/** Lowers an offered MSS in place and reports whether it did; the caller repairs the checksum. */
export function writeMss(bytes: Uint8Array, l4: number, value: number): boolean {
  if (readMss(bytes, l4) === undefined) return false
  writeU16(bytes, findTcpOption(bytes, l4, tcpOptionKind.mss) + 2, value)
  return true
}
