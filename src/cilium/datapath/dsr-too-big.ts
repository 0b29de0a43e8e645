// A packet that direct server return would make larger than the device takes: its sender is told the size that fits.
// lib/nodeport.h dsr_is_too_big(), dsr_reply_icmp4(), dsr_reply_icmp6()
import { writeU16, writeU32 } from '../../net/bytes.ts'
import { foldSum } from '../../net/checksum.ts'
import type { Ctx } from './ctx.ts'
import { drop, type Where, where } from './drop-reason.ts'
import { ethernetBytes, ethernetHeader } from './ethernet.ts'
import { type Address, type Family, ipv4, ipv6, protocolNumber } from './family.ts'
import { identity } from './identity.ts'
import { portAt } from './l4.ts'
import { metricDirection, updateMetrics } from './metrics.ts'
import { sendDrop } from './notify.ts'

interface Places {
  readonly metric: Where
  readonly failed: Where
}

const places: Readonly<Record<4 | 6, Places>> = {
  4: { metric: where('nodeport.h', 2089), failed: where('nodeport.h', 2144) },
  6: { metric: where('nodeport.h', 663), failed: where('nodeport.h', 709) },
}

const BPF_ADJ_ROOM_NET = 0
const BPF_F_ADJ_ROOM_FIXED_GSO = 1
const icmpBytes = 8
const IPDEFTTL = 64
const IP_DF = 0x4000
const icmp4 = { UNREACHABLE: 3, FRAG_NEEDED: 4 } as const
const icmp6TooBig = 2
/** Bytes of the packet behind its IP header that are quoted. */
const quotedBytes = { 4: 8, 6: 64 } as const

/** A packet that does not fit, and what was to be added to it. */
export interface TooBig {
  readonly overhead: number
}

/** dsr_is_too_big(): whether a packet of `length` bytes, from its IP header on, is larger than the device takes. */
export function tooBig(ctx: Ctx, length: number, overhead: number): TooBig | undefined {
  if (!ctx.node.ENABLE_DSR_ICMP_ERRORS || length <= ctx.object.device_mtu) return undefined
  return { overhead }
}

function sumOf(bytes: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0)
  return foldSum(sum)
}

/** The IP header of the answer, from the backend's address, where the packet was to go. */
function outerHeader4(header: Uint8Array, quoted: number): Uint8Array {
  const outer = new Uint8Array(ipv4.headerBytes)
  outer[0] = 0x45
  outer[1] = header[1] as number
  writeU16(outer, 2, ipv4.headerBytes + icmpBytes + quoted)
  outer.set(header.subarray(4, 6), 4)
  writeU16(outer, 6, IP_DF)
  outer[ipv4.ttlAt] = IPDEFTTL
  outer[ipv4.protocolAt] = protocolNumber.ICMP
  outer.set(header.subarray(ipv4.destinationAt, ipv4.destinationAt + 4), ipv4.sourceAt)
  outer.set(header.subarray(ipv4.sourceAt, ipv4.sourceAt + 4), ipv4.destinationAt)
  writeU16(outer, 10, ~sumOf(outer) & 0xffff)
  return outer
}

function icmpHeader4(mtu: number, quoted: Uint8Array): Uint8Array {
  const icmp = new Uint8Array(icmpBytes)
  icmp[0] = icmp4.UNREACHABLE
  icmp[1] = icmp4.FRAG_NEEDED
  writeU16(icmp, 6, mtu)
  writeU16(icmp, 2, ~foldSum(sumOf(icmp) + sumOf(quoted)) & 0xffff)
  return icmp
}

function outerHeader6(header: Uint8Array, quoted: number): Uint8Array {
  const outer = new Uint8Array(ipv6.headerBytes)
  outer.set(header.subarray(0, 4))
  writeU16(outer, 4, icmpBytes + quoted)
  outer[ipv6.protocolAt] = ipv6.icmp
  outer[ipv6.ttlAt] = IPDEFTTL
  outer.set(header.subarray(ipv6.destinationAt, ipv6.headerBytes), ipv6.sourceAt)
  outer.set(header.subarray(ipv6.sourceAt, ipv6.destinationAt), ipv6.destinationAt)
  return outer
}

