// Services as Cilium 1.10 looks them up, and the way back: the service's address in front of a reply. Keys say no protocol, a
// service without backends is none. bpf/lib/lb.h
import { checksumFlag } from '../../bpf/helpers/checksum.ts'
import { readU16 } from '../../net/bytes.ts'
import { type CtDirection, ctDirection } from '../datapath/ct-state.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Address, ipv4, protocolNumber } from '../datapath/family.ts'
import { ethernetLength } from '../datapath/headers.ts'
import { type ChecksumOffset, portAt, replaceL4, updateIpv4Checksum } from '../datapath/l4.ts'
import { lookupExactly, lookupReverseNat } from '../datapath/lb.ts'
import { lookupScope, type ReverseNat, type Service, ServiceKey, serviceFlag } from '../maps/service.ts'
import type { Tuple } from '../maps/tuple.ts'
import type { CtState } from './ct-state.ts'
import { modifyPort } from './nat-rewrite.ts'
import { loadPorts, unreadable } from './ports.ts'

const { BPF_F_PSEUDO_HDR } = checksumFlag

/** extract_l4_port(): the destination's port into the key. 0, or a drop reason: NO_SERVICE for ICMP, UNKNOWN_L4. */
function extractPort(
  ctx: Ctx,
  tuple: Tuple,
  l4Offset: number,
  direction: CtDirection,
  key: ServiceKey,
): number {
  const { nexthdr, family } = tuple
  if (nexthdr === protocolNumber.ICMP || nexthdr === protocolNumber.ICMPV6) return drop.NO_SERVICE
  if (nexthdr !== protocolNumber.TCP && nexthdr !== protocolNumber.UDP) return drop.UNKNOWN_L4
  if (family === ipv4 && ctx.node.ENABLE_IPV4_FRAGMENTS) {
    const scratch = tuple.copy()
    const { result } = loadPorts(ctx, scratch, l4Offset, direction)
    if (result < 0) return result
    // as conntrack names them, the destination's port stands where the source's is meant
    key.dport = scratch.sport
    return 0
  }
  const port = ctx.load(l4Offset + portAt.destination, 2)
  if (port === undefined) return unreadable(ctx)
  key.dport = readU16(port, 0)
  return 0
}

/**
 * lb4_extract_key(), lb6_extract_key(): what a packet with these addresses and this protocol is looked up with. 0 or a drop
 * reason.
 */
export function lbExtractKey(
  ctx: Ctx,
  tuple: Tuple,
  l4Offset: number,
  direction: CtDirection,
  key: ServiceKey,
): number {
  key.address = direction === ctDirection.INGRESS ? tuple.saddr : tuple.daddr
  return extractPort(ctx, tuple, l4Offset, direction, key)
}

/**
 * lb4_lookup_service(), lb6_lookup_service(): a service that has backends. `scopeSwitch`: for a packet from inside, the backends
 * of all nodes where those of this node are only meant for others.
 */
export function lbLookupService(ctx: Ctx, key: ServiceKey, scopeSwitch: boolean): Service | undefined {
  key.scope = lookupScope.EXT
  key.backendSlot = 0
  let service = lookupExactly(ctx, key)
  if (service !== undefined && scopeSwitch && (service.flags & serviceFlag.EXT_LOCAL_SCOPE) !== 0) {
    key.scope = lookupScope.INT
    service = lookupExactly(ctx, key)
  }
  return service === undefined || service.count === 0 ? undefined : service
}

/** Where a reply is translated. */
export interface ReversePlace {
  readonly l4Offset: number
  readonly checksum: ChecksumOffset
  readonly hasL4Header: boolean
  /** REV_NAT_F_TUPLE_SADDR: the tuple has the packet's source, and gets the new one. */
  readonly tupleSource: boolean
}

/** reverse_map_l4_port(): the service's port in place of the backend's. 0 or a drop reason. */
function reverseMapPort(ctx: Ctx, tuple: Tuple, { l4Offset, checksum }: ReversePlace, port: number): number {
  const { nexthdr } = tuple
  if (nexthdr === protocolNumber.ICMP || nexthdr === protocolNumber.ICMPV6) return 0
  if (nexthdr !== protocolNumber.TCP && nexthdr !== protocolNumber.UDP) return drop.UNKNOWN_L4
  const bytes = ctx.load(l4Offset + portAt.source, 2)
  if (bytes === undefined) return unreadable(ctx)
  const old = readU16(bytes, 0)
  return port === old ? 0 : modifyPort(ctx, l4Offset, portAt.source, checksum, port, old)
}

/** The hairpin half of __lb4_rev_nat(): the old source becomes the destination. The checksum's difference, or a drop reason. */
function undoLoopback(ctx: Ctx, tuple: Tuple, oldSource: Address): number {
  const at = ethernetLength(ctx) + ipv4.destinationAt
  const oldDestination = ctx.load(at, ipv4.addressBytes)
  if (oldDestination === undefined) return unreadable(ctx)
  if (ctx.store(at, oldSource) < 0) return drop.WRITE_ERROR
  tuple.saddr = oldSource
  return ctx.checksumDifference(oldDestination, oldSource, 0)
}

/** __lb4_rev_nat(), __lb6_rev_nat() */
function reverse(ctx: Ctx, tuple: Tuple, place: ReversePlace, nat: ReverseNat, loopback: boolean): number {
  const { family } = tuple
  const { l4Offset, checksum } = place
  const l3Offset = ethernetLength(ctx)
  if (nat.port !== 0 && place.hasL4Header) {
    const mapped = reverseMapPort(ctx, tuple, place, nat.port)
    if (isError(ctx, mapped)) return mapped
  }
  const at = l3Offset + family.sourceAt
  const oldSource = place.tupleSource ? tuple.saddr.slice() : ctx.load(at, family.addressBytes)
  if (oldSource === undefined) return family === ipv4 ? unreadable(ctx) : drop.INVALID
  if (place.tupleSource) tuple.saddr = nat.address
  let sum = 0
  if (family === ipv4 && loopback) {
    sum = undoLoopback(ctx, tuple, oldSource)
    if (sum < 0) return sum
  }
  if (ctx.store(at, nat.address) < 0) return drop.WRITE_ERROR
  sum = ctx.checksumDifference(oldSource, nat.address, sum)
  if (family === ipv4 && updateIpv4Checksum(ctx, l3Offset, sum) < 0) return drop.CSUM_L3
  if (family === ipv4 && checksum.offset === 0) return 0
  return replaceL4(ctx, l4Offset, checksum, 0, sum, BPF_F_PSEUDO_HDR) < 0 ? drop.CSUM_L4 : 0
}

/**
 * lb4_rev_nat(), lb6_rev_nat(): the service of `state.revNatIndex` becomes the source of a reply. Without an entry the packet
 * stays as it is. 0 or a drop reason.
 */
export function lbReverseNat(ctx: Ctx, tuple: Tuple, place: ReversePlace, state: CtState): number {
  const nat = lookupReverseNat(ctx, tuple.family, state.revNatIndex)
  return nat === undefined ? 0 : reverse(ctx, tuple, place, nat, state.loopback)
}

/** A key for a lookup in this family. */
export function newServiceKey(tuple: Tuple): ServiceKey {
  return new ServiceKey(tuple.family)
}
