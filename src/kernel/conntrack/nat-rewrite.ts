// Writing NAT's decision into a packet: addresses, ports or identifiers, with every checksum that covers them
// (nf_nat_proto.c nf_nat_ipv4_manip_pkt() and friends). The same for the packet that an ICMP error quotes.
import { type IpAddress, isIpv4, readIpv6, writeIpv6 } from '../../net/address.ts'
import { readU8, readU16, readU32, writeU16 } from '../../net/bytes.ts'
import {
  checksumOf,
  finishSum,
  pseudoSum4,
  pseudoSum6,
  replacedInPseudo,
  replaceU16,
  replaceU32,
  sumWords,
  updateChecksum16,
  updateChecksum32,
} from '../../net/checksum.ts'
import { icmpType } from '../../net/icmp.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { writeSctpChecksum } from '../../net/sctp.ts'
import { udpAt } from '../../net/udp.ts'
import type { Skb } from '../skb.ts'
import type { Connection } from './connection.ts'
import { connInfo, connStatus, directionOf, tupleOf } from './connection.ts'
import type { Manip } from './nat-choose.ts'
import { hasPorts, invertTuple, isIcmp, type Tuple, transportOf } from './tuple.ts'

interface Place {
  readonly l3: number
  readonly end: number
  /** The packet itself; nothing for one that is quoted. */
  readonly skb?: Skb
}

/** ICMP messages with an identifier: echo, timestamp, information, address mask; ICMPv6 echo. */
const withIdentifier: ReadonlySet<number> = new Set([0, 8, 13, 14, 15, 16, 17, 18])
const withIdentifier6: ReadonlySet<number> = new Set([128, 129, 139, 140])

/** Where a transport checksum stands, or -1: not this protocol, cut off (quotes), or UDP without one. */
function checksumPlace(bytes: Uint8Array, l4: number, end: number, protocol: number): number {
  if (protocol === ipProtocol.tcp) return l4 + 20 <= end ? l4 + 16 : -1
  if (protocol === ipProtocol.icmp6) return l4 + 8 <= end ? l4 + 2 : -1
  if (protocol !== ipProtocol.udp && protocol !== 136) return -1
  return l4 + 8 <= end && readU16(bytes, l4 + 6) !== 0 ? l4 + 6 : -1
}

/** A UDP checksum that came out as zero is written as 0xffff (CSUM_MANGLED_0). */
function keepNonZero(bytes: Uint8Array, at: number, protocol: number): void {
  if (protocol === ipProtocol.udp && readU16(bytes, at) === 0) writeU16(bytes, at, 0xffff)
}

function writeAddress4(bytes: Uint8Array, l3: number, at: number, address: number, checksumAt: number): void {
  const before = readU32(bytes, at)
  if (before === address) return
  replaceU32(bytes, at, address, l3 + ipv4At.checksum)
  if (checksumAt >= 0) {
    writeU16(bytes, checksumAt, updateChecksum32(readU16(bytes, checksumAt), before, address))
  }
}

function writeAddress6(bytes: Uint8Array, at: number, address: IpAddress, checksumAt: number): void {
  if (isIpv4(address)) return
  const before = readIpv6(bytes, at)
  writeIpv6(bytes, at, address)
  if (checksumAt < 0) return
  let checksum = readU16(bytes, checksumAt)
  for (const word of [0, 1, 2, 3] as const) checksum = updateChecksum32(checksum, before[word], address[word])
  writeU16(bytes, checksumAt, checksum)
}

function writePort(bytes: Uint8Array, at: number, port: number, checksumAt: number): void {
  if (checksumAt < 0) {
    writeU16(bytes, at, port)
    return
  }
  writeU16(bytes, checksumAt, updateChecksum16(readU16(bytes, checksumAt), readU16(bytes, at), port))
  writeU16(bytes, at, port)
}

/** What is rewritten, and where its transport header and the sum to correct stand; -1 for no sum. */
interface Rewrite {
  readonly target: Tuple
  readonly manip: Manip
  readonly l4: number
  readonly end: number
  readonly checksumAt: number
}

function writeTransport(bytes: Uint8Array, { target, manip, l4, end, checksumAt }: Rewrite): void {
  const { protocol } = target
  if (isIcmp(protocol)) {
    if (l4 + 8 > end) return
    const known = protocol === ipProtocol.icmp ? withIdentifier : withIdentifier6
    if (known.has(readU8(bytes, l4))) replaceU16(bytes, l4 + 4, target.sport, l4 + 2)
    return
  }
  if (!hasPorts(protocol) || l4 + 4 > end) return
  const port = manip === 'source' ? target.sport : target.dport
  writePort(bytes, l4 + (manip === 'source' ? 0 : 2), port, checksumAt)
  if (checksumAt >= 0) keepNonZero(bytes, checksumAt, protocol)
  if (protocol === ipProtocol.sctp && l4 + 12 <= end) writeSctpChecksum(bytes, l4, end)
}

/** Low bits of the first word: 0, or 1 for PPTP. */
const greVersion = 7

/**
 * l4proto_manip_pkt() of nf_nat_proto.c: a packet that ends within the first eight bytes of its transport header cannot be
 * translated, nor can GRE of an unknown version.
 */
export function defiesNat(bytes: Uint8Array, { l3, end }: Place, { family, protocol }: Tuple): boolean {
  if (!hasPorts(protocol) && !isIcmp(protocol) && protocol !== ipProtocol.gre) return false
  const { l4, fragmentOffset } = transportOf(bytes, l3, end, family)
  if (fragmentOffset !== 0) return false
  return l4 + 8 > end || (protocol === ipProtocol.gre && (readU16(bytes, l4) & greVersion) > 1)
}

