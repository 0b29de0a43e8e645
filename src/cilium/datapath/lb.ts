// Services as the datapath looks them up, and the way back: the service's address in front of a reply. lib/lb.h
import { writeLe16 } from '../../bpf/context/byte-order.ts'
import { checksumFlag } from '../../bpf/helpers/checksum.ts'
import {
  lookupScope,
  type ReverseNat,
  readReverseNat,
  readService,
  type Service,
  ServiceKey,
  serviceFlag2,
} from '../maps/service.ts'
import { Tuple } from '../maps/tuple.ts'
import { ctDirection } from './ct-state.ts'
import { type Ctx, isError } from './ctx.ts'
import { drop } from './drop-reason.ts'
import type { Address, Family } from './family.ts'
import { loadL4Ports } from './fragments.ts'
import { checksumOffset, isServiceProtocol, modifyPort, portAt, replaceL4, updateIpv4Checksum } from './l4.ts'
import type { PacketPlace } from './nat-mapping.ts'

/** LB_SVC_WILDCARD_*: a service entry for whatever else comes to an address. */
const wildcardPort = 0
const wildcardProtocol = 0

/**
 * lb4_extract_tuple(), lb6_extract_tuple(): addresses and ports of a packet, the ports as conntrack names them (sport is the
 * destination's). `tuple.nexthdr` is set. 0; DROP_UNSUPP_SERVICE_PROTO for ICMP, DROP_UNKNOWN_L4 for what services do not
 * know; or a drop reason.
 */
export function lbExtractTuple(ctx: Ctx, tuple: Tuple, place: PacketPlace): number {
  const { family } = tuple
  const { packet } = ctx
  const { l3Offset } = place
  tuple.daddr = packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  tuple.saddr = packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  if (isServiceProtocol(ctx, tuple.nexthdr)) {
    return loadL4Ports(ctx, tuple, place.fragment, { ...place, direction: ctDirection.EGRESS })
  }
  return tuple.nexthdr === family.icmp ? drop.UNSUPP_SERVICE_PROTO : drop.UNKNOWN_L4
}

/** A tuple for lbExtractTuple(). */
export function lbTuple(family: Family, nexthdr: number): Tuple {
  const tuple = new Tuple(family)
  tuple.nexthdr = nexthdr
  return tuple
}

/** lb4_fill_key(), lb6_fill_key() */
export function lbFillKey(tuple: Tuple): ServiceKey {
  const key = new ServiceKey(tuple.family)
  key.address = tuple.daddr
  key.dport = tuple.sport
  key.protocol = tuple.nexthdr
  return key
}

/** __lb4_lookup_service(), __lb6_lookup_service() */
export function lookupExactly(ctx: Ctx, key: ServiceKey): Service | undefined {
  const { maps } = ctx
  const map = key.family.version === 4 ? maps.cilium_lb4_services_v2 : maps.cilium_lb6_services_v2
  const value = ctx.lookup(map, key.bytes)
  return value === undefined ? undefined : readService(value)
}

/** lb4_key_is_wildcard() */
export function isWildcardKey(key: ServiceKey): boolean {
  return key.dport === wildcardPort && key.protocol === wildcardProtocol
}

/**
 * lb4_lookup_service(), lb6_lookup_service(): the service that a packet is for. For packets from outside (`eastWest` false) also
 * the wildcard entry of its address, which the key says afterwards.
 */
export function lbLookupService(ctx: Ctx, key: ServiceKey, eastWest: boolean): Service | undefined {
  key.backendSlot = 0
  key.scope = lookupScope.EXT
  const service = lookupExactly(ctx, key)
  if (service === undefined) return eastWest ? undefined : lookupWildcard(ctx, key)
  if (!eastWest || (service.flags2 & serviceFlag2.TWO_SCOPES) === 0) return service
  key.scope = lookupScope.INT
  return lookupExactly(ctx, key)
}

function lookupWildcard(ctx: Ctx, key: ServiceKey): Service | undefined {
  const { dport, protocol } = key
  key.dport = wildcardPort
  key.protocol = wildcardProtocol
  const service = lookupExactly(ctx, key)
  if (service === undefined) {
    key.dport = dport
    key.protocol = protocol
  }
  return service
}

