// Geneve: eight bytes behind UDP, options of class, type and length, then what its protocol says (mostly a frame).
// Before changing this file, read RFC 8926 section 3. Cilium's DSR option is class 0x014b, type 0x81.
import { readU8, readU16, readU24, writeU8, writeU16, writeU24 } from './bytes.ts'
import { type Malformed, malformed } from './malformed.ts'
import { etherTypeName } from './protocol.ts'

export const geneveAt = { versionAndLength: 0, flags: 1, protocol: 2, vni: 4, options: 8 } as const
export const geneveFlag = { control: 0x80, critical: 0x40 } as const

export interface GeneveOption {
  readonly class: number
  /** the high bit says that the option is critical */
  readonly type: number
  /** a multiple of four bytes, at most 124 */
  readonly data: Uint8Array
}

export interface GeneveHeader {
  readonly control: boolean
  readonly critical: boolean
  /** EtherType of the payload; 0x6558 is an Ethernet frame */
  readonly protocol: number
  readonly vni: number
  readonly options: readonly GeneveOption[]
}

/** Bytes of the header at `offset`, options included. */
export function geneveHeaderLength(bytes: Uint8Array, offset: number): number {
  return geneveAt.options + ((readU8(bytes, offset) & 0x3f) << 2)
}

/** What is structurally wrong with the header at `offset`. */
export function checkGeneve(bytes: Uint8Array, offset: number, end: number): Malformed | undefined {
  if (end - offset < geneveAt.options) return malformed('geneve: shorter than its header')
  if (readU8(bytes, offset) >>> 6 !== 0) return malformed('geneve: version is not 0')
  if (geneveHeaderLength(bytes, offset) > end - offset)
    return malformed('geneve: options reach past the packet')
  return undefined
}

/** The header at `offset`; malformed when cut off, of another version, or when an option overruns the others. */
export function decodeGeneve(bytes: Uint8Array, offset = 0, end = bytes.length): GeneveHeader | Malformed {
  const wrong = checkGeneve(bytes, offset, end)
  if (wrong !== undefined) return wrong
  const stop = offset + geneveHeaderLength(bytes, offset)
  const options: GeneveOption[] = []
  for (let at = offset + geneveAt.options; at < stop; ) {
    const length = (readU8(bytes, at + 3) & 0x1f) << 2
    if (length > stop - at - 4) return malformed('geneve: an option reaches past the header')
    const data = bytes.slice(at + 4, at + 4 + length)
    options.push({ class: readU16(bytes, at), type: readU8(bytes, at + 2), data })
    at += 4 + length
  }
  const flags = readU8(bytes, offset + geneveAt.flags)
  return {
    control: (flags & geneveFlag.control) !== 0,
    critical: (flags & geneveFlag.critical) !== 0,
    protocol: readU16(bytes, offset + geneveAt.protocol),
    vni: readU24(bytes, offset + geneveAt.vni),
    options,
  }
}

/** The bytes of a header, options included. */
export function encodeGeneve(header: GeneveHeader): Uint8Array {
  const optionBytes = header.options.reduce((sum, option) => sum + 4 + option.data.length, 0)
  const bytes = new Uint8Array(geneveAt.options + optionBytes)
  writeU8(bytes, geneveAt.versionAndLength, optionBytes >>> 2)
  const flags = (header.control ? geneveFlag.control : 0) | (header.critical ? geneveFlag.critical : 0)
  writeU8(bytes, geneveAt.flags, flags)
  writeU16(bytes, geneveAt.protocol, header.protocol)
  writeU24(bytes, geneveAt.vni, header.vni)
  let at: number = geneveAt.options
  for (const option of header.options) {
    writeU16(bytes, at, option.class)
    writeU8(bytes, at + 2, option.type)
    writeU8(bytes, at + 3, option.data.length >>> 2)
    bytes.set(option.data, at + 4)
    at += 4 + option.data.length
  }
  return bytes
}

/** `geneve vni 42 ethernet`, with the number of options when there are any */
export function describeGeneve(header: GeneveHeader): string {
  const count = header.options.length
  const options = count === 0 ? '' : ` options ${count}`
  return `geneve vni ${header.vni} ${etherTypeName(header.protocol)}${options}`
}