/**
 * nf_nat_ipv4_manip_pkt(), nf_nat_ipv6_manip_pkt(): makes the source or the destination of the packet at `l3` that of
 * `target`, whose `protocol` says how to read what follows. True (the packet counts as changed) unless nothing differs.
 */
export function rewriteHeader(
  bytes: Uint8Array,
  { l3, end, skb }: Place,
  target: Tuple,
  manip: Manip,
): boolean {
  const { family, protocol } = target
  const { l4, fragmentOffset } = transportOf(bytes, l3, end, family)
  const whole = fragmentOffset === 0
  const sumAt = whole ? checksumPlace(bytes, l4, end, protocol) : -1
  const outside = whole && protocol === ipProtocol.udp && skb?.isSumOutside(l4 + udpAt.checksum) === true
  const before = outside ? pseudoSum(bytes, l3, family) : 0
  const checksumAt = outside ? -1 : sumAt
  if (whole) writeTransport(bytes, { target, manip, l4, end, checksumAt })
  const address = manip === 'source' ? target.source : target.destination
  if (family === 4) {
    const at = l3 + (manip === 'source' ? ipv4At.source : ipv4At.destination)
    writeAddress4(bytes, l3, at, isIpv4(address) ? address : 0, checksumAt)
  } else {
    writeAddress6(bytes, l3 + (manip === 'source' ? ipv6At.source : ipv6At.destination), address, checksumAt)
  }
  if (checksumAt >= 0) keepNonZero(bytes, checksumAt, protocol)
  if (outside) spoilSum(bytes, l4 + udpAt.checksum, before, pseudoSum(bytes, l3, family))
  return true
}

function pseudoSum(bytes: Uint8Array, l3: number, family: 4 | 6): number {
  return family === 4 ? pseudoSum4(bytes, l3, 0, 0) : pseudoSum6(bytes, l3, 0, 0)
}

/**
 * nf_csum_update() and inet_proto_csum_replace2() for a datagram outside of an unfinished one (CHECKSUM_PARTIAL): the addresses are
 * corrected as if this were the sum of a pseudo header, the ports not at all. A sum of zero, which means none, changes too.
 */
function spoilSum(bytes: Uint8Array, at: number, before: number, after: number): void {
  writeU16(bytes, at, replacedInPseudo(readU16(bytes, at), before, after) || 0xffff)
}

function writeOuterChecksum(skb: Skb, l4: number, family: 4 | 6): void {
  const { bytes, tail } = skb
  writeU16(bytes, l4 + 2, 0)
  if (family === 4) {
    writeU16(bytes, l4 + 2, checksumOf(bytes, l4, tail))
    return
  }
  const pseudo = pseudoSum6(bytes, skb.networkHeader, ipProtocol.icmp6, tail - l4)
  writeU16(bytes, l4 + 2, finishSum(sumWords(bytes, l4, tail, pseudo)))
}

function checksumIsRight(skb: Skb, l4: number, family: 4 | 6): boolean {
  const { bytes, tail } = skb
  if (family === 4) return checksumOf(bytes, l4, tail) === 0
  const pseudo = pseudoSum6(bytes, skb.networkHeader, ipProtocol.icmp6, tail - l4)
  return finishSum(sumWords(bytes, l4, tail, pseudo)) === 0
}

/**
 * nf_nat_icmp_reply_translation(): an error about a flow that is NATed. The quoted packet is turned back into what its
 * sender sent, the outer address into what the receiver of the error knows (facts: linux 9.1, 9.2). `drop` for a wrong
 * checksum and for redirects about NATed flows.
 */
export function rewriteError(skb: Skb, connection: Connection, manip: Manip): 'changed' | 'same' | 'drop' {
  const { bytes, tail, networkHeader: l3 } = skb
  const { family } = connection.original
  const { l4 } = transportOf(bytes, l3, tail, family)
  if (!checksumIsRight(skb, l4, family)) return 'drop'
  const { status } = connection
  const redirect = family === 4 ? icmpType.redirect : 137
  if (readU8(bytes, l4) === redirect) {
    const done = (status & connStatus.natDoneMask) === connStatus.natDoneMask
    if (!done || (status & connStatus.natMask) !== 0) return 'drop'
  }
  const reply = directionOf(skb.nfctInfo) === 1
  const bit = manip === 'source' ? connStatus.sourceNat : connStatus.destinationNat
  if ((status & (reply ? bit ^ connStatus.natMask : bit)) === 0) return 'same'
  const other = tupleOf(connection, reply ? 0 : 1)
  const target = invertTuple(other)
  if (target === undefined) return 'drop'
  const inner = manip === 'source' ? 'destination' : 'source'
  rewriteHeader(bytes, { l3: l4 + 8, end: tail }, other, inner)
  // the outer packet is ICMP, whatever the flow is; an error has no identifier to change
  const protocol = family === 4 ? ipProtocol.icmp : ipProtocol.icmp6
  rewriteHeader(bytes, { l3, end: tail }, { ...target, protocol }, manip)
  writeOuterChecksum(skb, l4, family)
  return 'changed'
}

/** Whether a packet is an ICMP error about its flow. */
export function isRelated(skb: Skb): boolean {
  return skb.nfctInfo === connInfo.related || skb.nfctInfo === connInfo.relatedReply
}
