// ICMPv6 time exceeded for a packet whose hop limit ends here. lib/icmp6.h __icmp6_send_time_exceeded()
import { readU16, writeU16, writeU32 } from '../../net/bytes.ts'
import { routerAddress } from './config.ts'
import type { Ctx } from './ctx.ts'
import { drop, where } from './drop-reason.ts'
import { ipv6, protocolNumber } from './family.ts'
import { callReply, icmp6ChecksumOffset, pseudoHeader, replyTail, sendReply6 } from './icmp6-reply.ts'
import type { MetricDirection } from './metrics.ts'
import { sendDrop } from './notify.ts'
import { call } from './tail-calls.ts'

const failed = where('icmp6.h', 323)

const timeExceeded = 3
const icmpHeaderBytes = 8
const payloadLengthAt = 4

/** Bytes quoted of the L4 header: TCP without options, eight of the others; undefined: cannot be quoted. */
function quotedBytes(ctx: Ctx, protocol: number): number | undefined {
  const { TCP, UDP, ICMPV6, SCTP } = protocolNumber
  if (protocol === TCP) return 20
  if (protocol === UDP || protocol === ICMPV6) return 8
  return protocol === SCTP && ctx.node.ENABLE_SCTP ? 8 : undefined
}

/** compute_icmp6_csum(): of the message and the pseudo header of the packet it quotes, whose addresses are then replaced. */
function messageChecksum(ctx: Ctx, message: Uint8Array, quoted: Uint8Array): number {
  const { sourceAt, destinationAt, addressBytes } = ipv6
  const pseudo = new Uint8Array(8)
  writeU32(pseudo, 0, message.length)
  writeU32(pseudo, 4, protocolNumber.ICMPV6)
  const none = new Uint8Array(0)
  const sum = ctx.checksumDifference(none, message, 0)
  const addresses = quoted.subarray(sourceAt, destinationAt + addressBytes)
  return ctx.checksumDifference(none, pseudo, ctx.checksumDifference(none, addresses, sum))
}

/** __icmp6_send_time_exceeded() */
export function buildTimeExceeded(ctx: Ctx, l3Offset: number): number {
  const { headerBytes } = ipv6
  const quoted = ctx.load(l3Offset, headerBytes)
  if (quoted === undefined) return drop.INVALID
  if (ctx.store(l3Offset + ipv6.protocolAt, Uint8Array.of(protocolNumber.ICMPV6)) < 0) return drop.WRITE_ERROR
  const size = quotedBytes(ctx, quoted[ipv6.protocolAt] as number)
  if (size === undefined) return drop.UNKNOWN_L4
  const upper = ctx.load(l3Offset + headerBytes, size)
  if (upper === undefined) return drop.INVALID
  const message = new Uint8Array(icmpHeaderBytes + headerBytes + size)
  message[0] = timeExceeded
  message.set(quoted, icmpHeaderBytes)
  message.set(upper, icmpHeaderBytes + headerBytes)
  const sum = messageChecksum(ctx, message, quoted)
  const trim = message.length - readU16(quoted, payloadLengthAt)
  if (ctx.changeTail(ctx.length + trim) < 0) return drop.WRITE_ERROR
  if (ctx.store(l3Offset + headerBytes, message) < 0) return drop.WRITE_ERROR
  const length = new Uint8Array(2)
  writeU16(length, 0, message.length)
  if (ctx.store(l3Offset + payloadLengthAt, length) < 0) return drop.WRITE_ERROR
  if (ctx.replaceL4Checksum(icmp6ChecksumOffset(l3Offset), 0, sum, pseudoHeader) < 0) return drop.CSUM_L4
  return sendReply6(ctx, l3Offset, routerAddress(ctx.node, 6))
}

/** tail_icmp6_send_time_exceeded(): slot SEND_ICMP6_TIME_EXCEEDED. */
export const tailSendTimeExceeded = replyTail(
  'tail_icmp6_send_time_exceeded',
  buildTimeExceeded,
  (ctx, reason, event) => sendDrop(ctx, reason, event, failed, false),
)

/** icmp6_send_time_exceeded(): does not come back, except with DROP_MISSED_TAIL_CALL. */
export function sendTimeExceeded(ctx: Ctx, l3Offset: number, direction: MetricDirection): number {
  const before = ctx.extErr
  const missed = callReply(ctx, call.SEND_ICMP6_TIME_EXCEEDED, l3Offset, direction)
  // this caller has no place for the slot (ext_err is NULL)
  ctx.extErr = before
  return missed
}
