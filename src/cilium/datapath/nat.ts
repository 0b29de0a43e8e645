// The SNAT engine: what is done to a packet that is to be masqueraded, and to replies. Which packets these are is decided
// in masquerade.ts and nodeport.ts. lib/nat.h snat_v4_nat(), snat_v4_rev_nat() and their IPv6 siblings
import { readU16 } from '../../net/bytes.ts'
import type { NatEntry } from '../maps/nat-entry.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import { ctDirection } from './ct-state.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import type { Family } from './family.ts'
import { loadL4Ports } from './fragments.ts'
import { ethernetLength, hasHeader, walkHeaders } from './headers.ts'
import { echoIdentifierAt, icmpHeaderBytes, isServiceProtocol, portAt } from './l4.ts'
import { NAT_PUNT_TO_STACK, translateQuotedIn, translateQuotedOut } from './nat-embedded.ts'
import { handleMapping, handleReverseMapping, type NatTarget, type PacketPlace } from './nat-mapping.ts'
import { rewriteHeaders } from './nat-rewrite.ts'
import type { TraceContext } from './notify.ts'

/** Port range of echo identifiers: they are not clamped. */
const identifierMax = 0xffff

/** What an ICMP type means to NAT. */
type IcmpKind = 'request' | 'reply' | 'error' | 'untouched' | 'unsupported' | 'unknown-code'

const icmp4 = { echoReply: 0, unreachable: 3, redirect: 5, echo: 8, timeExceeded: 11 } as const
const icmp6 = {
  unreachable: 1,
  tooBig: 2,
  timeExceeded: 3,
  echo: 128,
  echoReply: 129,
  solicitation: 135,
  advertisement: 136,
  redirect: 137,
} as const
/** NR_ICMP_UNREACH, ICMPV6_REJECT_ROUTE: the last known codes. */
const lastUnreachable4 = 15
const lastUnreachable6 = 6
/** Both codes of time exceeded. */
const lastTimeExceeded = 1

function kindOfIcmp4(type: number, code: number): IcmpKind {
  switch (type) {
    case icmp4.echo:
      return 'request'
    case icmp4.echoReply:
      return 'reply'
    case icmp4.redirect:
      return 'untouched'
    case icmp4.unreachable:
      return code > lastUnreachable4 ? 'unknown-code' : 'error'
    case icmp4.timeExceeded:
      return code > lastTimeExceeded ? 'unknown-code' : 'error'
    default:
      return 'unsupported'
  }
}

function kindOfIcmp6(type: number, code: number): IcmpKind {
  switch (type) {
    case icmp6.echo:
      return 'request'
    case icmp6.echoReply:
      return 'reply'
    case icmp6.redirect:
    case icmp6.solicitation:
    case icmp6.advertisement:
      return 'untouched'
    case icmp6.unreachable:
      return code > lastUnreachable6 ? 'unknown-code' : 'error'
    case icmp6.tooBig:
      return 'error'
    case icmp6.timeExceeded:
      return code > lastTimeExceeded ? 'unknown-code' : 'error'
    default:
      return 'unsupported'
  }
}

/** snat_v4_init_tuple() for the header at `l3Offset`: addresses and direction, in the layout of NAT. */
export function natTuple(ctx: Ctx, family: Family, l3Offset: number, nexthdr: number, flags: number): Tuple {
  const { packet } = ctx
  const tuple = new Tuple(family)
  tuple.daddr = packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  tuple.saddr = packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  tuple.nexthdr = nexthdr
  tuple.flags = flags
  return tuple
}

function tracksFragments(ctx: Ctx, family: Family): boolean {
  return family.version === 4 ? ctx.node.ENABLE_IPV4_FRAGMENTS : ctx.node.ENABLE_IPV6_FRAGMENTS
}

/** NODEPORT_PORT_MIN_NAT where NodePort is on: the host's own ports below it cannot collide. */
function canSkip(ctx: Ctx, target: NatTarget, tuple: Tuple): boolean {
  const gateway = ctx.node.ENABLE_EGRESS_GATEWAY_COMMON && ctx.object.kind === 'bpf_host'
  if (gateway && target.egressGateway) return false
  return !target.fromLocalEndpoint && tuple.sport < ctx.node.NODEPORT_PORT_MIN_NAT
}

