// The SNAT engine of 1.10: one function for both directions; of ICMP only echo is translated, everything else but neighbour
// discovery is refused. bpf/lib/nat.h snat_v4_process(), snat_v6_process()
import { readU16 } from '../../net/bytes.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Family, ipv6, protocolNumber } from '../datapath/family.ts'
import { wholePacket } from '../datapath/fragments.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { echoIdentifierAt, icmpHeaderBytes, portAt } from '../datapath/l4.ts'
import { natTuple } from '../datapath/nat.ts'
import { NAT_PUNT_TO_STACK } from '../datapath/nat-embedded.ts'
import type { PacketPlace } from '../datapath/nat-mapping.ts'
import { type Tuple, tupleFlag } from '../maps/tuple.ts'
import { walkHeaders } from './headers.ts'
import { handleMapping, type NatTarget } from './nat-mapping.ts'
import { rewriteSide } from './nat-rewrite.ts'

/** NAT_DIR_* */
export const natDirection = { EGRESS: tupleFlag.OUT, INGRESS: tupleFlag.IN } as const

const echo = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const
const neighbourDiscovery: ReadonlySet<number> = new Set([135, 136])

/** A packet that can be translated. */
interface Readable {
  readonly isEchoReply: boolean
}

/** The identifier of an echo stands where the sender of the request has its port. A code or drop reason otherwise. */
function readIcmp(ctx: Ctx, tuple: Tuple, l4Offset: number): Readable | number {
  const { family } = tuple
  const header = ctx.load(l4Offset, icmpHeaderBytes)
  if (header === undefined) return drop.INVALID
  const type = header[0] as number
  if (family === ipv6 && neighbourDiscovery.has(type)) return ctx.act.OK
  const { request, reply } = echo[family.version]
  if (type !== request && type !== reply) return drop.NAT_UNSUPP_PROTO
  const identifier = readU16(header, echoIdentifierAt)
  if (type === request) tuple.sport = identifier
  else tuple.dport = identifier
  return { isEchoReply: type === reply }
}

/** Puts ports or identifier into the tuple, as they stand in the packet: fragments are not looked after. */
function read(ctx: Ctx, tuple: Tuple, l4Offset: number): Readable | number {
  const { TCP, UDP } = protocolNumber
  if (tuple.nexthdr === tuple.family.icmp) return readIcmp(ctx, tuple, l4Offset)
  if (tuple.nexthdr !== TCP && tuple.nexthdr !== UDP) return NAT_PUNT_TO_STACK
  const bytes = ctx.load(l4Offset, 4)
  if (bytes === undefined) return drop.INVALID
  tuple.sport = readU16(bytes, portAt.source)
  tuple.dport = readU16(bytes, portAt.destination)
  return { isEchoReply: false }
}

/** snat_v4_can_skip(), snat_v6_can_skip(): only the former knows of endpoints. */
function canSkip(tuple: Tuple, target: NatTarget, fromEndpoint: boolean, isEchoReply: boolean): boolean {
  const { dport, sport, family } = tuple
  if (tuple.flags === tupleFlag.IN) return dport < target.minPort || dport > target.maxPort
  const isEndpoint = fromEndpoint && family.version === 4
  return (!isEndpoint && !target.fromWorld && sport < target.minPort) || isEchoReply
}

/**
 * snat_v4_process(), snat_v6_process(): translates the source of a packet (EGRESS) or gives a reply its destination back
 * (INGRESS). 0 where the packet is translated, CTX_ACT_OK for neighbour discovery, NAT_PUNT_TO_STACK, or a drop reason.
 */
export function snatProcess(
  ctx: Ctx,
  family: Family,
  direction: 0 | 1,
  target: NatTarget,
  fromEndpoint: boolean,
): number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const place: PacketPlace = { l3Offset, l4Offset: l3Offset + walk.length, fragment: walk.fragment }
  const tuple = natTuple(ctx, family, l3Offset, walk.nexthdr, direction)
  const readable = read(ctx, tuple, place.l4Offset)
  if (typeof readable === 'number') return readable
  if (canSkip(tuple, target, fromEndpoint, readable.isEchoReply)) return NAT_PUNT_TO_STACK
  const entry = handleMapping(ctx, tuple, place.l4Offset, target)
  if (typeof entry === 'number') return entry
  if (direction === natDirection.EGRESS) return rewriteSide(ctx, tuple, place, 'source', entry)
  // of a packet that arrives no fragment is thought of
  return rewriteSide(ctx, tuple, { ...place, fragment: wholePacket }, 'destination', entry)
}
