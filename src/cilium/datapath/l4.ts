// Ports and checksums of layer 4, as the functions that translate addresses change them. lib/l4.h, lib/csum.h
import { checksumFlag } from '../../bpf/helpers/checksum.ts'
import { writeU16 } from '../../net/bytes.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { protocolNumber } from './family.ts'

/** Offsets of the ports in a TCP, UDP or SCTP header. */
export const portAt = { source: 0, destination: 2 } as const

/** Offset of the identifier in an ICMP or ICMPv6 echo. */
export const echoIdentifierAt = 4

export const icmpHeaderBytes = 8
/** Offset of the checksum in an ICMP or ICMPv6 header. */
export const icmpChecksumAt = 2
export const tcpChecksumAt = 16
export const udpChecksumAt = 6

/** Offset of the byte with SYN, FIN, RST and their kind. */
export const tcpFlagsAt = 13

/** struct csum_offset: where a protocol has the checksum that covers the addresses; `offset` 0: it has none. */
export interface ChecksumOffset {
  readonly offset: number
  readonly flags: number
}

const none: ChecksumOffset = { offset: 0, flags: 0 }
const checksums: Readonly<Record<number, ChecksumOffset>> = {
  [protocolNumber.TCP]: { offset: tcpChecksumAt, flags: 0 },
  [protocolNumber.UDP]: { offset: udpChecksumAt, flags: checksumFlag.BPF_F_MARK_MANGLED_0 },
  [protocolNumber.ICMPV6]: { offset: icmpChecksumAt, flags: 0 },
}

/** csum_l4_offset_and_flags() */
export function checksumOffset(protocol: number): ChecksumOffset {
  return checksums[protocol] ?? none
}

/** csum_l4_replace(): `from` and `to` are numbers as a C program has them; 0 or a negative errno. */
export function replaceL4(
  ctx: Ctx,
  l4Offset: number,
  checksum: ChecksumOffset,
  from: number,
  to: number,
  flags: number,
): number {
  return ctx.replaceL4Checksum(l4Offset + checksum.offset, from, to, flags | checksum.flags)
}

/** A port (host order) as a C program has it without conversion: __be16. */
export function be16(port: number): number {
  return ((port & 0xff) << 8) | (port >>> 8)
}

const portBytes = 2

/** Writes a port or identifier at `offset` of the packet. 0 or a drop reason. */
export function storePort(ctx: Ctx, offset: number, port: number): number {
  const bytes = new Uint8Array(portBytes)
  writeU16(bytes, 0, port)
  return ctx.store(offset, bytes) < 0 ? drop.WRITE_ERROR : 0
}

/** Repairs the checksum of a packet in which `port` takes the place of `old`. 0 or a drop reason. */
export function replacePort(
  ctx: Ctx,
  l4Offset: number,
  checksum: ChecksumOffset,
  port: number,
  old: number,
): number {
  return replaceL4(ctx, l4Offset, checksum, be16(old), be16(port), portBytes) < 0 ? drop.CSUM_L4 : 0
}

/** l4_modify_port(): writes a port or identifier and repairs the checksum. 0 or a drop reason. */
export function modifyPort(
  ctx: Ctx,
  l4Offset: number,
  at: number,
  checksum: ChecksumOffset,
  port: number,
  old: number,
): number {
  const failed = storePort(ctx, l4Offset + at, port)
  return failed < 0 ? failed : replacePort(ctx, l4Offset, checksum, port, old)
}

/** ipv4_csum_update_by_diff(): repairs the IPv4 header checksum after a change whose difference is `difference`. */
export function updateIpv4Checksum(ctx: Ctx, l3Offset: number, difference: number): number {
  return ctx.replaceL3Checksum(l3Offset + ipv4ChecksumAt, 0, difference, 0)
}

export const ipv4ChecksumAt = 10

/** lb_is_svc_proto(): protocols that services, and the rules about ports, are for. */
export function isServiceProtocol(ctx: Ctx, protocol: number): boolean {
  const { TCP, UDP, SCTP } = protocolNumber
  return protocol === TCP || protocol === UDP || (protocol === SCTP && ctx.node.ENABLE_SCTP)
}
