// Direct server return on the node of the backend, in Cilium 1.10: the option of the packet makes a NAT entry, which the pod's
// program asks when the reply leaves. bpf/lib/nodeport.h handle_dsr_v4(), xlate_dsr_v4() and their IPv6 siblings,
// bpf/lib/nat.h snat_v4_create_dsr(), snat_v6_create_dsr()
import { readU16 } from '../../net/bytes.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type DsrInfo, dsrOption6, readOption4 } from '../datapath/dsr-ingress.ts'
import { type Family, ipv6, protocolNumber } from '../datapath/family.ts'
import { ethernetLength, hasHeader, nextHeader } from '../datapath/headers.ts'
import { portAt } from '../datapath/l4.ts'
import { natTuple } from '../datapath/nat.ts'
import { natCreate, natLookup, newEntry, type PacketPlace } from '../datapath/nat-mapping.ts'
import type { Tuple } from '../maps/tuple.ts'
import { extensionHeader, maxExtensionHeaders, walkHeaders } from './headers.ts'
import { natDirection } from './nat.ts'
import { rewriteSide } from './nat-rewrite.ts'

const wordsWithOption = 7

/** The destination option in the header at `offset`; undefined where it is another one. */
function readOption6(ctx: Ctx, offset: number): DsrInfo | undefined {
  const option = ctx.load(offset, dsrOption6.headerBytes)
  if (option === undefined || (option[1] as number) * 8 + 8 !== dsrOption6.headerBytes) return undefined
  if (option[2] !== dsrOption6.type || option[3] !== dsrOption6.length) return undefined
  return { address: option.slice(4, 20), port: readU16(option, 20) }
}

/** find_dsr_v6(): the destination option among the extension headers; undefined without one, or a drop reason. */
function findDsr6(ctx: Ctx, l3Offset: number): DsrInfo | number | undefined {
  let current = ctx.packet.u8(l3Offset + ipv6.protocolAt)
  let offset = l3Offset + ipv6.headerBytes
  for (let seen = 0; seen < maxExtensionHeaders; seen += 1) {
    const header = extensionHeader(ctx, current, offset)
    if (header === undefined || typeof header === 'number') return header
    const found = current === nextHeader.DEST ? readOption6(ctx, offset) : undefined
    if (found !== undefined) return found
    offset += header.length
    current = header.next
  }
  return drop.INVALID_EXTHDR
}

function findDsr(ctx: Ctx, family: Family, l3Offset: number): DsrInfo | number | undefined {
  if (family === ipv6) return findDsr6(ctx, l3Offset)
  const words = ctx.packet.u8(l3Offset) & 0xf
  return words === wordsWithOption ? readOption4(ctx, l3Offset) : undefined
}

/** snat_v4_create_dsr(), snat_v6_create_dsr(): what the reply's source is to be translated to. Below 0: it could not be noted. */
function createDsr(ctx: Ctx, family: Family, { address, port }: DsrInfo): number {
  const l3Offset = ethernetLength(ctx)
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const { nexthdr } = walk
  if (nexthdr !== protocolNumber.TCP && nexthdr !== protocolNumber.UDP) return drop.NAT_UNSUPP_PROTO
  const ports = ctx.load(l3Offset + walk.length, 4)
  if (ports === undefined) return drop.INVALID
  const tuple = natTuple(ctx, family, l3Offset, nexthdr, natDirection.EGRESS)
  tuple.swapAddresses()
  tuple.dport = readU16(ports, portAt.source)
  tuple.sport = readU16(ports, portAt.destination)
  return natCreate(ctx, tuple, newEntry(ctx, family, address, port, false), 0)
}

/** handle_dsr_v4(), handle_dsr_v6(): whether a packet for a pod came by DSR, which is noted for the replies; or a drop reason. */
export function handleDsr(ctx: Ctx, family: Family): boolean | number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const found = findDsr(ctx, family, l3Offset)
  if (typeof found === 'number') return found
  if (found === undefined) return false
  return createDsr(ctx, family, found) < 0 ? drop.INVALID : true
}

/** xlate_dsr_v4(), xlate_dsr_v6(): of a reply whose tuple conntrack has left as the packet has it. 0 or a drop reason. */
export function xlateDsr(ctx: Ctx, tuple: Tuple, place: PacketPlace): number {
  const asked = tuple.copy()
  asked.flags = natDirection.EGRESS
  asked.swapPorts()
  const entry = natLookup(ctx, asked)
  if (entry === undefined) return 0
  return rewriteSide(ctx, asked, place, 'source', entry)
}