/** lb4_lookup_rev_nat_entry(), lb6_lookup_rev_nat_entry() */
export function lookupReverseNat(ctx: Ctx, family: Family, index: number): ReverseNat | undefined {
  const key = new Uint8Array(2)
  writeLe16(key, 0, index)
  const { maps } = ctx
  const value = ctx.lookup(
    family.version === 4 ? maps.cilium_lb4_reverse_nat : maps.cilium_lb6_reverse_nat,
    key,
  )
  return value === undefined ? undefined : readReverseNat(family, value)
}

/** reverse_map_l4_port(): the service's port in place of the backend's. 0 or a drop reason. */
function reverseMapPort(ctx: Ctx, tuple: Tuple, l4Offset: number, port: number): number {
  const { nexthdr, dport, family } = tuple
  if (nexthdr === family.icmp) return 0
  if (!isServiceProtocol(ctx, nexthdr)) return drop.UNKNOWN_L4
  if (port === dport) return 0
  const checksum = checksumOffset(nexthdr)
  // SCTP's checksum covers the ports and cannot be repaired
  if (checksum.offset === 0) return drop.CSUM_L4
  return modifyPort(ctx, l4Offset, portAt.source, checksum, port, dport)
}

/** The sum over both changes of a looped-back reply, whose destination becomes its old source. A drop reason below 0. */
function undoLoopback(ctx: Ctx, tuple: Tuple, l3Offset: number, oldSource: Address): number {
  const { family } = tuple
  const oldDestination = tuple.daddr.slice()
  if (isError(ctx, ctx.store(l3Offset + family.destinationAt, oldSource))) return drop.WRITE_ERROR
  return ctx.checksumDifference(oldDestination, oldSource, 0)
}

/** How a reply is to be translated back. */
export interface ReverseNatOptions {
  readonly nat: ReverseNat
  /** A hairpin connection of a pod to itself through a service. */
  readonly loopback: boolean
}

/** __lb4_rev_nat(), __lb6_rev_nat(): the service's address and port become the source. 0 or a drop reason. */
export function reverseNat(ctx: Ctx, tuple: Tuple, place: PacketPlace, options: ReverseNatOptions): number {
  const { family } = tuple
  const { l3Offset, l4Offset } = place
  const { nat, loopback } = options
  const oldSource = tuple.saddr.slice()
  tuple.saddr = nat.address
  let sum = 0
  if (loopback) {
    sum = undoLoopback(ctx, tuple, l3Offset, oldSource)
    if (sum < 0) return sum
    // IPv4 notes the new destination where the source stands
    if (family.version === 4) tuple.saddr = oldSource
    else tuple.daddr = oldSource
  }
  if (isError(ctx, ctx.store(l3Offset + family.sourceAt, nat.address))) return drop.WRITE_ERROR
  sum = ctx.checksumDifference(oldSource, nat.address, sum)
  if (family.version === 4 && updateIpv4Checksum(ctx, l3Offset, sum) < 0) return drop.CSUM_L3
  if (!place.fragment.hasL4Header) return 0
  if (nat.port !== 0) {
    const mapped = reverseMapPort(ctx, tuple, l4Offset, nat.port)
    if (isError(ctx, mapped)) return mapped
  }
  const checksum = checksumOffset(tuple.nexthdr)
  if (checksum.offset === 0) return 0
  const flags = checksumFlag.BPF_F_PSEUDO_HDR | (family.version === 6 ? checksumFlag.BPF_F_IPV6 : 0)
  return replaceL4(ctx, l4Offset, checksum, 0, sum, flags) < 0 ? drop.CSUM_L4 : 0
}

/** lb4_rev_nat(), lb6_rev_nat() by index: without an entry the packet stays as it is. */
export function reverseNatByIndex(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  options: { readonly revNatIndex: number; readonly loopback: boolean },
): number {
  const nat = lookupReverseNat(ctx, tuple.family, options.revNatIndex)
  if (nat === undefined) return 0
  return reverseNat(ctx, tuple, place, { nat, loopback: options.loopback })
}
