// Answers in ICMPv6 that are made from the packet they answer. lib/icmp6.h icmp6_send_reply()
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { loadSourceMac, macBytesOf, storeDestinationMac, storeSourceMac } from './ethernet.ts'
import { type Address, ipv6 } from './family.ts'

const checksumAt = 2

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
