// ICMP errors quote the packet that caused them, with the addresses its sender of the error saw. Where that packet was
// translated the quotation must be too, or the receiver does not know its own connection (RFC 5508). lib/nat.h
// snat_v4_nat_handle_icmp_error(), snat_v4_rev_nat_handle_icmp_error(), snat_v6_rev_nat_handle_icmp_pkt_toobig()
import { readU16 } from '../../net/bytes.ts'
import type { NatEntry } from '../maps/nat-entry.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { type Address, type Family, protocolNumber, sameAddress } from './family.ts'
import { walkHeaders6 } from './headers.ts'
import { echoIdentifierAt, isServiceProtocol, portAt, tcpChecksumAt, udpChecksumAt } from './l4.ts'
import { natLookup } from './nat-mapping.ts'
import { type Rewrite, rewriteHeaders } from './nat-rewrite.ts'

/** NAT_PUNT_TO_STACK: nothing is to be translated. DROP_NAT_NOT_NEEDED, which is no drop. */
export const NAT_PUNT_TO_STACK = drop.NAT_NOT_NEEDED

const icmpEcho = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const
const addressesAt = { TCP_UDP_PORTS: 4 } as const

/** The IP header inside of an ICMP error, with the tuple of the connection as a packet in reply would have it. */
interface Quoted {
  readonly family: Family
  readonly l3Offset: number
  readonly l4Offset: number
  readonly tuple: Tuple
}

/** Reads the quoted header: its source is the tuple's destination. A drop reason where it is cut off. */
function readQuoted(ctx: Ctx, family: Family, l3Offset: number, flags: number): Quoted | number {
  const header = ctx.load(l3Offset, family.headerBytes)
  if (header === undefined) return drop.INVALID
  const { addressBytes, sourceAt, destinationAt } = family
  const tuple = new Tuple(family)
  tuple.saddr = header.subarray(destinationAt, destinationAt + addressBytes)
  tuple.daddr = header.subarray(sourceAt, sourceAt + addressBytes)
  tuple.nexthdr = header[family.protocolAt] as number
  tuple.flags = flags
  if (family.version === 4) {
    return { family, l3Offset, l4Offset: l3Offset + ((header[0] as number) & 0xf) * 4, tuple }
  }
  const walk = walkHeaders6(ctx, l3Offset, tuple.nexthdr)
  if (typeof walk === 'number') return walk
  tuple.nexthdr = walk.nexthdr
  return { family, l3Offset, l4Offset: l3Offset + walk.length, tuple }
}

/** l4_load_ports() into the tuple: the quoted source port becomes dport. */
function readPorts(ctx: Ctx, quoted: Quoted): number {
  const ports = ctx.load(quoted.l4Offset, addressesAt.TCP_UDP_PORTS)
  if (ports === undefined) return drop.INVALID
  quoted.tuple.bytes.set(ports, quoted.family.addressBytes * 2)
  return 0
}

function readIdentifier(ctx: Ctx, quoted: Quoted): number | undefined {
  const bytes = ctx.load(quoted.l4Offset + echoIdentifierAt, 2)
  return bytes === undefined ? undefined : readU16(bytes, 0)
}

function unknownIcmp(family: Family): number {
  return family.version === 4 ? drop.UNKNOWN_ICMP4_CODE : drop.UNKNOWN_ICMP6_CODE
}

/** What the direction of an error decides about the quoted echo and other protocols. */
interface Direction {
  readonly flags: number
  /** Offset of the port that was translated. */
  readonly portAt: number
  /** The echo whose identifier was translated. */
  readonly echo: 'request' | 'reply'
  /** What becomes of quoted protocols that are never translated. */
  readonly otherProtocol: number
}

const egress: Direction = {
  flags: tupleFlag.OUT,
  portAt: portAt.destination,
  echo: 'reply',
  otherProtocol: drop.UNKNOWN_L4,
}
const ingress: Direction = {
  flags: tupleFlag.IN,
  portAt: portAt.source,
  echo: 'request',
  otherProtocol: NAT_PUNT_TO_STACK,
}

/** Completes the tuple by the quoted L4 header: the offset of the translated port, or a drop reason. */
function readL4(ctx: Ctx, quoted: Quoted, direction: Direction): number {
  const { tuple, family } = quoted
  if (isServiceProtocol(ctx, tuple.nexthdr)) {
    const ports = readPorts(ctx, quoted)
    return ports === 0 ? direction.portAt : ports
  }
  if (tuple.nexthdr !== family.icmp) return direction.otherProtocol
  const type = ctx.load(quoted.l4Offset, 1)?.[0]
  if (type === undefined) return drop.INVALID
  const echo = icmpEcho[family.version]
  if (type !== echo[direction.echo]) {
    // packet too big for an echo reply is not expected at all
    if (family.version === 6 && direction === ingress) return drop.INVALID
    return type === echo.request || type === echo.reply ? NAT_PUNT_TO_STACK : unknownIcmp(family)
  }
  const identifier = readIdentifier(ctx, quoted)
  if (identifier === undefined) return drop.INVALID
  if (direction === ingress) tuple.dport = identifier
  else tuple.sport = identifier
  return echoIdentifierAt
}

