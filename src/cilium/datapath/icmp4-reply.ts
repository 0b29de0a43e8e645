// ICMP errors that a program makes from the packet they are about. lib/icmp.h generate_icmp4_reply()

import { writeU16 } from '../../net/bytes.ts'
import { foldSum } from '../../net/checksum.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { ethernetBytes, ethernetHeader } from './ethernet.ts'
import { ipv4, protocolNumber } from './family.ts'
import { ethernetLength, hasHeader } from './headers.ts'

const icmpBytes = 8
const sampleMax = 64
const headBytes = ipv4.headerBytes + icmpBytes
const BPF_ADJ_ROOM_MAC = 1
const IPDEFTTL = 64

/** Sum of 16-bit words in network order, folded; an odd byte at the end counts as the high one. */
function sumOf(bytes: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0)
  return foldSum(sum)
}

/** The IP header of the answer. */
function ipHeader(source: Uint8Array, destination: Uint8Array, tos: number, payload: number): Uint8Array {
  const header = new Uint8Array(ipv4.headerBytes)
  header[0] = 0x45
  header[1] = tos
  writeU16(header, 2, headBytes + payload)
  header[ipv4.ttlAt] = IPDEFTTL
  header[ipv4.protocolAt] = protocolNumber.ICMP
  header.set(source, ipv4.sourceAt)
  header.set(destination, ipv4.destinationAt)
  writeU16(header, 10, ~sumOf(header) & 0xffff)
  return header
}

/**
 * generate_icmp4_reply(): replaces the packet by an ICMP error to its sender, from the address it was sent to. As many bytes
 * are quoted as the frame has, Ethernet header included, at most 64; what is missing of them at the end is zero. 0 or a drop
 * reason.
 */
export function generateIcmp4Reply(ctx: Ctx, type: number, code: number): number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, ipv4, l3Offset)) return drop.INVALID
  const { packet } = ctx
  const macs = ctx.load(0, 12)
  if (macs === undefined) return drop.INVALID
  const sender = packet.copy(l3Offset + ipv4.sourceAt, ipv4.addressBytes)
  const target = packet.copy(l3Offset + ipv4.destinationAt, ipv4.addressBytes)
  const tos = packet.u8(l3Offset + 1)
  const sample = Math.min(ctx.length, sampleMax)
  ctx.changeTail(sample + ethernetBytes)
  const quoted = packet.copy(ethernetBytes, packet.length - ethernetBytes)
  const grown = ctx.isXdp ? ctx.changeHead(headBytes) : ctx.adjustRoom(headBytes, BPF_ADJ_ROOM_MAC, 0)
  if (grown < 0 || !packet.has(0, ethernetBytes + headBytes)) return drop.INVALID
  packet.setBytes(0, ethernetHeader(macs.subarray(6, 12), macs.subarray(0, 6), ipv4.etherType))
  packet.setBytes(ethernetBytes, ipHeader(target, sender, tos, sample))
  const icmp = new Uint8Array(icmpBytes)
  icmp[0] = type
  icmp[1] = code
  writeU16(icmp, 2, ~foldSum(sumOf(icmp) + sumOf(quoted)) & 0xffff)
  packet.setBytes(ethernetBytes + ipv4.headerBytes, icmp)
  return 0
}
