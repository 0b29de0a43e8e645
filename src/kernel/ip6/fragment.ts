// Cutting an IPv6 packet: net/ipv6/ip6_output.c ip6_fragment(). Only its source does this (RFC 8200 section 4.5), and a
// router that has put it together for conntrack.
import { readU8, writeU8, writeU16, writeU32 } from '../../net/bytes.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { extensionLength } from '../../net/ipv6-extensions.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { inherit, pieceLengths } from '../ip/fragment.ts'
import { Skb } from '../skb.ts'

const headroom = 128
const fragmentHeader = 8

/** Where the part that every fragment carries ends, and the byte that names what follows it (ip6_find_1stfragopt). */
function unfragmentable(skb: Skb): { readonly end: number; readonly nextAt: number } {
  let nextAt = skb.data + ipv6At.nextHeader
  let end = skb.data + ipv6At.payload
  for (;;) {
    const protocol = readU8(skb.bytes, nextAt)
    if (protocol !== ipProtocol.hopByHop && protocol !== ipProtocol.routing) return { end, nextAt }
    nextAt = end
    end += extensionLength(skb.bytes, end, protocol)
  }
}

/** The fragments of a packet for an MTU in bytes, in order; `identification` ties them together. */
export function fragmentPacket6(skb: Skb, mtu: number, identification: number): Skb[] {
  const { end, nextAt } = unfragmentable(skb)
  const header = end - skb.data
  const nextHeader = readU8(skb.bytes, nextAt)
  const total = skb.tail - end
  const pieces: Skb[] = []
  let start = 0
  for (const length of pieceLengths(skb, total, mtu - header - fragmentHeader)) {
    const bytes = new Uint8Array(headroom + header + fragmentHeader + length)
    bytes.set(skb.bytes.subarray(skb.data, end), headroom)
    const at = headroom + header
    writeU8(bytes, headroom + (nextAt - skb.data), ipProtocol.fragment)
    writeU16(bytes, headroom + ipv6At.payloadLength, header - ipv6At.payload + fragmentHeader + length)
    writeU8(bytes, at, nextHeader)
    writeU16(bytes, at + 2, start | (start + length < total ? 1 : 0))
    writeU32(bytes, at + 4, identification)
    bytes.set(skb.bytes.subarray(end + start, end + start + length), at + fragmentHeader)
    const piece = new Skb(skb.dev, bytes, headroom, bytes.length)
    inherit(piece, skb)
    pieces.push(piece)
    start += length
  }
  return pieces
}
