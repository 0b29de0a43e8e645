// Conntrack: from a packet to an entry, and new entries. The stored layout of tuples is explained in maps/tuple.ts.
// lib/conntrack.h, lib/conntrack_map.h
import type { AnyMap } from '../../bpf/maps/create.ts'
import { CtEntry } from '../maps/ct-entry.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import {
  type CtDirection,
  type CtResult,
  type CtScope,
  type CtState,
  ctDirection,
  ctEntryType,
  ctScope,
  ctStatus,
  metricDirectionOf,
} from './ct-state.ts'
import { knowsLoopback, lookupEntry, tcpFlag, updateTimeout } from './ct-update.ts'
import type { Ctx } from './ctx.ts'
import { drop, where } from './drop-reason.ts'
import { type Family, ipv4, protocolNumber } from './family.ts'
import { type FragmentInfo, loadL4Ports } from './fragments.ts'
import { metricReason, updateMetrics } from './metrics.ts'

const mtuError4 = where('conntrack.h', 884)
const mtuError6 = where('conntrack.h', 620)
const fragment4 = where('conntrack.h', 939)
const fragment6 = where('conntrack.h', 679)

export const icmp4 = {
  echoReply: 0,
  unreachable: 3,
  echo: 8,
  timeExceeded: 11,
  parameterProblem: 12,
} as const
export const icmp6 = {
  unreachable: 1,
  tooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echo: 128,
  echoReply: 129,
} as const
const fragmentationNeeded = 4
export const echoIdAt = 4
const tcpFlagsAt = 12

/** get_ct_map4(), get_ct_map6(): TCP has a map of its own. */
export function ctMapOf(ctx: Ctx, tuple: Tuple): AnyMap {
  const { maps } = ctx
  if (tuple.nexthdr !== protocolNumber.TCP) return ctAnyMap(ctx, tuple.family)
  return tuple.family === ipv4 ? maps.cilium_ct4_global : maps.cilium_ct6_global
}

/** get_cluster_ct_any_map4(): where entries for ICMP errors are. */
export function ctAnyMap(ctx: Ctx, family: Family): AnyMap {
  return family === ipv4 ? ctx.maps.cilium_ct_any4_global : ctx.maps.cilium_ct_any6_global
}

/** __ipv4_ct_tuple_reverse(): both addresses and ports change places. */
export function swapTuple(tuple: Tuple): void {
  tuple.swapAddresses()
  tuple.swapPorts()
}

/** ipv4_ct_tuple_reverse(): the same, and the direction bit flips. */
export function reverseTuple(tuple: Tuple): void {
  swapTuple(tuple)
  tuple.flags ^= tupleFlag.IN
}

/** ct_lookup_select_tuple_type(): the flags of the first key a lookup tries. */
function flagsOfLookup(direction: CtDirection, scope: CtScope): number {
  if (direction === ctDirection.SERVICE) return tupleFlag.SERVICE
  const outward = direction === ctDirection.EGRESS
  if (scope === ctScope.FORWARD) return outward ? tupleFlag.OUT : tupleFlag.IN
  return outward ? tupleFlag.IN : tupleFlag.OUT
}

/** Where in the packet a lookup reads. */
export interface CtPlace {
  readonly l3Offset: number
  readonly l4Offset: number
  readonly fragment: FragmentInfo
  readonly direction: CtDirection
}