/** Whether a quoted TCP header is too short to have a checksum. Only IPv4 tolerates that. */
function lacksTcpChecksum(ctx: Ctx, quoted: Quoted): boolean {
  const { l3Offset, l4Offset, tuple, family } = quoted
  if (family.version === 6 || tuple.nexthdr !== protocolNumber.TCP) return false
  return ctx.length - l3Offset < l4Offset - l3Offset + tcpChecksumAt + 2
}

function rewriteQuoted(ctx: Ctx, rewrite: Rewrite, incomplete: boolean): number {
  const result = rewriteHeaders(ctx, rewrite)
  return incomplete && result === drop.CSUM_L4 ? 0 : result
}

/** An ICMP error that was dealt with: the entry whose address its own header takes too. */
export interface TranslatedError {
  readonly entry: NatEntry
  /** How the checksum of the error's own header changes (IPv4). */
  readonly difference: number
}

/**
 * snat_v4_nat_handle_icmp_error(), snat_v6_nat_handle_icmp_error(): an error that leaves, about a packet whose source had
 * been translated back. NAT_PUNT_TO_STACK, a drop reason, or the entry.
 */
export function translateQuotedOut(ctx: Ctx, family: Family, innerOffset: number): TranslatedError | number {
  const quoted = readQuoted(ctx, family, innerOffset, egress.flags)
  if (typeof quoted === 'number') return quoted
  const at = readL4(ctx, quoted, egress)
  if (at < 0) return at
  const { tuple } = quoted
  const entry = natLookup(ctx, tuple)
  if (entry === undefined) return NAT_PUNT_TO_STACK
  const rewrite: Rewrite = {
    family,
    protocol: tuple.nexthdr,
    l3Offset: quoted.l3Offset,
    hasL4Header: true,
    l4Offset: quoted.l4Offset,
    addressAt: family.destinationAt,
    oldAddress: tuple.saddr,
    newAddress: entry.toAddress,
    portAt: at,
    oldPort: tuple.sport,
    newPort: entry.toPort,
  }
  const result = rewriteQuoted(ctx, rewrite, lacksTcpChecksum(ctx, quoted))
  return result < 0 ? result : { entry, difference: 0 }
}

/** A port as the four bytes that snat_v4_calc_icmp_error_csum_diff() sums. */
function portWord(port: number): Uint8Array {
  return Uint8Array.of(port >>> 8, port & 0xff, 0, 0)
}

/**
 * snat_v4_calc_icmp_error_csum_diff(): with a checksum in the quoted L4 header only the pseudo header's change is left over;
 * without, only the port's.
 */
function outerDifference(
  ctx: Ctx,
  change: {
    readonly oldAddress: Address
    readonly newAddress: Address
    readonly oldPort: number
    readonly newPort: number
  },
  hasChecksum: boolean,
): number {
  const { oldAddress, newAddress, oldPort, newPort } = change
  if (hasChecksum) {
    return sameAddress(oldAddress, newAddress) ? 0 : ctx.checksumDifference(newAddress, oldAddress, 0)
  }
  return oldPort === newPort ? 0 : ctx.checksumDifference(portWord(oldPort), portWord(newPort), 0)
}

/** Whether the quoted L4 header has a checksum that was adapted. A drop reason where UDP's cannot be read. */
function hasQuotedChecksum(ctx: Ctx, quoted: Quoted, incomplete: boolean): boolean | number {
  if (quoted.tuple.nexthdr !== protocolNumber.UDP) return !incomplete
  const checksum = ctx.load(quoted.l4Offset + udpChecksumAt, 2)
  if (checksum === undefined) return drop.INVALID
  return readU16(checksum, 0) !== 0
}

/**
 * snat_v4_rev_nat_handle_icmp_error(), snat_v6_rev_nat_handle_icmp_pkt_toobig(): an error that arrives, about a packet whose
 * source this node translated. NAT_PUNT_TO_STACK, a drop reason, or the entry.
 */
export function translateQuotedIn(ctx: Ctx, family: Family, innerOffset: number): TranslatedError | number {
  const quoted = readQuoted(ctx, family, innerOffset, ingress.flags)
  if (typeof quoted === 'number') return quoted
  const at = readL4(ctx, quoted, ingress)
  if (at < 0) return at
  const { tuple } = quoted
  const entry = natLookup(ctx, tuple)
  if (entry === undefined) return NAT_PUNT_TO_STACK
  const change = {
    oldAddress: tuple.daddr,
    newAddress: entry.toAddress,
    oldPort: tuple.dport,
    newPort: entry.toPort,
  }
  const incomplete = lacksTcpChecksum(ctx, quoted)
  let difference = 0
  if (family.version === 4) {
    const hasChecksum = hasQuotedChecksum(ctx, quoted, incomplete)
    if (typeof hasChecksum === 'number') return hasChecksum
    difference = outerDifference(ctx, change, hasChecksum)
  }
  const rewrite: Rewrite = {
    ...change,
    family,
    protocol: tuple.nexthdr,
    l3Offset: quoted.l3Offset,
    hasL4Header: true,
    l4Offset: quoted.l4Offset,
    addressAt: family.sourceAt,
    portAt: at,
  }
  const result = rewriteQuoted(ctx, rewrite, incomplete)
  return result < 0 ? result : { entry, difference }
}
