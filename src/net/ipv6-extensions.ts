// IPv6 extension headers: hop-by-hop, routing, fragment, destination options, and AH because it can be walked over.
// Before changing this file, read RFC 8200 section 4; Linux: net/ipv6/exthdrs_core.c ipv6_skip_exthdr().
//
// Every one of them starts with the number of the next header, and that number also says what this header is called, so
// a header can only be read by whoever knows the number before it.
import { readU8, readU16, readU32, writeU8, writeU16, writeU32 } from './bytes.ts'
import { type Malformed, malformed } from './malformed.ts'
import { ipProtocol, ipProtocolName } from './protocol.ts'

export const extensionAt = { nextHeader: 0, length: 1, fragmentOffset: 2, identification: 4 } as const

/** An option of a hop-by-hop or destination options header; `pad1` has neither length nor data. */
export type Ipv6Option =
  | { readonly kind: 'pad1' }
  | { readonly kind: 'option'; readonly type: number; readonly data: Uint8Array }
  /** an option that reaches past its header, and everything behind it */
  | { readonly kind: 'invalid'; readonly data: Uint8Array }

export type Ipv6Extension =
  | { readonly kind: 'options'; readonly nextHeader: number; readonly options: readonly Ipv6Option[] }
  | {
      readonly kind: 'routing'
      readonly nextHeader: number
      readonly type: number
      readonly segmentsLeft: number
      /** everything behind the first four bytes; a multiple of 8, plus 4 */
      readonly data: Uint8Array
    }
  | {
      readonly kind: 'fragment'
      readonly nextHeader: number
      /** bytes, a multiple of 8 */
      readonly fragmentOffset: number
      readonly moreFragments: boolean
      readonly identification: number
    }
  | { readonly kind: 'authentication'; readonly nextHeader: number; readonly data: Uint8Array }

/** Whether a next-header number opens an extension header that can be walked over. */
export function isExtension(protocol: number): boolean {
  return (
    protocol === ipProtocol.hopByHop ||
    protocol === ipProtocol.routing ||
    protocol === ipProtocol.fragment ||
    protocol === ipProtocol.destinationOptions ||
    protocol === ipProtocol.ah
  )
}

/** Bytes of the extension header at `offset`, which the number before it calls `protocol`. */
export function extensionLength(bytes: Uint8Array, offset: number, protocol: number): number {
  if (protocol === ipProtocol.fragment) return 8
  const length = readU8(bytes, offset + extensionAt.length)
  return protocol === ipProtocol.ah ? (length + 2) << 2 : (length + 1) << 3
}

/** What is structurally wrong with the extension header at `offset`. */
export function checkExtension(
  bytes: Uint8Array,
  offset: number,
  end: number,
  protocol: number,
): Malformed | undefined {
  const name = ipProtocolName(protocol)
  if (end - offset < 8) return malformed(`ip6: ${name} header is shorter than 8 bytes`)
  if (extensionLength(bytes, offset, protocol) > end - offset) {
    return malformed(`ip6: ${name} header reaches past the packet`)
  }
  return undefined
}

/** The extension header at `offset`; `protocol` is the number that announced it. */
export function decodeExtension(
  bytes: Uint8Array,
  offset: number,
  end: number,
  protocol: number,
): Ipv6Extension | Malformed {
  const wrong = checkExtension(bytes, offset, end, protocol)
  if (wrong !== undefined) return wrong
  const nextHeader = readU8(bytes, offset)
  const stop = offset + extensionLength(bytes, offset, protocol)
  if (protocol === ipProtocol.fragment) {
    const word = readU16(bytes, offset + extensionAt.fragmentOffset)
    return {
      kind: 'fragment',
      nextHeader,
      fragmentOffset: word & 0xfff8,
      moreFragments: (word & 1) === 1,
      identification: readU32(bytes, offset + extensionAt.identification),
    }
  }
  if (protocol === ipProtocol.ah) {
    return { kind: 'authentication', nextHeader, data: bytes.slice(offset + 2, stop) }
  }
  if (protocol === ipProtocol.routing) {
    const data = bytes.slice(offset + 4, stop)
    const segmentsLeft = readU8(bytes, offset + 3)
    return { kind: 'routing', nextHeader, type: readU8(bytes, offset + 2), segmentsLeft, data }
  }
  return { kind: 'options', nextHeader, options: decodeOptions(bytes, offset + 2, stop) }
}

