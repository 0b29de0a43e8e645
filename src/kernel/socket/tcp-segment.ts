// One TCP segment, read and written. What a receiver needs is read once; what a sender needs is laid out here, byte for
// byte as Linux orders it (tcp_output.c tcp_options_write): MSS, SACK permitted, timestamps, NOP, window scale.
import { readU8, readU16, readU32, writeU8, writeU16, writeU32 } from '../../net/bytes.ts'
import { tcpAt, tcpFlag, tcpHeaderLength } from '../../net/tcp.ts'
import { findTcpOption, readMss, tcpOptionKind } from '../../net/tcp-options.ts'
import type { Skb } from '../skb.ts'

/** A received segment; offsets into `skb.bytes`. */
export interface Arrived {
  readonly skb: Skb
  readonly l4: number
  readonly sequence: number
  readonly acknowledgement: number
  readonly flags: number
  /** As in the header, not scaled. */
  readonly window: number
  readonly data: number
  readonly end: number
  /** Sequence number behind the segment: SYN and FIN count one each. */
  readonly endSequence: number
}

/** The fields of the segment at `skb.data`; its header was checked. */
export function readSegment(skb: Skb): Arrived {
  const { bytes, data: l4, tail } = skb
  const flags = readU8(bytes, l4 + tcpAt.flags)
  const data = l4 + tcpHeaderLength(bytes, l4)
  const sequence = readU32(bytes, l4 + tcpAt.sequence)
  const syn = (flags & tcpFlag.syn) === 0 ? 0 : 1
  const fin = (flags & tcpFlag.fin) === 0 ? 0 : 1
  return {
    skb,
    l4,
    sequence,
    acknowledgement: readU32(bytes, l4 + tcpAt.acknowledgement),
    flags,
    window: readU16(bytes, l4 + tcpAt.window),
    data,
    end: tail,
    endSequence: (sequence + (tail - data) + syn + fin) >>> 0,
  }
}

/** What a SYN offers. */
export interface SynOptions {
  readonly mss: number
  readonly scale: number | undefined
  readonly sack: boolean
  /** The peer's timestamp, or undefined when it offers none. */
  readonly timestamp: number | undefined
}

/** tcp_parse_options() of a SYN: a missing MSS is 536 (RFC 9293), a scale above 14 is 14 (RFC 7323). */
export function readSynOptions(segment: Arrived): SynOptions {
  const { bytes } = segment.skb
  const mss = readMss(bytes, segment.l4)
  const scale = findTcpOption(bytes, segment.l4, tcpOptionKind.windowScale)
  const sack = findTcpOption(bytes, segment.l4, tcpOptionKind.sackPermitted)
  return {
    mss: mss === undefined || mss === 0 ? 536 : mss,
    scale: scale < 0 ? undefined : Math.min(14, readU8(bytes, scale + 2)),
    sack: sack >= 0,
    timestamp: readTimestamp(segment),
  }
}

/** TSval, or undefined without the option. */
export function readTimestamp(segment: Arrived): number | undefined {
  const at = findTcpOption(segment.skb.bytes, segment.l4, tcpOptionKind.timestamps)
  return at < 0 ? undefined : readU32(segment.skb.bytes, at + 2)
}

/** A segment to send; `options` is a multiple of four bytes. */
export interface Leaving {
  readonly sport: number
  readonly dport: number
  readonly sequence: number
  readonly acknowledgement: number
  readonly flags: number
  readonly window: number
  readonly options: Uint8Array
  readonly data: Uint8Array
}

/** The bytes of a segment; its checksum is left to the IP layer's addresses. */
export function writeSegment(segment: Leaving): Uint8Array {
  const header = tcpAt.options + segment.options.length
  const bytes = new Uint8Array(header + segment.data.length)
  writeU16(bytes, tcpAt.source, segment.sport)
  writeU16(bytes, tcpAt.destination, segment.dport)
  writeU32(bytes, tcpAt.sequence, segment.sequence)
  writeU32(bytes, tcpAt.acknowledgement, segment.acknowledgement)
  writeU8(bytes, tcpAt.dataOffset, (header >> 2) << 4)
  writeU8(bytes, tcpAt.flags, segment.flags)
  writeU16(bytes, tcpAt.window, segment.window)
  bytes.set(segment.options, tcpAt.options)
  bytes.set(segment.data, header)
  return bytes
}

/** RFC 7323 timestamps as they stand in an option. */
export interface Timestamps {
  readonly value: number
  readonly echo: number
}

const nop = tcpOptionKind.nop

/** The options of a SYN or SYN-ACK; `sack`, `timestamps` and `scale` only when offered (or agreed to). */
export function synOptions(offer: {
  readonly mss: number
  readonly sack: boolean
  readonly timestamps: Timestamps | undefined
  readonly scale: number | undefined
}): Uint8Array {
  const list: number[] = [tcpOptionKind.mss, 4, offer.mss >> 8, offer.mss & 255]
  if (offer.timestamps !== undefined) {
    if (offer.sack) list.push(tcpOptionKind.sackPermitted, 2)
    else list.push(nop, nop)
    list.push(tcpOptionKind.timestamps, 10, ...word(offer.timestamps.value), ...word(offer.timestamps.echo))
  } else if (offer.sack) {
    list.push(nop, nop, tcpOptionKind.sackPermitted, 2)
  }
  if (offer.scale !== undefined) list.push(nop, tcpOptionKind.windowScale, 3, offer.scale)
  return Uint8Array.from(list)
}

function word(value: number): readonly number[] {
  return [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
}

const noOptions = new Uint8Array(0)

/** The options of every other segment: timestamps if agreed on, and blocks of what arrived early. */
export function dataOptions(
  timestamps: Timestamps | undefined,
  blocks: readonly { readonly start: number; readonly end: number }[],
): Uint8Array {
  if (timestamps === undefined && blocks.length === 0) return noOptions
  const list: number[] = []
  if (timestamps !== undefined) {
    list.push(nop, nop, tcpOptionKind.timestamps, 10, ...word(timestamps.value), ...word(timestamps.echo))
  }
  const shown = blocks.slice(0, timestamps === undefined ? 4 : 3)
  if (shown.length > 0) {
    list.push(nop, nop, tcpOptionKind.sack, 2 + 8 * shown.length)
    for (const block of shown) list.push(...word(block.start), ...word(block.end))
  }
  return Uint8Array.from(list)
}