/** The header of an ICMP message, or why there is none. Fragments of them are never translated. */
function icmpHeader(ctx: Ctx, place: PacketPlace): Uint8Array | number {
  if (place.fragment.isFragment) return drop.INVALID
  return ctx.load(place.l4Offset, icmpHeaderBytes) ?? drop.INVALID
}

/** A kind of ICMP message by the bytes of its header. */
function kindOf(family: Family, header: Uint8Array): IcmpKind {
  const [type, code] = header as unknown as [number, number]
  return family.version === 4 ? kindOfIcmp4(type, code) : kindOfIcmp6(type, code)
}

function unknownCode(family: Family): number {
  return family.version === 4 ? drop.UNKNOWN_ICMP4_CODE : drop.UNKNOWN_ICMP6_CODE
}

/**
 * __snat_v4_nat(), ___snat_v6_nat(): finds or makes the mapping of a request and writes it into the packet. `update` puts the
 * new source into the tuple too. 0 or a drop reason.
 */
export function snatByMapping(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  target: NatTarget,
  options: { readonly portAt: number; readonly update: boolean; readonly trace: TraceContext },
): number {
  const entry = handleMapping(ctx, tuple, place, target, options.trace)
  if (typeof entry === 'number') return entry
  const result = rewriteSide(ctx, tuple, place, {
    side: 'source',
    entry,
    portAt: options.portAt,
    newPort: entry.toPort,
  })
  if (options.update) {
    tuple.saddr = entry.toAddress
    tuple.sport = entry.toPort
  }
  return result
}

/** snat_v4_rewrite_headers() and its kin: one side of the packet gets the address of a mapping, and a port. */
export function rewriteSide(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  change: {
    readonly side: 'source' | 'destination'
    readonly entry: NatEntry
    /** Where the port stands in the L4 header; 0 with a new port of 0: there is none. */
    readonly portAt: number
    readonly newPort: number
    /** By how much the sum of a quoted packet has changed. */
    readonly difference?: number
  },
): number {
  const { family } = tuple
  const { side, entry, portAt: at, newPort, difference = 0 } = change
  const isSource = side === 'source'
  return rewriteHeaders(ctx, {
    family,
    protocol: tuple.nexthdr,
    l3Offset: place.l3Offset,
    hasL4Header: place.fragment.hasL4Header,
    l4Offset: place.l4Offset,
    addressAt: isSource ? family.sourceAt : family.destinationAt,
    oldAddress: isSource ? tuple.saddr : tuple.daddr,
    newAddress: entry.toAddress,
    portAt: at,
    oldPort: isSource ? tuple.sport : tuple.dport,
    newPort,
    innerDifference: difference,
  })
}

/** The ICMP half of snat_v4_nat(). */
function snatIcmp(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  target: NatTarget,
  trace: TraceContext,
): number {
  const { family } = tuple
  const header = icmpHeader(ctx, place)
  if (typeof header === 'number') return header
  switch (kindOf(family, header)) {
    case 'request':
      tuple.dport = 0
      tuple.sport = readU16(header, echoIdentifierAt)
      target.minPort = 0
      target.maxPort = identifierMax
      return snatByMapping(ctx, tuple, place, target, { portAt: echoIdentifierAt, update: false, trace })
    case 'reply':
    case 'untouched':
      return NAT_PUNT_TO_STACK
    case 'unknown-code':
      return unknownCode(family)
    case 'error': {
      const error = translateQuotedOut(ctx, family, place.l4Offset + icmpHeaderBytes)
      if (typeof error === 'number') return error
      // no port of its own: the new one is 0, and the old one too, unless IPv6 kept one of another packet
      return rewriteSide(ctx, tuple, place, { side: 'source', entry: error.entry, portAt: 0, newPort: 0 })
    }
    case 'unsupported':
      return drop.NAT_UNSUPP_PROTO
  }
}

