// IPv6 between hosts through the tunnel, in Cilium 1.10: the node's address becomes the router's on the way out, so that answers
// come back through the tunnel, and the other way round on the way in. bpf/lib/encap.h encap_remap_v6_host_address()
import { checksumFlag } from '../../../bpf/helpers/checksum.ts'
import { routerAddress } from '../../datapath/config.ts'
import type { Ctx } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { ipv6, sameAddress } from '../../datapath/family.ts'
import { ethernetLength, hasHeader } from '../../datapath/headers.ts'
import { checksumOffset, replaceL4 } from '../../datapath/l4.ts'
import { validEtherType } from '../ethernet.ts'
import { walkHeaders } from '../headers.ts'

/** 0, or a drop reason. Packets that are not IPv6, or of other addresses, stay as they are. */
export function remapHostAddress(ctx: Ctx, direction: 'egress' | 'ingress'): number {
  const { ENABLE_IPSEC, ENABLE_IPV6, HOST_IP } = ctx.node
  if (ENABLE_IPSEC || !ENABLE_IPV6 || HOST_IP === undefined) return 0
  if (validEtherType(ctx) !== ipv6.etherType) return 0
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, ipv6, l3Offset)) return drop.INVALID
  const router = routerAddress(ctx.node, 6)
  const egress = direction === 'egress'
  const [from, to] = egress ? [HOST_IP, router] : [router, HOST_IP]
  const at = l3Offset + (egress ? ipv6.sourceAt : ipv6.destinationAt)
  if (!sameAddress(ctx.packet.copy(at, ipv6.addressBytes), from)) return 0
  const walk = walkHeaders(ctx, ipv6, l3Offset)
  if (typeof walk === 'number') return walk
  const sum = ctx.checksumDifference(from, to, 0)
  if (ctx.store(at, to) < 0) return drop.WRITE_ERROR
  const checksum = checksumOffset(walk.nexthdr)
  if (checksum.offset === 0) return 0
  const l4Offset = l3Offset + walk.length
  return replaceL4(ctx, l4Offset, checksum, 0, sum, checksumFlag.BPF_F_PSEUDO_HDR) < 0 ? drop.CSUM_L4 : 0
}