function icmpHeader6(mtu: number, outer: Uint8Array, quoted: Uint8Array): Uint8Array {
  const icmp = new Uint8Array(icmpBytes)
  icmp[0] = icmp6TooBig
  writeU32(icmp, 4, mtu)
  const pseudo = new Uint8Array(8)
  writeU32(pseudo, 0, icmpBytes + quoted.length)
  pseudo[7] = ipv6.icmp
  const sum = sumOf(outer.subarray(ipv6.sourceAt)) + sumOf(pseudo) + sumOf(icmp) + sumOf(quoted)
  writeU16(icmp, 2, ~foldSum(sum) & 0xffff)
  return icmp
}

/** The headers of the packet as its sender wrote them: for the service, not for the backend. */
function asSent(family: Family, quoted: Uint8Array, address: Address, port: number): void {
  quoted.set(address, family.destinationAt)
  // a port behind IPv4 options would lie elsewhere; Cilium takes no notice
  writeU16(quoted, family.headerBytes + portAt.destination, port)
  if (family.version === 6) return
  writeU16(quoted, 10, 0)
  writeU16(quoted, 10, ~sumOf(quoted.subarray(0, ipv4.headerBytes)) & 0xffff)
}

/** A redirect back, or undefined where the packet cannot be answered. */
function answer(
  ctx: Ctx,
  family: Family,
  service: { readonly address: Address; readonly port: number },
  overhead: number,
): number | undefined {
  const { packet } = ctx
  const { version, headerBytes } = family
  const protocol = packet.u8(ethernetBytes + family.protocolAt)
  if (protocol !== protocolNumber.UDP && protocol !== protocolNumber.TCP) return undefined
  const four = version === 4
  const kept = four ? (packet.u8(ethernetBytes) & 0xf) * 4 : headerBytes
  const size = kept + quotedBytes[version]
  const quoted = ctx.load(ethernetBytes, size)?.slice()
  const macs = ctx.load(0, 12)?.slice()
  if (quoted === undefined || macs === undefined) return undefined
  const header = quoted.slice(0, headerBytes)
  asSent(family, quoted, service.address, service.port)
  updateMetrics(ctx, ctx.length, metricDirection.EGRESS, -drop.FRAG_NEEDED, places[version].metric)
  const mtu = ctx.object.device_mtu - overhead
  const outer = four ? outerHeader4(header, size) : outerHeader6(header, size)
  const icmp = four ? icmpHeader4(mtu, quoted) : icmpHeader6(mtu, outer, quoted)
  if (ctx.changeTail(ethernetBytes + size) < 0) return undefined
  const added = headerBytes + icmpBytes
  if (ctx.adjustRoom(added, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) !== 0) return undefined
  const head = ethernetHeader(macs.subarray(6, 12), macs.subarray(0, 6), family.etherType)
  for (const [at, bytes] of [
    [0, head],
    [ethernetBytes, outer],
    [ethernetBytes + headerBytes, icmp],
    [ethernetBytes + added, quoted],
  ] as const) {
    if (ctx.store(at, bytes) < 0) return undefined
  }
  return ctx.redirect(ctx.ifindex, 0)
}

/** dsr_reply_icmp4(), dsr_reply_icmp6(): the code that ends the program. */
export function replyTooBig(
  ctx: Ctx,
  family: Family,
  service: { readonly address: Address; readonly port: number },
  overhead: number,
): number {
  const answered = answer(ctx, family, service, overhead)
  if (answered !== undefined) return answered
  const event = { source: identity.UNKNOWN_ID, direction: metricDirection.EGRESS }
  return sendDrop(ctx, drop.FRAG_NEEDED, event, places[family.version].failed, false)
}
