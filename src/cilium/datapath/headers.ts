// Where the headers of a packet are: Ethernet, IP with its options or extension headers, L4. lib/common.h revalidate_data(),
// lib/ipv6.h ipv6_hdrlen_with_fraginfo()
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { type Family, ipv4 } from './family.ts'
import { type FragmentInfo, fragmentInfo4, fragmentInfo6, wholePacket } from './fragments.ts'

const maxExtensionHeaders = 4
const fragmentHeaderBytes = 8

/** NEXTHDR_* */
export const nextHeader = { HOP: 0, ROUTING: 43, FRAGMENT: 44, AUTH: 51, NONE: 59, DEST: 60 } as const

/** ETH_HLEN: 14, or 0 on a device without Ethernet. */
export function ethernetLength(ctx: Ctx): number {
  return ctx.object.eth_header_length
}

/** revalidate_data(): whether an IP header of this family can be read at `l3Offset`. */
export function hasHeader(ctx: Ctx, family: Family, l3Offset: number): boolean {
  return ctx.packet.has(l3Offset, family.headerBytes)
}

/** revalidate_data_pull(): the same, after making those bytes linear. */
export function pullHeader(ctx: Ctx, family: Family, l3Offset: number): boolean {
  ctx.pull(l3Offset + family.headerBytes)
  return hasHeader(ctx, family, l3Offset)
}

/** Where L4 begins, relative to the IP header, and what it is. */
export interface HeaderWalk {
  readonly length: number
  readonly nexthdr: number
  readonly fragment: FragmentInfo
}

/** ipv6_skip_exthdr(): the next header and this one's length; length 0 for L4. A drop reason otherwise. */
function extensionHeader(
  ctx: Ctx,
  current: number,
  offset: number,
): { readonly next: number; readonly length: number } | number {
  const { HOP, ROUTING, FRAGMENT, AUTH, NONE, DEST } = nextHeader
  if (current === NONE) return drop.INVALID_EXTHDR
  const known = [FRAGMENT, AUTH, HOP, ROUTING, DEST].some((header) => header === current)
  if (!known) return { next: current, length: 0 }
  const bytes = ctx.load(offset, 2)
  if (bytes === undefined) return drop.INVALID
  const [next, size] = bytes as unknown as [number, number]
  if (current === FRAGMENT) return { next, length: fragmentHeaderBytes }
  return { next, length: current === AUTH ? (size + 2) * 4 : (size + 1) * 8 }
}

/** ipv6_hdrlen_offset(): walks at most four extension headers. A drop reason where that does not reach L4. */
export function walkHeaders6(ctx: Ctx, l3Offset: number, first: number): HeaderWalk | number {
  let length = 40
  let nexthdr = first
  let fragment = wholePacket
  for (let seen = 0; seen < maxExtensionHeaders; seen += 1) {
    const header = extensionHeader(ctx, nexthdr, l3Offset + length)
    if (typeof header === 'number') return header
    if (header.length === 0) return { length, nexthdr, fragment }
    if (nexthdr === nextHeader.FRAGMENT) {
      const bytes = ctx.load(l3Offset + length, fragmentHeaderBytes)
      if (bytes === undefined) return drop.INVALID
      fragment = fragmentInfo6(bytes)
    }
    length += header.length
    nexthdr = header.next
  }
  return drop.INVALID_EXTHDR
}

/** Where L4 of either family begins: ipv4_hdrlen() with ipfrag_encode_ipv4(), or ipv6_hdrlen_with_fraginfo(). */
export function walkHeaders(ctx: Ctx, family: Family, l3Offset: number): HeaderWalk | number {
  const { packet } = ctx
  const nexthdr = packet.u8(l3Offset + family.protocolAt)
  if (family === ipv4) {
    return {
      length: (packet.u8(l3Offset) & 0xf) * 4,
      nexthdr,
      fragment: fragmentInfo4(ctx, l3Offset),
    }
  }
  return walkHeaders6(ctx, l3Offset, nexthdr)
}

/** ipv6_get_fraginfo(), ipfrag_encode_ipv4(): looks no further than the fragment header. A drop reason for a bad header. */
export function fragmentInfo(ctx: Ctx, family: Family, l3Offset: number): FragmentInfo | number {
  if (family === ipv4) return fragmentInfo4(ctx, l3Offset)
  let length = 40
  let nexthdr = ctx.packet.u8(l3Offset + family.protocolAt)
  for (let seen = 0; seen < maxExtensionHeaders; seen += 1) {
    const header = extensionHeader(ctx, nexthdr, l3Offset + length)
    if (typeof header === 'number') return header
    if (header.length === 0) return wholePacket
    if (nexthdr === nextHeader.FRAGMENT) {
      const bytes = ctx.load(l3Offset + length, fragmentHeaderBytes)
      return bytes === undefined ? drop.INVALID : fragmentInfo6(bytes)
    }
    length += header.length
    nexthdr = header.next
  }
  return drop.INVALID_EXTHDR
}
