// Where L4 begins, in Cilium 1.10. IPv6 packets with a fragment header are refused. bpf/lib/ipv6.h ipv6_hdrlen()
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Family, ipv4 } from '../datapath/family.ts'
import { wholePacket } from '../datapath/fragments.ts'
import { type HeaderWalk, nextHeader, walkHeaders as walkIpv4 } from '../datapath/headers.ts'

/** IPV6_MAX_HEADERS */
export const maxExtensionHeaders = 4
const { HOP, ROUTING, FRAGMENT, AUTH, NONE, DEST } = nextHeader
const skipped: ReadonlySet<number> = new Set([HOP, ROUTING, AUTH, DEST])

/**
 * The header at `offset`, which is of kind `current`: what follows it, and its length, which is counted as the next one's kind
 * says. Undefined for L4, or a drop reason.
 */
export function extensionHeader(
  ctx: Ctx,
  current: number,
  offset: number,
): { readonly next: number; readonly length: number } | number | undefined {
  if (current === NONE) return drop.INVALID_EXTHDR
  if (current === FRAGMENT) return drop.FRAG_NOSUPPORT
  if (!skipped.has(current)) return undefined
  const header = ctx.load(offset, 2)
  if (header === undefined) return drop.INVALID
  const [next = 0, size = 0] = header
  return { next, length: next === AUTH ? (size + 2) * 4 : (size + 1) * 8 }
}

/** ipv6_hdrlen() */
function walkIpv6(ctx: Ctx, family: Family, l3Offset: number): HeaderWalk | number {
  let length: number = family.headerBytes
  let nexthdr = ctx.packet.u8(l3Offset + family.protocolAt)
  for (let seen = 0; seen < maxExtensionHeaders; seen += 1) {
    const header = extensionHeader(ctx, nexthdr, l3Offset + length)
    if (header === undefined) return { length, nexthdr, fragment: wholePacket }
    if (typeof header === 'number') return header
    nexthdr = header.next
    length += header.length
  }
  return drop.INVALID_EXTHDR
}

/** ipv4_hdrlen(), ipv6_hdrlen(): where L4 begins relative to the IP header, and what it is; or a drop reason. */
export function walkHeaders(ctx: Ctx, family: Family, l3Offset: number): HeaderWalk | number {
  return family === ipv4 ? walkIpv4(ctx, family, l3Offset) : walkIpv6(ctx, family, l3Offset)
}