/** The ICMP half of ct_extract_ports4() and ct_extract_ports6(): an identifier, or the mark of an error. */
function extractIcmp(ctx: Ctx, tuple: Tuple, place: CtPlace): number {
  const { family } = tuple
  const { l4Offset } = place
  if (place.fragment.isFragment) return drop.INVALID
  const head = ctx.load(l4Offset, family === ipv4 ? 2 : 1)
  if (head === undefined) return drop.CT_INVALID_HDR
  const type = head[0] as number
  const names = family === ipv4 ? icmp4 : icmp6
  tuple.sport = 0
  tuple.dport = 0
  if (type === names.echo || type === names.echoReply) {
    const id = ctx.load(l4Offset + echoIdAt, 2)
    if (id === undefined) return drop.CT_INVALID_HDR
    tuple.bytes.set(id, family.addressBytes * 2 + (type === names.echo ? 0 : 2))
    return 0
  }
  const tooBig =
    family === ipv4 ? type === icmp4.unreachable && head[1] === fragmentationNeeded : type === icmp6.tooBig
  if (tooBig) {
    const direction = metricDirectionOf(place.direction)
    updateMetrics(
      ctx,
      ctx.length,
      direction,
      metricReason.MTU_ERROR_MSG,
      family === ipv4 ? mtuError4 : mtuError6,
    )
  }
  const error =
    tooBig || type === names.unreachable || type === names.timeExceeded || type === names.parameterProblem
  if (error) tuple.flags |= tupleFlag.RELATED
  return 0
}

/** Whether a protocol has ports where conntrack looks for them. */
export function hasPorts(ctx: Ctx, protocol: number): boolean {
  const { TCP, UDP, SCTP } = protocolNumber
  return protocol === TCP || protocol === UDP || (protocol === SCTP && ctx.node.ENABLE_SCTP)
}

/** ct_extract_ports4(), ct_extract_ports6(): fills in ports by the protocol of the tuple. 0 or a drop reason. */
export function ctExtractPorts(ctx: Ctx, tuple: Tuple, place: CtPlace): number {
  const { nexthdr } = tuple
  if (nexthdr === tuple.family.icmp) return extractIcmp(ctx, tuple, place)
  if (hasPorts(ctx, nexthdr)) return loadL4Ports(ctx, tuple, place.fragment, place)
  if (!ctx.node.enable_extended_ip_protocols) return drop.CT_UNKNOWN_PROTO
  tuple.sport = 0
  tuple.dport = 0
  return 0
}

/** What a lookup is told. `state` is both input (which service is expected) and output. */
export interface CtLookup extends CtPlace {
  readonly scope: CtScope
  /** A mask of ctEntryType; ANY by default. */
  readonly entryTypes?: number
  readonly state?: CtState
}

/** __ct_lookup4(), __ct_lookup6(): reverse, then forward, as the scope says. The tuple is left in the form that was found. */
function lookupTuple(ctx: Ctx, map: AnyMap, tuple: Tuple, lookup: CtLookup): CtResult {
  const { family } = tuple
  const { direction, fragment, scope } = lookup
  const isTcp = tuple.nexthdr === protocolNumber.TCP
  const tracked = family === ipv4 ? ctx.node.ENABLE_IPV4_FRAGMENTS : ctx.node.ENABLE_IPV6_FRAGMENTS
  if (fragment.isFragment && tracked) {
    const place = family === ipv4 ? fragment4 : fragment6
    updateMetrics(ctx, ctx.length, metricDirectionOf(direction), metricReason.FRAG_PACKET, place)
  }
  const hasFlags = isTcp && fragment.hasL4Header
  let flags = 0
  if (hasFlags) {
    const bytes = ctx.load(lookup.l4Offset + tcpFlagsAt, 2)
    if (bytes === undefined) return { status: drop.CT_INVALID_HDR, monitor: 0 }
    flags = bytes[1] as number
  }
  const { entryTypes = ctEntryType.ANY, state } = lookup
  const entry = { direction, entryTypes, isTcp, flags, hasFlags, state }
  if (scope === ctScope.FORWARD) {
    const { status, monitor = 0 } = lookupEntry(ctx, map, tuple, entry)
    return { status, monitor }
  }
  const reverse = lookupEntry(ctx, map, tuple, entry)
  const before = reverse.monitor ?? 0
  if (reverse.status !== ctStatus.NEW) {
    const related = (tuple.flags & tupleFlag.RELATED) !== 0
    return { status: related ? ctStatus.RELATED : ctStatus.REPLY, monitor: before }
  }
  if (scope !== ctScope.BIDIR) return { status: ctStatus.NEW, monitor: before }
  reverseTuple(tuple)
  const { status, monitor = before } = lookupEntry(ctx, map, tuple, entry)
  return { status, monitor }
}

