// A service without backends: the client is told that the port is unreachable. lib/lb.h tail_no_service_ipv4(),
// tail_no_service_ipv6(), handle_nonroutable_endpoints_v4()
import { writeU16, writeU32 } from '../../net/bytes.ts'
import { foldSum } from '../../net/checksum.ts'
import { isExternalService, type Service, serviceFlag, serviceFlag2 } from '../maps/service.ts'
import { type Ctx, cb, isError } from './ctx.ts'
import { drop, where } from './drop-reason.ts'
import { ethernetBytes, ethernetHeader } from './ethernet.ts'
import { type Family, ipv6 } from './family.ts'
import { ethernetLength, hasHeader } from './headers.ts'
import { generateIcmp4Reply } from './icmp4-reply.ts'
import { metricDirection } from './metrics.ts'
import { sendDrop } from './notify.ts'
import type { ObjectProgram } from './object.ts'
import { call } from './tail-calls.ts'

const noService4 = where('lb.h', 2221)
const noService6 = where('lb.h', 2399)

const icmp4 = { UNREACHABLE: 3, PORT: 3 } as const
const icmp6 = { UNREACHABLE: 1, PORT: 4 } as const
const icmpBytes = 8
const headBytes = ipv6.headerBytes + icmpBytes
/** What fits into the smallest MTU of IPv6. */
const sampleMax6 = 1280 - headBytes
const BPF_ADJ_ROOM_MAC = 1
const IPDEFTTL = 64

/** handle_nonroutable_endpoints_v4(): a local-only service drops, another one is left to the stack. */
export function nonRoutable(ctx: Ctx, service: Service): number {
  const external = isExternalService(service)
  const localOnly = external
    ? (service.flags & serviceFlag.EXT_LOCAL_SCOPE) !== 0
    : (service.flags2 & serviceFlag2.INT_LOCAL_SCOPE) !== 0
  return localOnly ? drop.NO_SERVICE : ctx.act.OK
}

/** redirect_self(): back out of the device that the packet came from. */
function redirectSelf(ctx: Ctx): number {
  return ctx.isXdp ? ctx.act.TX : ctx.redirect(ctx.ifindex, 0)
}

function tailNoService4(ctx: Ctx): number {
  const source = ctx.meta(cb.SRC_LABEL)
  const answered = generateIcmp4Reply(ctx, icmp4.UNREACHABLE, icmp4.PORT)
  const result = answered === 0 ? redirectSelf(ctx) : answered
  if (!isError(ctx, result)) return result
  return sendDrop(ctx, result, { source, direction: metricDirection.INGRESS }, noService4, false)
}

function sumOf(bytes: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0)
  return sum
}

/** Bytes that one body128() of lib/icmp.h sums, and how far apart they begin: as much again is left out. */
const summedBytes = 128
const summedEvery = 256

/** icmp_wsum_accumulate(): leaves out every second 128 bytes, so the sum of a longer quotation is wrong. */
function sumOfSample(sample: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < sample.length; at += summedEvery) sum += sumOf(sample.subarray(at, at + summedBytes))
  return sum
}

/** The headers in front of the quoted packet. */
function answerHeaders(from: Uint8Array, to: Uint8Array, sample: Uint8Array): Uint8Array {
  const head = new Uint8Array(headBytes)
  const length = icmpBytes + sample.length
  head[0] = 0x60
  writeU16(head, 4, length)
  head[ipv6.protocolAt] = ipv6.icmp
  head[ipv6.ttlAt] = IPDEFTTL
  head.set(from, ipv6.sourceAt)
  head.set(to, ipv6.destinationAt)
  const icmp = head.subarray(ipv6.headerBytes)
  icmp[0] = icmp6.UNREACHABLE
  icmp[1] = icmp6.PORT
  const pseudo = new Uint8Array(8)
  writeU32(pseudo, 0, length)
  pseudo[7] = ipv6.icmp
  const sum = sumOf(from) + sumOf(to) + sumOf(pseudo) + sumOf(icmp) + sumOfSample(sample)
  writeU16(icmp, 2, ~foldSum(sum) & 0xffff)
  return head
}

/**
 * __tail_no_service_ipv6(): the packet, as many of its bytes as the frame has, behind an ICMPv6 error from the address it was
 * sent to. 0 or a drop reason.
 */
function answer6(ctx: Ctx): number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, ipv6, l3Offset)) return drop.INVALID
  const { packet } = ctx
  const macs = ctx.load(0, 12)
  if (macs === undefined) return drop.INVALID
  const client = packet.copy(l3Offset + ipv6.sourceAt, ipv6.addressBytes)
  const service = packet.copy(l3Offset + ipv6.destinationAt, ipv6.addressBytes)
  const size = Math.min(ctx.length, sampleMax6)
  ctx.changeTail(size + ethernetBytes)
  const sample = packet.copy(ethernetBytes, size)
  const grown = ctx.isXdp ? ctx.changeHead(headBytes) : ctx.adjustRoom(headBytes, BPF_ADJ_ROOM_MAC, 0)
  if (grown < 0 || !packet.has(0, ethernetBytes + headBytes)) return drop.INVALID
  packet.setBytes(0, ethernetHeader(macs.subarray(6, 12), macs.subarray(0, 6), ipv6.etherType))
  packet.setBytes(ethernetBytes, answerHeaders(service, client, sample))
  return 0
}

/** Answers are limited to 100 a second with bursts of 1000, which no scenario reaches: the limit is not modelled. */
function tailNoService6(ctx: Ctx): number {
  const source = ctx.meta(cb.SRC_LABEL)
  const answered = answer6(ctx)
  const result = answered === 0 ? redirectSelf(ctx) : answered
  if (!isError(ctx, result)) return result
  return sendDrop(ctx, result, { source, direction: metricDirection.INGRESS }, noService6, false)
}

/** Slot NO_SERVICE of one family. */
export function noServiceTails(family: Family): [number, ObjectProgram][] {
  return family.version === 4
    ? [[call.IPV4_NO_SERVICE, { symbol: 'tail_no_service_ipv4', run: tailNoService4 }]]
    : [[call.IPV6_NO_SERVICE, { symbol: 'tail_no_service_ipv6', run: tailNoService6 }]]
}