/** __snat_v6_nat() returns code and extended error in one word, where a negative code fills the upper half: -1. */
const extendedErrorOfIpv6 = -1

/**
 * snat_v4_nat(), snat_v6_nat(): translates the source of a packet. `tuple` has its addresses, protocol and the direction OUT.
 * 0, NAT_PUNT_TO_STACK or a drop reason.
 */
export function snatNat(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  target: NatTarget,
  trace: TraceContext,
): number {
  const result = translateSource(ctx, tuple, place, target, trace)
  if (tuple.family.version === 6 && result < 0) ctx.extErr = extendedErrorOfIpv6
  return result
}

function translateSource(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  target: NatTarget,
  trace: TraceContext,
): number {
  const { family } = tuple
  if (tuple.nexthdr === family.icmp) return snatIcmp(ctx, tuple, place, target, trace)
  if (!isServiceProtocol(ctx, tuple.nexthdr)) return NAT_PUNT_TO_STACK
  if (!tracksFragments(ctx, family) && place.fragment.isFragment) return drop.FRAG_NOSUPPORT
  const ports = loadL4Ports(ctx, tuple, place.fragment, { ...place, direction: ctDirection.EGRESS })
  if (ports < 0) return ports
  tuple.swapPorts()
  if (canSkip(ctx, target, tuple)) return NAT_PUNT_TO_STACK
  return snatByMapping(ctx, tuple, place, target, { portAt: portAt.source, update: false, trace })
}

function reverseByMapping(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  at: number,
  trace: TraceContext,
): number {
  const entry = handleReverseMapping(ctx, tuple, place, trace)
  if (typeof entry === 'number') return entry
  return rewriteSide(ctx, tuple, place, { side: 'destination', entry, portAt: at, newPort: entry.toPort })
}

/** Whether an error that arrives is looked into: in IPv6 only packet too big. */
function isReverseError(family: Family, header: Uint8Array): boolean {
  if (family.version === 6) return header[0] === icmp6.tooBig
  return kindOf(family, header) === 'error'
}

/** The ICMP half of snat_v4_rev_nat(). */
function reverseIcmp(ctx: Ctx, tuple: Tuple, place: PacketPlace, trace: TraceContext): number {
  const { family } = tuple
  const header = icmpHeader(ctx, place)
  if (typeof header === 'number') return header
  if (kindOf(family, header) === 'reply') {
    tuple.dport = readU16(header, echoIdentifierAt)
    tuple.sport = 0
    return reverseByMapping(ctx, tuple, place, echoIdentifierAt, trace)
  }
  if (!isReverseError(family, header)) return NAT_PUNT_TO_STACK
  const error = translateQuotedIn(ctx, family, place.l4Offset + icmpHeaderBytes)
  if (typeof error === 'number') return error
  return rewriteSide(ctx, tuple, place, { ...error, side: 'destination', portAt: 0, newPort: 0 })
}

/**
 * snat_v4_rev_nat(), snat_v6_rev_nat(): gives a reply its old destination back. 0, NAT_PUNT_TO_STACK, or a drop reason, of
 * which DROP_NAT_NO_MAPPING says that the packet is no such reply.
 */
export function snatRevNat(ctx: Ctx, family: Family, target: NatTarget, trace: TraceContext): number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const place: PacketPlace = { l3Offset, l4Offset: l3Offset + walk.length, fragment: walk.fragment }
  const tuple = natTuple(ctx, family, l3Offset, walk.nexthdr, tupleFlag.IN)
  if (tuple.nexthdr === family.icmp) return reverseIcmp(ctx, tuple, place, trace)
  if (!isServiceProtocol(ctx, tuple.nexthdr)) return NAT_PUNT_TO_STACK
  const ports = loadL4Ports(ctx, tuple, place.fragment, { ...place, direction: ctDirection.INGRESS })
  if (ports < 0) return ports
  tuple.swapPorts()
  if (tuple.dport < target.minPort || tuple.dport > target.maxPort) return NAT_PUNT_TO_STACK
  return reverseByMapping(ctx, tuple, place, portAt.destination, trace)
}