/**
 * ct_lazy_lookup4(), ct_lazy_lookup6(): of a tuple whose ports are known, in the layout that `scope` begins with (forward
 * for FORWARD). Its flags are set.
 */
export function ctLazyLookup(ctx: Ctx, map: AnyMap, tuple: Tuple, lookup: CtLookup): CtResult {
  tuple.flags = flagsOfLookup(lookup.direction, lookup.scope)
  return lookupTuple(ctx, map, tuple, lookup)
}

/**
 * ct_lookup4(), ct_lookup6(): of a tuple that has the packet's addresses and protocol; ports are taken from the packet.
 * Afterwards the tuple is in forward form for NEW and ESTABLISHED, as the packet has it for REPLY and RELATED.
 */
export function ctLookup(ctx: Ctx, map: AnyMap, tuple: Tuple, lookup: CtLookup): CtResult {
  tuple.flags = flagsOfLookup(lookup.direction, lookup.scope)
  const ports = ctExtractPorts(ctx, tuple, lookup)
  if (ports < 0) return { status: ports, monitor: 0 }
  if (lookup.scope === ctScope.FORWARD) swapTuple(tuple)
  return lookupTuple(ctx, map, tuple, lookup)
}

/** ct_create_fill_entry() */
function fillEntry(ctx: Ctx, entry: CtEntry, state: CtState, direction: CtDirection): void {
  entry.revNatIndex = state.revNatIndex
  entry.srcSecId = state.srcSecId
  if (direction === ctDirection.SERVICE) {
    entry.backendId = state.backendId
    return
  }
  if (knowsLoopback(ctx)) entry.set('lb_loopback', state.loopback)
  entry.natAddress = state.natAddress
  entry.natPort = state.natPort
  entry.set('node_port', state.nodePort)
  entry.set('dsr_internal', state.dsrInternal)
  entry.set('from_tunnel', state.fromTunnel)
  entry.set('proxy_redirect', state.proxyRedirect)
  entry.set('from_l7lb', state.fromL7lb)
}

/**
 * ct_create4(), ct_create6(): writes an entry for `tuple` as it is, and, where `related` is given, first its twin that ICMP
 * errors will find. 0, or DROP_CT_CREATE_FAILED with the errno in extErr.
 */
export function ctCreate(
  ctx: Ctx,
  map: AnyMap,
  related: AnyMap | undefined,
  tuple: Tuple,
  direction: CtDirection,
  state: CtState | undefined,
): number {
  const entry = new CtEntry()
  const isTcp = tuple.nexthdr === protocolNumber.TCP
  if (state !== undefined) fillEntry(ctx, entry, state, direction)
  updateTimeout(ctx, entry, isTcp, direction, isTcp ? tcpFlag.SYN : 0)
  if (related !== undefined) {
    const twin = new Tuple(tuple.family)
    twin.daddr = tuple.daddr
    twin.saddr = tuple.saddr
    twin.nexthdr = tuple.family.icmp
    twin.flags = tuple.flags | tupleFlag.RELATED
    const error = ctx.update(related, twin.bytes, entry.raw)
    if (error < 0) return creationFailed(ctx, error)
  }
  if (ctx.node.CONNTRACK_ACCOUNTING) {
    entry.packets = 1
    entry.bytes = ctx.length
  }
  const error = ctx.update(map, tuple.bytes, entry.raw)
  return error < 0 ? creationFailed(ctx, error) : 0
}

function creationFailed(ctx: Ctx, error: number): number {
  ctx.extErr = error
  return drop.CT_CREATE_FAILED
}
