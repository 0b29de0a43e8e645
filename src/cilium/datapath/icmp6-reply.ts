// Answers in ICMPv6 that are made from the packet they answer. lib/icmp6.h icmp6_send_reply()
import { type Ctx, isError } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { loadSourceMac, macBytesOf, storeDestinationMac, storeSourceMac } from './ethernet.ts'
import { type Address, ipv6 } from './family.ts'
import { identity } from './identity.ts'
import type { MetricDirection } from './metrics.ts'
import type { ObjectProgram } from './object.ts'

const checksumAt = 2

/** What a drop event says where nobody knows any more who sent the packet. */
interface UnknownSender {
  readonly source: number
  readonly direction: MetricDirection
}

/** BPF_F_PSEUDO_HDR */
export const pseudoHeader = 0x10

/** ICMP6_CSUM_OFFSET: where the checksum is, extension headers not thought of. */
export function icmp6ChecksumOffset(l3Offset: number): number {
  return l3Offset + ipv6.headerBytes + checksumAt
}

/** redirect_self(): transmits on the device that the program runs on. */
export function redirectSelf(ctx: Ctx): number {
  return ctx.redirect(ctx.ifindex, 0)
}

/** icmp6_send_reply(): turns the packet around, from `source` to who sent it, and sends it where it came from. */
export function sendReply6(ctx: Ctx, l3Offset: number, source: Address): number {
  const { sourceAt, destinationAt, addressBytes } = ipv6
  const sender = ctx.load(l3Offset + sourceAt, addressBytes)
  const target = ctx.load(l3Offset + destinationAt, addressBytes)
  if (sender === undefined || target === undefined) return drop.INVALID
  if (ctx.store(l3Offset + sourceAt, source) < 0) return drop.WRITE_ERROR
  if (ctx.store(l3Offset + destinationAt, sender) < 0) return drop.WRITE_ERROR
  const checksum = icmp6ChecksumOffset(l3Offset)
  const sourceChange = ctx.checksumDifference(sender, source, 0)
  if (ctx.replaceL4Checksum(checksum, 0, sourceChange, pseudoHeader) < 0) return drop.CSUM_L4
  const targetChange = ctx.checksumDifference(target, sender, 0)
  if (ctx.replaceL4Checksum(checksum, 0, targetChange, pseudoHeader) < 0) return drop.CSUM_L4
  const mac = loadSourceMac(ctx)
  if (mac === undefined) return drop.INVALID
  if (storeDestinationMac(ctx, mac) < 0) return drop.WRITE_ERROR
  if (storeSourceMac(ctx, macBytesOf(ctx.object.interface_mac)) < 0) return drop.WRITE_ERROR
  return redirectSelf(ctx)
}

/**
 * A tail that makes an answer of the packet; callReply() leaves it where the IPv6 header is and the direction. `refuse` sends
 * the drop event of the version.
 */
export function replyTail(
  symbol: string,
  reply: (ctx: Ctx, l3Offset: number) => number,
  refuse: (ctx: Ctx, reason: number, event: UnknownSender) => number,
): ObjectProgram {
  return {
    symbol,
    run: (ctx) => {
      const l3Offset = ctx.takeMeta(0)
      const direction = ctx.meta(1) as MetricDirection
      const result = reply(ctx, l3Offset)
      if (!isError(ctx, result)) return result
      return refuse(ctx, result, { source: identity.UNKNOWN_ID, direction })
    },
  }
}

/** Goes on in the tail of a slot; does not come back, except with DROP_MISSED_TAIL_CALL. */
export function callReply(ctx: Ctx, slot: number, l3Offset: number, direction: MetricDirection): number {
  ctx.setMeta(0, l3Offset)
  ctx.setMeta(1, direction)
  return ctx.tailCall(slot)
}
