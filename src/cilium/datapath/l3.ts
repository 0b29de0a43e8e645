// One routing hop: TTL or hop limit, then new Ethernet addresses. lib/l3.h
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { storeMacs } from './ethernet.ts'
import { type Family, ipv4 } from './family.ts'
import { sendTimeExceeded } from './icmp6-time-exceeded.ts'
import type { MetricDirection } from './metrics.ts'

const ipv4ChecksumAt = 10
const recomputeChecksum = 1

/** ipv4_dec_ttl(): writes the header directly and repairs its checksum. 0 or a drop reason. */
function decrementTtl(ctx: Ctx, l3Offset: number): number {
  const at = l3Offset + ipv4.ttlAt
  const ttl = ctx.packet.u8(at)
  if (ttl <= 1) return drop.TTL_EXCEEDED
  ctx.packet.setU8(at, ttl - 1)
  return ctx.replaceL3Checksum(l3Offset + ipv4ChecksumAt, ttl, ttl - 1, 2) < 0 ? drop.CSUM_L3 : 0
}

/** ipv6_dec_hoplimit(): 0 or a drop reason. */
function decrementHopLimit(ctx: Ctx, family: Family, l3Offset: number): number {
  const at = l3Offset + family.ttlAt
  const bytes = ctx.load(at, 1)
  if (bytes === undefined) return drop.INVALID
  const limit = bytes[0] as number
  if (limit <= 1) return drop.TTL_EXCEEDED
  return ctx.store(at, Uint8Array.of(limit - 1), recomputeChecksum) < 0 ? drop.WRITE_ERROR : 0
}

/**
 * ipv4_l3(), ipv6_l3(): CTX_ACT_OK (0), or what ends the program: a drop reason, or, for an IPv6 packet at its end, the
 * code that came from answering it. MACs are six bytes; undefined leaves what is there.
 */
export function l3(
  ctx: Ctx,
  family: Family,
  l3Offset: number,
  macs: { readonly source: Uint8Array | undefined; readonly destination: Uint8Array | undefined },
  direction: MetricDirection,
): number {
  if (family === ipv4) {
    const result = decrementTtl(ctx, l3Offset)
    if (result < 0) return result
  } else {
    const result = decrementHopLimit(ctx, family, l3Offset)
    if (result === drop.TTL_EXCEEDED && !ctx.isXdp) return sendTimeExceeded(ctx, l3Offset, direction)
    if (result < 0) return result
  }
  return storeMacs(ctx, macs.source, macs.destination)
}