function decodeOptions(bytes: Uint8Array, start: number, end: number): readonly Ipv6Option[] {
  const options: Ipv6Option[] = []
  let offset = start
  while (offset < end) {
    const type = readU8(bytes, offset)
    if (type === 0) {
      options.push({ kind: 'pad1' })
      offset += 1
      continue
    }
    const length = offset + 1 < end ? readU8(bytes, offset + 1) + 2 : end
    if (length > end - offset) {
      options.push({ kind: 'invalid', data: bytes.slice(offset, end) })
      break
    }
    options.push({ kind: 'option', type, data: bytes.slice(offset + 2, offset + length) })
    offset += length
  }
  return options
}

function encodeOption(option: Ipv6Option): readonly number[] {
  switch (option.kind) {
    case 'pad1':
      return [0]
    case 'option':
      return [option.type, option.data.length, ...option.data]
    case 'invalid':
      return [...option.data]
  }
}

/** The bytes of an extension header, padded with pad1 options or zeros to a multiple of 8 (AH: 4). */
export function encodeExtension(extension: Ipv6Extension): Uint8Array {
  switch (extension.kind) {
    case 'options':
      return sized(extension.nextHeader, extension.options.flatMap(encodeOption))
    case 'routing':
      return sized(extension.nextHeader, [extension.type, extension.segmentsLeft, ...extension.data])
    case 'fragment': {
      const bytes = new Uint8Array(8)
      writeU8(bytes, extensionAt.nextHeader, extension.nextHeader)
      const more = extension.moreFragments ? 1 : 0
      writeU16(bytes, extensionAt.fragmentOffset, (extension.fragmentOffset & 0xfff8) | more)
      writeU32(bytes, extensionAt.identification, extension.identification)
      return bytes
    }
    case 'authentication': {
      const bytes = new Uint8Array((extension.data.length + 2 + 3) & ~3)
      bytes.set([extension.nextHeader, (bytes.length >> 2) - 2])
      bytes.set(extension.data, 2)
      return bytes
    }
  }
}

/** Next header, length in units of 8 bytes without the first 8, and the body. */
function sized(nextHeader: number, body: readonly number[]): Uint8Array {
  const bytes = new Uint8Array((body.length + 2 + 7) & ~7)
  bytes.set([nextHeader, (bytes.length >> 3) - 1, ...body])
  return bytes
}

/** `hop-by-hop`, `fragment 1480+ id 7`, `routing type 4 left 1` */
export function describeExtension(extension: Ipv6Extension, protocol: number): string {
  const name = ipProtocolName(protocol)
  switch (extension.kind) {
    case 'fragment': {
      const more = extension.moreFragments ? '+' : ''
      return `${name} ${extension.fragmentOffset}${more} id ${extension.identification}`
    }
    case 'routing':
      return `${name} type ${extension.type} left ${extension.segmentsLeft}`
    case 'options':
    case 'authentication':
      return name
  }
}

/** Offset of the first extension header of a kind behind the IPv6 header at `l3`, or -1; allocates nothing. */
export function findExtension(bytes: Uint8Array, l3: number, end: number, wanted: number): number {
  let protocol = readU8(bytes, l3 + 6)
  let offset = l3 + 40
  while (isExtension(protocol) && end - offset >= 8) {
    const length = extensionLength(bytes, offset, protocol)
    if (length > end - offset) return -1
    if (protocol === wanted) return offset
    // What follows a later fragment's header is the middle of a datagram, not a header.
    const middle =
      protocol === ipProtocol.fragment && readU16(bytes, offset + extensionAt.fragmentOffset) >= 8
    if (middle) return -1
    protocol = readU8(bytes, offset)
    offset += length
  }
  return -1
}
