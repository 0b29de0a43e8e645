// ICMPv6 that programs of Cilium 1.10 answer: neighbour solicitations, echo requests to the router, packets at their end.
// All answers come from the router's address. bpf/lib/icmp6.h
import { routerAddress } from '../datapath/config.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { lookupEndpoint } from '../datapath/endpoints.ts'
import { macBytesOf } from '../datapath/ethernet.ts'
import { ipv6, sameAddress } from '../datapath/family.ts'
import {
  advertisementHeader,
  callHandleSolicitation,
  icmpAt,
  icmpBytes,
  ndpType,
  optionAt,
  optionBytes,
  targetAt,
  targetLinkLayer,
  unknownTarget,
} from '../datapath/icmp6-ndp.ts'
import {
  callReply,
  icmp6ChecksumOffset,
  pseudoHeader,
  replyTail,
  sendReply6,
} from '../datapath/icmp6-reply.ts'
import { buildTimeExceeded } from '../datapath/icmp6-time-exceeded.ts'
import type { MetricDirection } from '../datapath/metrics.ts'
import { handleIcmp6Type } from '../host/icmp6.ts'
import { sendDrop } from './notify.ts'
import { call } from './slots.ts'

const echoRequest = 128
const echoReply = 129
/** What bpf_skb_load_bytes() leaves where it cannot read. */
const unreadable = 0

/** Writes new bytes over old ones and repairs the ICMPv6 checksum. 0 or a drop reason. */
function replaceBytes(ctx: Ctx, l3Offset: number, at: number, old: Uint8Array, bytes: Uint8Array): number {
  if (ctx.store(l3Offset + at, bytes) < 0) return drop.WRITE_ERROR
  const sum = ctx.checksumDifference(old, bytes, 0)
  const repaired = ctx.replaceL4Checksum(icmp6ChecksumOffset(l3Offset), 0, sum, pseudoHeader)
  return repaired < 0 ? drop.CSUM_L4 : 0
}

function reply(ctx: Ctx, l3Offset: number): number {
  return sendReply6(ctx, l3Offset, routerAddress(ctx.node, 6))
}

/** send_icmp6_ndisc_adv(): the target is at this object's device. */
function sendAdvertisement(ctx: Ctx, l3Offset: number, toRouter: boolean): number {
  const oldHeader = ctx.load(l3Offset + icmpAt, icmpBytes)
  if (oldHeader === undefined) return drop.INVALID
  const header = replaceBytes(ctx, l3Offset, icmpAt, oldHeader, advertisementHeader(oldHeader, toRouter))
  if (header < 0) return header
  const oldOption = ctx.load(l3Offset + optionAt, optionBytes)
  if (oldOption === undefined) return drop.INVALID
  const option = Uint8Array.of(targetLinkLayer, 1, ...macBytesOf(ctx.object.interface_mac))
  const written = replaceBytes(ctx, l3Offset, optionAt, oldOption, option)
  return written < 0 ? written : reply(ctx, l3Offset)
}

/** __icmp6_handle_ns(): for the router and for endpoints. */
function handleSolicitation(ctx: Ctx, l3Offset: number): number {
  const target = ctx.load(l3Offset + targetAt, ipv6.addressBytes)
  if (target === undefined) return drop.INVALID
  if (sameAddress(target, routerAddress(ctx.node, 6))) return sendAdvertisement(ctx, l3Offset, true)
  if (lookupEndpoint(ctx, ipv6, target) !== undefined) return sendAdvertisement(ctx, l3Offset, false)
  return unknownTarget(ctx)
}

/** __icmp6_send_echo_reply(): identifier and sequence number stay. */
function sendEchoReply(ctx: Ctx, l3Offset: number): number {
  const old = ctx.load(l3Offset + icmpAt, icmpBytes)
  if (old === undefined) return drop.INVALID
  const header = old.slice()
  header[0] = echoReply
  header[1] = 0
  const written = replaceBytes(ctx, l3Offset, icmpAt, old, header)
  return written < 0 ? written : reply(ctx, l3Offset)
}

/** Slot SEND_ICMP6_ECHO_REPLY. */
export const tailSendEchoReply = replyTail('tail_icmp6_send_echo_reply', sendEchoReply, sendDrop)
/** Slot SEND_ICMP6_TIME_EXCEEDED. */
export const tailSendTimeExceeded = replyTail('tail_icmp6_send_time_exceeded', buildTimeExceeded, sendDrop)
/** Slot HANDLE_ICMP6_NS. */
export const tailHandleSolicitation = replyTail('tail_icmp6_handle_ns', handleSolicitation, sendDrop)

/** icmp6_send_echo_reply(): does not come back, except with DROP_MISSED_TAIL_CALL. */
function callSendEchoReply(ctx: Ctx, l3Offset: number, direction: MetricDirection): number {
  return callReply(ctx, call.SEND_ICMP6_ECHO_REPLY, l3Offset, direction)
}

/**
 * icmp6_host_handle(): the type is read where it is without extension headers, and nobody asks whether it could be. CTX_ACT_OK:
 * policy decides; SKIP_HOST_FIREWALL; or a drop reason.
 */
export function handleIcmp6AtHost(ctx: Ctx, l3Offset: number): number {
  return handleIcmp6Type(ctx, ctx.load(l3Offset + icmpAt, 1)?.[0] ?? unreadable, true)
}

/** icmp6_handle(): of an ICMPv6 packet whose header lies in the packet. 0: not for a program to answer. */
export function handleIcmp6(ctx: Ctx, l3Offset: number, direction: MetricDirection): number {
  const { packet } = ctx
  const type = packet.u8(l3Offset + icmpAt)
  if (type === ndpType.NEIGHBOUR_SOLICITATION) return callHandleSolicitation(ctx, l3Offset, direction)
  if (type !== echoRequest) return 0
  const target = packet.copy(l3Offset + ipv6.destinationAt, ipv6.addressBytes)
  if (!sameAddress(target, routerAddress(ctx.node, 6))) return 0
  return callSendEchoReply(ctx, l3Offset, direction)
}
