// Writing a translated address and port into a packet, or into the packet that an ICMP error quotes, with all checksums.
// lib/nat.h snat_v4_rewrite_headers(), snat_v6_rewrite_headers()
import { checksumFlag } from '../../bpf/helpers/checksum.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { type Address, type Family, protocolNumber, sameAddress } from './family.ts'
import {
  type ChecksumOffset,
  checksumOffset,
  icmpChecksumAt,
  modifyPort,
  replaceL4,
  updateIpv4Checksum,
} from './l4.ts'

/** What is to be rewritten. Offsets are from the start of the frame, ports (or echo identifiers) in host order. */
export interface Rewrite {
  readonly family: Family
  readonly protocol: number
  readonly l3Offset: number
  readonly hasL4Header: boolean
  readonly l4Offset: number
  /** Offset in the IP header. */
  readonly addressAt: number
  readonly oldAddress: Address
  readonly newAddress: Address
  /** Offset in the L4 header. */
  readonly portAt: number
  readonly oldPort: number
  readonly newPort: number
  /** How the checksum of an ICMP error changes because of the packet it quotes. IPv4 only. */
  readonly innerDifference?: number
}

const icmpChecksum: ChecksumOffset = { offset: icmpChecksumAt, flags: 0 }

/** The checksum that covers a port: ICMP has one too, though no address goes into it. Undefined for other protocols. */
function portChecksum(rewrite: Rewrite): ChecksumOffset | number {
  const { protocol, family } = rewrite
  const { TCP, UDP, SCTP } = protocolNumber
  if (protocol === TCP || protocol === UDP) return checksumOffset(protocol)
  if (protocol === SCTP) return drop.CSUM_L4
  return protocol === family.icmp ? icmpChecksum : drop.UNKNOWN_L4
}

function rewritePort(ctx: Ctx, rewrite: Rewrite): number {
  if (rewrite.oldPort === rewrite.newPort) return 0
  const checksum = portChecksum(rewrite)
  if (typeof checksum === 'number') {
    const isSctpWithout = rewrite.protocol === protocolNumber.SCTP && !ctx.node.ENABLE_SCTP
    return isSctpWithout ? drop.UNKNOWN_L4 : checksum
  }
  return modifyPort(ctx, rewrite.l4Offset, rewrite.portAt, checksum, rewrite.newPort, rewrite.oldPort)
}

function rewriteL4(ctx: Ctx, rewrite: Rewrite, difference: number): number {
  const port = rewritePort(ctx, rewrite)
  if (port < 0) return port
  const { l4Offset, protocol, innerDifference = 0 } = rewrite
  const checksum = checksumOffset(protocol)
  if (checksum.offset !== 0) {
    const done = replaceL4(ctx, l4Offset, checksum, 0, difference, checksumFlag.BPF_F_PSEUDO_HDR)
    return done < 0 ? drop.CSUM_L4 : 0
  }
  if (innerDifference === 0) return 0
  return replaceL4(ctx, l4Offset, icmpChecksum, 0, innerDifference, 0) < 0 ? drop.CSUM_L4 : 0
}

/** snat_v4_rewrite_headers(), snat_v6_rewrite_headers(): 0 or a drop reason. */
export function rewriteHeaders(ctx: Ctx, rewrite: Rewrite): number {
  const { family, l3Offset, oldAddress, newAddress } = rewrite
  const samePort = rewrite.oldPort === rewrite.newPort
  if (sameAddress(oldAddress, newAddress) && samePort && (rewrite.innerDifference ?? 0) === 0) return 0
  const difference = ctx.checksumDifference(oldAddress, newAddress, 0)
  if (ctx.store(l3Offset + rewrite.addressAt, newAddress) < 0) return drop.WRITE_ERROR
  if (family.version === 4 && updateIpv4Checksum(ctx, l3Offset, difference) < 0) return drop.CSUM_L3
  return rewrite.hasL4Header ? rewriteL4(ctx, rewrite, difference) : 0
}
