// Cutting a packet into fragments: net/ipv4/ip_output.c ip_do_fragment(). What enters is a whole packet or a fragment that
// is still too big; its own offset and flag are carried on.
import { readU8, readU16, writeU16 } from '../../net/bytes.ts'
import { ipv4At, ipv4Flag, ipv4HeaderLength, writeIpv4Checksum } from '../../net/ipv4.ts'
import { Skb } from '../skb.ts'

/** Headroom of a fragment: an Ethernet header and what tunnels may push. */
const headroom = 128

/** ip_options_fragment(): after the first fragment only options with the copy bit stay; the others become NOPs. */
function stripOptions(bytes: Uint8Array, start: number, end: number): void {
  let at = start
  while (at < end) {
    const type = readU8(bytes, at)
    if (type === 0) return
    if (type === 1) {
      at += 1
      continue
    }
    const length = Math.max(readU8(bytes, at + 1), 2)
    if (length > end - at) return
    if ((type & 0x80) === 0) bytes.fill(1, at, at + length)
    at += length
  }
}

/** ip_copy_metadata(), ip6_copy_metadata(): what a fragment inherits. */
export function inherit(piece: Skb, from: Skb): void {
  piece.networkHeader = piece.data
  piece.protocol = from.protocol
  piece.pktType = from.pktType
  piece.mark = from.mark
  piece.priority = from.priority
  piece.hash = from.hash
  piece.l4Hash = from.l4Hash
  piece.tcIndex = from.tcIndex
  piece.nfct = from.nfct
  piece.nfctInfo = from.nfctInfo
  piece.ipvs = from.ipvs
  piece.tstamp = from.tstamp
  piece.tstampType = from.tstampType
  piece.route = from.route
  piece.sk = from.sk
  piece.bridged = from.bridged
  piece.hops = from.hops
  piece.ingressIfindex = from.ingressIfindex
  piece.record = from.record
}

function cut(
  skb: Skb,
  part: { readonly headerLength: number; readonly start: number; readonly length: number },
): Skb {
  const bytes = new Uint8Array(headroom + part.headerLength + part.length)
  bytes.set(skb.bytes.subarray(skb.data, skb.data + part.headerLength), headroom)
  const from = skb.data + part.headerLength + part.start
  bytes.set(skb.bytes.subarray(from, from + part.length), headroom + part.headerLength)
  const piece = new Skb(skb.dev, bytes, headroom, bytes.length)
  inherit(piece, skb)
  return piece
}

/**
 * How many payload bytes go into each piece, `total` in all and at most `room` in one. A packet that was put together from
 * fragments is cut where it was joined, if they fit (the frag_list of ip_do_fragment() and ip6_fragment()); else all
 * pieces but the last are as large as they may be, in units of eight bytes.
 */
export function pieceLengths(skb: Skb, total: number, room: number): readonly number[] {
  const joined = skb.fragmentSizes
  if (joined?.every((length) => length <= room) === true) {
    if (joined.reduce((sum, length) => sum + length, 0) === total) return joined
  }
  const lengths: number[] = []
  for (let left = total; left > 0; ) {
    const length = left > room ? room & ~7 : left
    if (length <= 0) break
    lengths.push(length)
    left -= length
  }
  return lengths
}

/**
 * The fragments of a packet for an MTU in bytes, in order; `skb.data` stands at the IP header. Each but the last carries
 * a multiple of 8 bytes. DF is cleared (the caller has seen to it that the packet may be cut).
 */
export function fragmentPacket(skb: Skb, mtu: number): Skb[] {
  const headerLength = ipv4HeaderLength(skb.bytes, skb.data)
  const flags = readU16(skb.bytes, skb.data + ipv4At.flagsAndOffset)
  const offset = (flags & ipv4Flag.offsetMask) << 3
  const total = skb.length - headerLength
  const pieces: Skb[] = []
  let start = 0
  for (const length of pieceLengths(skb, total, mtu - headerLength)) {
    const piece = cut(skb, { headerLength, start, length })
    const more = start + length < total || (flags & ipv4Flag.moreFragments) !== 0
    writeU16(piece.bytes, piece.data + ipv4At.totalLength, headerLength + length)
    const word = ((offset + start) >>> 3) | (more ? ipv4Flag.moreFragments : 0)
    writeU16(piece.bytes, piece.data + ipv4At.flagsAndOffset, word)
    if (start > 0) stripOptions(piece.bytes, piece.data + ipv4At.options, piece.data + headerLength)
    writeIpv4Checksum(piece.bytes, piece.data)
    pieces.push(piece)
    start += length
  }
  return pieces
}
