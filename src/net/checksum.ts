// The Internet checksum (RFC 1071) and its incremental form (RFC 1624). Before changing this file, read both.
//
// Sums are plain numbers that may grow past 16 bits and are folded once: a 64 KiB packet stays far below 2^53.
import { readU16, readU32, writeU16 } from './bytes.ts'
import { ipProtocol } from './protocol.ts'

/** Adds the 16-bit words of `bytes[start, end)` to a running sum; an odd last byte is the high half of a word. */
export function sumWords(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  let total = sum
  let offset = start
  for (; offset + 1 < end; offset += 2) total += readU16(bytes, offset)
  return offset < end ? total + ((bytes[offset] as number) << 8) : total
}

/** Carries folded back in until 16 bits remain. */
export function foldSum(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000)
  return folded
}

/** The checksum that belongs to a sum: folded and inverted. */
export function finishSum(sum: number): number {
  return ~foldSum(sum) & 0xffff
}

/** The checksum of `bytes[start, end)`; zero when the range already holds its right checksum. */
export function checksumOf(bytes: Uint8Array, start: number, end: number): number {
  return finishSum(sumWords(bytes, start, end))
}

/** A checksum after one 16-bit word that it covers changed: RFC 1624 equation 3. */
export function updateChecksum16(checksum: number, before: number, after: number): number {
  return finishSum((~checksum & 0xffff) + (~before & 0xffff) + after)
}

/** A checksum after one aligned 32-bit word that it covers changed. */
export function updateChecksum32(checksum: number, before: number, after: number): number {
  const removed = (~(before >>> 16) & 0xffff) + (~before & 0xffff)
  return finishSum((~checksum & 0xffff) + removed + (after >>> 16) + (after & 0xffff))
}

/**
 * inet_proto_csum_replace4() of CHECKSUM_PARTIAL for words of the pseudo header: right for the sum of a pseudo header, which is
 * not inverted, and wrong for a finished one. The sums may exceed 16 bits.
 */
export function replacedInPseudo(checksum: number, before: number, after: number): number {
  return foldSum(checksum + (~foldSum(before) & 0xffff) + foldSum(after))
}

/** Sum of the IPv4 pseudo header (RFC 9293 section 3.1); `l3` is the offset of the IPv4 header. */
export function pseudoSum4(bytes: Uint8Array, l3: number, protocol: number, lengthBytes: number): number {
  return sumWords(bytes, l3 + 12, l3 + 20, protocol + lengthBytes)
}

/** Sum of the IPv6 pseudo header (RFC 8200 section 8.1); `l3` is the offset of the IPv6 header. */
export function pseudoSum6(bytes: Uint8Array, l3: number, protocol: number, lengthBytes: number): number {
  return sumWords(bytes, l3 + 8, l3 + 40, protocol + lengthBytes)
}

/** Where a layer 4 segment lies: its IP header, its own first byte, and one past its last. */
export interface Segment {
  readonly l3: number
  readonly l4: number
  readonly end: number
  /** the IP protocol number of the segment itself, behind any extension headers */
  readonly protocol: number
}

/** Offset of the checksum field in a TCP, UDP, ICMP or ICMPv6 header; -1 for a protocol without an Internet checksum. */
export function checksumOffset(protocol: number): number {
  switch (protocol) {
    case ipProtocol.tcp:
      return 16
    case ipProtocol.udp:
      return 6
    case ipProtocol.icmp:
    case ipProtocol.icmp6:
      return 2
    default:
      return -1
  }
}

/** The running sum of a segment with its pseudo header; ICMP over IPv4 has none (RFC 792). */
function segmentSum(bytes: Uint8Array, { l3, l4, end, protocol }: Segment): number {
  if (protocol === ipProtocol.icmp) return sumWords(bytes, l4, end)
  const version = (bytes[l3] as number) >>> 4
  const pseudo = version === 6 ? pseudoSum6 : pseudoSum4
  return sumWords(bytes, l4, end, pseudo(bytes, l3, protocol, end - l4))
}

/** The checksum that the segment should carry, whatever stands in its field now. A UDP zero becomes 0xffff (RFC 768). */
export function segmentChecksum(bytes: Uint8Array, segment: Segment): number {
  const field = checksumOffset(segment.protocol)
  const present = readU16(bytes, segment.l4 + field)
  const result = finishSum(segmentSum(bytes, segment) + (~present & 0xffff))
  return result === 0 && segment.protocol === ipProtocol.udp ? 0xffff : result
}

/** Computes and writes the checksum of a TCP, UDP, ICMP or ICMPv6 segment; other protocols stay untouched. */
export function writeSegmentChecksum(bytes: Uint8Array, segment: Segment): void {
  const field = checksumOffset(segment.protocol)
  if (field < 0) return
  writeU16(bytes, segment.l4 + field, segmentChecksum(bytes, segment))
}

/** Whether a segment's checksum is right. UDP zero over IPv4 means "none" and is right; over IPv6 it is wrong (RFC 8200). */
export function segmentChecksumIsRight(bytes: Uint8Array, segment: Segment): boolean {
  const field = checksumOffset(segment.protocol)
  if (field < 0) return true
  const udpZero = segment.protocol === ipProtocol.udp && readU16(bytes, segment.l4 + field) === 0
  if (udpZero) return (bytes[segment.l3] as number) >>> 4 === 4
  return foldSum(segmentSum(bytes, segment)) === 0xffff
}

/** Puts a new 16-bit value where a checksum covers it, and repairs that checksum (Linux: csum_replace2). */
export function replaceU16(bytes: Uint8Array, offset: number, value: number, checksumAt: number): void {
  const checksum = updateChecksum16(readU16(bytes, checksumAt), readU16(bytes, offset), value)
  writeU16(bytes, offset, value)
  writeU16(bytes, checksumAt, checksum)
}

/** Puts a new 32-bit value where a checksum covers it, and repairs that checksum (Linux: csum_replace4). */
export function replaceU32(bytes: Uint8Array, offset: number, value: number, checksumAt: number): void {
  const checksum = updateChecksum32(readU16(bytes, checksumAt), readU32(bytes, offset), value)
  writeU16(bytes, offset, value >>> 16)
  writeU16(bytes, offset + 2, value)
  writeU16(bytes, checksumAt, checksum)
}
