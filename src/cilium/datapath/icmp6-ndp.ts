// Neighbour discovery: solicitations of pods are answered by a program. lib/icmp6.h __icmp6_handle_ns()
import { readU16, writeU16, writeU32 } from '../../net/bytes.ts'
import { routerAddress } from './config.ts'
import type { Ctx } from './ctx.ts'
import { drop, where } from './drop-reason.ts'
import { endpointFlag, lookupEndpoint } from './endpoints.ts'
import { loadSourceMac, macBytesOf } from './ethernet.ts'
import { type Address, ipv6, protocolNumber, sameAddress } from './family.ts'
import { callReply, icmp6ChecksumOffset, pseudoHeader, replyTail, sendReply6 } from './icmp6-reply.ts'
import type { MetricDirection } from './metrics.ts'
import { sendDrop } from './notify.ts'
import { call } from './tail-calls.ts'

const failed = where('icmp6.h', 407)

export const ndpType = { NEIGHBOUR_SOLICITATION: 135, NEIGHBOUR_ADVERTISEMENT: 136 } as const

export const icmpAt = ipv6.headerBytes
export const icmpBytes = 8
export const targetAt = icmpAt + icmpBytes
export const optionAt = targetAt + ipv6.addressBytes
export const optionBytes = 8
const payloadLengthAt = 4
export const targetLinkLayer = 2
/** Flags of an advertisement, as the first byte after the checksum has them. */
const advertisementFlag = { ROUTER: 0x80, SOLICITED: 0x40, OVERRIDE: 0x20 } as const

/** is_icmp6_ndp(): whether the packet at `l3Offset` is a solicitation or an advertisement. */
export function isNdp(ctx: Ctx, l3Offset: number): boolean {
  if (ctx.packet.u8(l3Offset + ipv6.protocolAt) !== protocolNumber.ICMPV6) return false
  const type = ctx.load(l3Offset + icmpAt, 1)?.[0]
  return type === ndpType.NEIGHBOUR_SOLICITATION || type === ndpType.NEIGHBOUR_ADVERTISEMENT
}

/**
 * icmp6_ndisc_adv_addopt(): appends room for the option of the answer, zeros. The difference to the checksum that the longer
 * payload makes, or a drop reason.
 */
function appendOption(ctx: Ctx, l3Offset: number): number {
  if (ctx.changeTail(ctx.length + optionBytes) < 0) return drop.INVALID
  const { packet } = ctx
  if (!packet.has(l3Offset, ipv6.headerBytes)) return drop.INVALID
  const length = packet.u16(l3Offset + payloadLengthAt)
  packet.setU16(l3Offset + payloadLengthAt, length + optionBytes)
  if (!packet.has(l3Offset + optionAt, optionBytes)) return drop.INVALID
  packet.setBytes(l3Offset + optionAt, new Uint8Array(optionBytes))
  const grown = new Uint8Array(4)
  writeU32(grown, 0, optionBytes)
  return ctx.checksumDifference(new Uint8Array(4), grown, 0)
}

/** The ICMPv6 header of the answer to one with this header: the checksum is repaired later. */
export function advertisementHeader(old: Uint8Array, toRouter: boolean): Uint8Array {
  const { ROUTER, SOLICITED, OVERRIDE } = advertisementFlag
  const header = new Uint8Array(icmpBytes)
  header[0] = ndpType.NEIGHBOUR_ADVERTISEMENT
  writeU16(header, 2, readU16(old, 2))
  header[4] = SOLICITED | (toRouter ? ROUTER : OVERRIDE)
  return header
}

/** icmp6_send_ndisc_adv(): answers that the target is at `mac` (six bytes). */
export function sendAdvertisement(ctx: Ctx, l3Offset: number, mac: Uint8Array, toRouter: boolean): number {
  let sum = 0
  if (ctx.load(l3Offset + optionAt, optionBytes) === undefined) {
    sum = appendOption(ctx, l3Offset)
    if (sum < 0) return sum
  }
  const oldHeader = ctx.load(l3Offset + icmpAt, icmpBytes)
  if (oldHeader === undefined) return drop.INVALID
  const header = advertisementHeader(oldHeader, toRouter)
  const target = ctx.load(l3Offset + targetAt, ipv6.addressBytes)
  if (target === undefined || ctx.store(l3Offset + icmpAt, header) < 0) return drop.WRITE_ERROR
  sum = ctx.checksumDifference(oldHeader, header, sum)
  const oldOption = ctx.load(l3Offset + optionAt, optionBytes)
  if (oldOption === undefined) return drop.INVALID
  const option = Uint8Array.of(targetLinkLayer, 1, ...mac)
  if (ctx.store(l3Offset + optionAt, option) < 0) return drop.WRITE_ERROR
  sum = ctx.checksumDifference(oldOption, option, sum)
  if (ctx.replaceL4Checksum(icmp6ChecksumOffset(l3Offset), 0, sum, pseudoHeader) < 0) return drop.CSUM_L4
  return sendReply6(ctx, l3Offset, target)
}

/** __icmp6_handle_ns(): for the router, for a pod's own loopback address, for endpoints; for the host the stack answers. */
function handleSolicitation(ctx: Ctx, l3Offset: number): number {
  const target: Address | undefined = ctx.load(l3Offset + targetAt, ipv6.addressBytes)
  if (target === undefined) return drop.INVALID
  const mac = macBytesOf(ctx.object.interface_mac)
  if (sameAddress(target, routerAddress(ctx.node, 6))) return sendAdvertisement(ctx, l3Offset, mac, true)
  if (ctx.object.kind === 'bpf_lxc' && sameAddress(target, ctx.node.service_loopback_ipv6)) {
    const own = loadSourceMac(ctx)
    return own === undefined ? drop.INVALID : sendAdvertisement(ctx, l3Offset, own, false)
  }
  const endpoint = lookupEndpoint(ctx, ipv6, target)
  if (endpoint === undefined) return unknownTarget(ctx)
  if ((endpoint.flags & endpointFlag.HOST) !== 0) return ctx.act.OK
  return sendAdvertisement(ctx, l3Offset, mac, false)
}

/** ACTION_UNKNOWN_ICMP6_NS: bpf_host passes what it does not know, others drop it. */
export function unknownTarget(ctx: Ctx): number {
  return ctx.object.kind === 'bpf_host' ? ctx.act.OK : drop.UNKNOWN_TARGET
}

/** tail_icmp6_handle_ns(): slot HANDLE_ICMP6_NS. */
export const tailHandleSolicitation = replyTail(
  'tail_icmp6_handle_ns',
  handleSolicitation,
  (ctx, reason, event) => sendDrop(ctx, reason, event, failed, false),
)

/** icmp6_handle_ns(): does not come back, except with DROP_MISSED_TAIL_CALL. */
export function callHandleSolicitation(ctx: Ctx, l3Offset: number, direction: MetricDirection): number {
  return callReply(ctx, call.HANDLE_ICMP6_NS, l3Offset, direction)
}

/** icmp6_ndp_handle(): of a packet that isNdp(): advertisements pass. */
export function handleNdp(ctx: Ctx, l3Offset: number, direction: MetricDirection): number {
  const type = ctx.load(l3Offset + icmpAt, 1)?.[0]
  if (type === undefined) return drop.INVALID
  return type === ndpType.NEIGHBOUR_SOLICITATION ? callHandleSolicitation(ctx, l3Offset, direction) : 0
}
