// SCTP: a common header of twelve bytes, then chunks of type, flags, length, value, each padded to a multiple of four.
// Before changing this file, read RFC 9260 section 3. The checksum is a CRC32c without pseudo header, stored in little
// endian order, so a change of addresses alone never touches it.
import { readU8, readU16, readU32, writeU8, writeU16, writeU32 } from './bytes.ts'
import { crc32c } from './crc32c.ts'
import { type Malformed, malformed } from './malformed.ts'

export const sctpAt = { source: 0, destination: 2, verificationTag: 4, checksum: 8, payload: 12 } as const
export const sctpChunkAt = { type: 0, flags: 1, length: 2, value: 4 } as const

export const sctpChunkType = {
  data: 0,
  init: 1,
  initAck: 2,
  sack: 3,
  heartbeat: 4,
  heartbeatAck: 5,
  abort: 6,
  shutdown: 7,
  shutdownAck: 8,
  error: 9,
  cookieEcho: 10,
  cookieAck: 11,
  shutdownComplete: 14,
} as const

const chunkNames = new Map<number, string>(
  Object.entries(sctpChunkType).map(([name, type]) => [
    type,
    name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
  ]),
)

export interface SctpChunk {
  readonly type: number
  readonly flags: number
  readonly value: Uint8Array
}

export interface SctpHeader {
  readonly source: number
  readonly destination: number
  readonly verificationTag: number
  /** the four bytes as they stand on the wire; the CRC is stored in little endian order */
  readonly checksum: number
  readonly chunks: readonly SctpChunk[]
}

/** The packet at `offset`; malformed when it is cut off or a chunk's length is impossible. */
export function decodeSctp(bytes: Uint8Array, offset = 0, end = bytes.length): SctpHeader | Malformed {
  if (end - offset < sctpAt.payload) return malformed('sctp: shorter than its header')
  const chunks = decodeChunks(bytes, offset + sctpAt.payload, end)
  if ('malformed' in chunks) return chunks
  return {
    source: readU16(bytes, offset + sctpAt.source),
    destination: readU16(bytes, offset + sctpAt.destination),
    verificationTag: readU32(bytes, offset + sctpAt.verificationTag),
    checksum: readU32(bytes, offset + sctpAt.checksum),
    chunks,
  }
}

function decodeChunks(bytes: Uint8Array, start: number, end: number): readonly SctpChunk[] | Malformed {
  const chunks: SctpChunk[] = []
  let offset = start
  while (offset < end) {
    const length = end - offset >= sctpChunkAt.value ? readU16(bytes, offset + sctpChunkAt.length) : 0
    if (length < sctpChunkAt.value) return malformed('sctp: a chunk is shorter than its header')
    if (length > end - offset) return malformed('sctp: a chunk reaches past the packet')
    chunks.push({
      type: readU8(bytes, offset + sctpChunkAt.type),
      flags: readU8(bytes, offset + sctpChunkAt.flags),
      value: bytes.slice(offset + sctpChunkAt.value, offset + length),
    })
    offset += (length + 3) & ~3
  }
  return chunks
}

/** The bytes of a whole packet, chunks included; the checksum as given. */
export function encodeSctp(header: SctpHeader): Uint8Array {
  const padded = (chunk: SctpChunk): number => (chunk.value.length + sctpChunkAt.value + 3) & ~3
  const bytes = new Uint8Array(
    header.chunks.reduce<number>((sum, chunk) => sum + padded(chunk), sctpAt.payload),
  )
  writeU16(bytes, sctpAt.source, header.source)
  writeU16(bytes, sctpAt.destination, header.destination)
  writeU32(bytes, sctpAt.verificationTag, header.verificationTag)
  writeU32(bytes, sctpAt.checksum, header.checksum)
  let offset: number = sctpAt.payload
  for (const chunk of header.chunks) {
    writeU8(bytes, offset + sctpChunkAt.type, chunk.type)
    writeU8(bytes, offset + sctpChunkAt.flags, chunk.flags)
    writeU16(bytes, offset + sctpChunkAt.length, chunk.value.length + sctpChunkAt.value)
    bytes.set(chunk.value, offset + sctpChunkAt.value)
    offset += padded(chunk)
  }
  return bytes
}

function swap32(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0
}

/** The right checksum, its bytes in the order of the wire. */
function wireChecksum(bytes: Uint8Array, offset: number, end: number): number {
  return swap32(crc32c(bytes, offset, end, offset + sctpAt.checksum))
}

/** Computes and writes the checksum of the packet `bytes[offset, end)`. */
export function writeSctpChecksum(bytes: Uint8Array, offset: number, end: number): void {
  writeU32(bytes, offset + sctpAt.checksum, wireChecksum(bytes, offset, end))
}

/** Whether the checksum of the packet `bytes[offset, end)` is right. */
export function sctpChecksumIsRight(bytes: Uint8Array, offset: number, end: number): boolean {
  return readU32(bytes, offset + sctpAt.checksum) === wireChecksum(bytes, offset, end)
}

/** `init`, `cookie-echo`, or `chunk 130` */
export function sctpChunkName(type: number): string {
  return chunkNames.get(type) ?? `chunk ${type}`
}

/** `sctp 4000 > 9999 init` */
export function describeSctp(header: SctpHeader): string {
  const chunks = header.chunks.map((chunk) => sctpChunkName(chunk.type)).join(' ')
  return `sctp ${header.source} > ${header.destination}${chunks === '' ? '' : ` ${chunks}`}`
}
