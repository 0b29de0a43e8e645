// TCP headers. Before changing this file, read RFC 9293 section 3.1; the options are in tcp-options.ts.
import { readU8, readU16, readU32, writeU8, writeU16, writeU32 } from './bytes.ts'
import { type Malformed, malformed } from './malformed.ts'
import { decodeTcpOptions, encodeTcpOptions, type TcpOption } from './tcp-options.ts'

export const tcpAt = {
  source: 0,
  destination: 2,
  sequence: 4,
  acknowledgement: 8,
  /** data offset in the high four bits */
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgent: 18,
  options: 20,
} as const

export const tcpFlag = {
  fin: 1,
  syn: 2,
  rst: 4,
  psh: 8,
  ack: 16,
  urg: 32,
  ece: 64,
  cwr: 128,
  ae: 256,
} as const

export type TcpFlagName = keyof typeof tcpFlag

/** Letters of tcpdump and scapy, from the lowest bit: `SA` is SYN and ACK. */
const letters = 'FSRPAUECN'

/** Order in which people say flags: `syn+ack`, `fin+ack`, `psh+ack`. */
const spoken: readonly TcpFlagName[] = ['syn', 'fin', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr', 'ae']

export interface TcpHeader {
  readonly source: number
  readonly destination: number
  readonly sequence: number
  readonly acknowledgement: number
  /** the three bits between data offset and AE; zero in practice */
  readonly reserved: number
  /** nine bits, see `tcpFlag` */
  readonly flags: number
  readonly window: number
  readonly checksum: number
  readonly urgent: number
  readonly options: readonly TcpOption[]
}

/** Bytes of the header at `offset`, options included, as its data offset says. */
export function tcpHeaderLength(bytes: Uint8Array, offset: number): number {
  return (readU8(bytes, offset + tcpAt.dataOffset) >>> 4) << 2
}

/** The nine flag bits of the header at `offset`. */
export function tcpFlags(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset + tcpAt.dataOffset) & 0x1ff
}

/** What is structurally wrong with the header at `offset`. */
export function checkTcp(bytes: Uint8Array, offset: number, end: number): Malformed | undefined {
  if (end - offset < tcpAt.options) return malformed('tcp: shorter than its header')
  const length = tcpHeaderLength(bytes, offset)
  if (length < tcpAt.options) return malformed('tcp: data offset is below 20')
  if (length > end - offset) return malformed('tcp: header reaches past the packet')
  return undefined
}

/** The header at `offset`; malformed when it is cut off or its data offset is impossible (Linux: tcp_v4_rcv). */
export function decodeTcp(bytes: Uint8Array, offset = 0, end = bytes.length): TcpHeader | Malformed {
  return (
    checkTcp(bytes, offset, end) ?? {
      source: readU16(bytes, offset + tcpAt.source),
      destination: readU16(bytes, offset + tcpAt.destination),
      sequence: readU32(bytes, offset + tcpAt.sequence),
      acknowledgement: readU32(bytes, offset + tcpAt.acknowledgement),
      reserved: (readU8(bytes, offset + tcpAt.dataOffset) >>> 1) & 7,
      flags: tcpFlags(bytes, offset),
      window: readU16(bytes, offset + tcpAt.window),
      checksum: readU16(bytes, offset + tcpAt.checksum),
      urgent: readU16(bytes, offset + tcpAt.urgent),
      options: decodeTcpOptions(bytes, offset + tcpAt.options, offset + tcpHeaderLength(bytes, offset)),
    }
  )
}

/** The bytes of a header, options padded to a multiple of four; every field as given. */
export function encodeTcp(header: TcpHeader): Uint8Array {
  const options = encodeTcpOptions(header.options)
  const bytes = new Uint8Array(tcpAt.options + options.length)
  writeU16(bytes, tcpAt.source, header.source)
  writeU16(bytes, tcpAt.destination, header.destination)
  writeU32(bytes, tcpAt.sequence, header.sequence)
  writeU32(bytes, tcpAt.acknowledgement, header.acknowledgement)
  writeU8(
    bytes,
    tcpAt.dataOffset,
    ((bytes.length >>> 2) << 4) | (header.reserved << 1) | (header.flags >>> 8),
  )
  writeU8(bytes, tcpAt.flags, header.flags & 0xff)
  writeU16(bytes, tcpAt.window, header.window)
  writeU16(bytes, tcpAt.checksum, header.checksum)
  writeU16(bytes, tcpAt.urgent, header.urgent)
  bytes.set(options, tcpAt.options)
  return bytes
}

/** tcpdump's letters, `SA` for SYN and ACK; `.` when none is set. */
export function tcpFlagLetters(flags: number): string {
  let text = ''
  for (let bit = 0; bit < letters.length; bit += 1) if ((flags >>> bit) & 1) text += letters[bit]
  return text === '' ? '.' : text
}

/** The language's words, `syn+ack`; `none` when none is set. */
export function formatTcpFlags(flags: number): string {
  const names = spoken.filter((name) => (flags & tcpFlag[name]) !== 0)
  return names.length === 0 ? 'none' : names.join('+')
}

/** `syn+ack` or `none` to bits; undefined for an unknown word. */
export function parseTcpFlags(text: string): number | undefined {
  if (text === 'none') return 0
  let flags = 0
  for (const word of text.split('+')) {
    const name = spoken.find((known) => known === word)
    if (name === undefined) return undefined
    flags |= tcpFlag[name]
  }
  return flags
}

/** `tcp 4000 > 80 S seq 1 ack 0 win 65535` */
export function describeTcp(header: TcpHeader): string {
  const { source, destination, sequence, acknowledgement, window } = header
  const flags = tcpFlagLetters(header.flags)
  return `tcp ${source} > ${destination} ${flags} seq ${sequence} ack ${acknowledgement} win ${window}`
}
