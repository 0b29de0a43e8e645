// Writing a translated port or address into a packet, in Cilium 1.10: the checksum is repaired before the port is written, the
// port is written before the address, so that a packet which is cut off stays as it is. bpf/lib/l4.h l4_modify_port(),
// bpf/lib/nat.h snat_v4_rewrite_egress(), snat_v4_rewrite_ingress() and their IPv6 siblings
import { checksumFlag } from '../../bpf/helpers/checksum.ts'
import { writeU16 } from '../../net/bytes.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { ipv4, sameAddress } from '../datapath/family.ts'
import {
  type ChecksumOffset,
  checksumOffset,
  echoIdentifierAt,
  icmpChecksumAt,
  portAt,
  replaceL4,
  replacePort,
  storePort,
  updateIpv4Checksum,
} from '../datapath/l4.ts'
import type { PacketPlace } from '../datapath/nat-mapping.ts'
import type { NatEntry } from '../maps/nat-entry.ts'
import type { Tuple } from '../maps/tuple.ts'

/** csum_offset of a packet whose L4 header is elsewhere. */
export const noChecksum: ChecksumOffset = { offset: 0, flags: 0 }

/** l4_modify_port(): repairs the checksum, then writes a port. 0 or a drop reason. */
export function modifyPort(
  ctx: Ctx,
  l4Offset: number,
  at: number,
  checksum: ChecksumOffset,
  port: number,
  old: number,
): number {
  const failed = replacePort(ctx, l4Offset, checksum, port, old)
  return failed < 0 ? failed : storePort(ctx, l4Offset + at, port)
}

/** Which side of a packet gets the address and the port of an entry. */
export type NatSide = 'source' | 'destination'

/** A port as csum_diff() is given it: two bytes in network order and two of zero. */
function portWord(port: number): Uint8Array {
  const bytes = new Uint8Array(4)
  writeU16(bytes, 0, port)
  return bytes
}

/** The difference of an identifier that was written, behind `seed`; or a drop reason, which is below 0 as no difference is. */
function writeIdentifier(ctx: Ctx, l4Offset: number, old: number, port: number, seed: number): number {
  const failed = storePort(ctx, l4Offset + echoIdentifierAt, port)
  return failed < 0 ? failed : ctx.checksumDifference(portWord(old), portWord(port), seed)
}

/**
 * One side of a packet gets the address and the port of `entry`; `tuple` has what stands there. Only the checksum of the echo's
 * identifier counts in ICMP of IPv4. 0 or a drop reason.
 */
export function rewriteSide(
  ctx: Ctx,
  tuple: Tuple,
  { l3Offset, l4Offset, fragment }: PacketPlace,
  side: NatSide,
  entry: NatEntry,
): number {
  const { family, nexthdr } = tuple
  const isSource = side === 'source'
  const address = isSource ? tuple.saddr : tuple.daddr
  const port = isSource ? tuple.sport : tuple.dport
  const { toAddress, toPort } = entry
  if (sameAddress(toAddress, address) && toPort === port) return 0
  const difference = ctx.checksumDifference(address, toAddress, 0)
  const isIcmp4 = family === ipv4 && nexthdr === family.icmp
  let sum = isIcmp4 ? 0 : difference
  let checksum = fragment.hasL4Header ? checksumOffset(nexthdr) : noChecksum
  if (fragment.hasL4Header && toPort !== port) {
    if (nexthdr === family.icmp) {
      sum = writeIdentifier(ctx, l4Offset, port, toPort, sum)
      if (sum < 0) return sum
      checksum = { offset: icmpChecksumAt, flags: 0 }
    } else {
      const modified = modifyPort(ctx, l4Offset, portAt[side], checksum, toPort, port)
      if (modified < 0) return modified
    }
  }
  const at = l3Offset + (isSource ? family.sourceAt : family.destinationAt)
  if (ctx.store(at, toAddress) < 0) return drop.WRITE_ERROR
  if (family === ipv4 && updateIpv4Checksum(ctx, l3Offset, difference) < 0) return drop.CSUM_L3
  if (checksum.offset === 0) return 0
  return replaceL4(ctx, l4Offset, checksum, 0, sum, checksumFlag.BPF_F_PSEUDO_HDR) < 0 ? drop.CSUM_L4 : 0
}
