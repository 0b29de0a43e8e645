// One direction of a flow as conntrack sees it (struct nf_conntrack_tuple), read from a packet, turned round, and hashed to
// a number. ICMP echo has its identifier in `sport` and type and code in `dport`.
import { type IpAddress, isIpv4, readIpv4, readIpv6, sameIp } from '../../net/address.ts'
import { readU8, readU16 } from '../../net/bytes.ts'
import { ipv4At, ipv4Flag, ipv4HeaderLength } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { extensionLength, isExtension } from '../../net/ipv6-extensions.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { greKey } from './gre.ts'

export interface Tuple {
  readonly family: 4 | 6
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  /** Source port; ICMP identifier; 0 for protocols without ports. */
  readonly sport: number
  /** Destination port; ICMP type * 256 + code; 0 for protocols without ports. */
  readonly dport: number
}

/** The reply type of each ICMP query (icmp.c invmap); both directions. */
const icmpInverse: ReadonlyMap<number, number> = new Map([
  [8, 0],
  [0, 8],
  [13, 14],
  [14, 13],
  [15, 16],
  [16, 15],
  [17, 18],
  [18, 17],
])

/** Echo and node information (nf_conntrack_proto_icmpv6.c invmap). */
const icmpv6Inverse: ReadonlyMap<number, number> = new Map([
  [128, 129],
  [129, 128],
  [139, 140],
  [140, 139],
])

/** Whether tuples of a protocol have ports. */
export function hasPorts(protocol: number): boolean {
  return (
    protocol === ipProtocol.tcp ||
    protocol === ipProtocol.udp ||
    protocol === ipProtocol.sctp ||
    protocol === 33 ||
    protocol === 136
  )
}

/** Whether a protocol is ICMP of its family. */
export function isIcmp(protocol: number): boolean {
  return protocol === ipProtocol.icmp || protocol === ipProtocol.icmp6
}

/** Where the transport header of a packet begins; `protocol` -1 when the packet has none that can be read. */
export interface TransportPlace {
  readonly protocol: number
  readonly l4: number
  /** Bytes; later fragments have no transport header. */
  readonly fragmentOffset: number
}

/** nf_ct get_l4proto() and ipv6_skip_exthdr(). */
export function transportOf(bytes: Uint8Array, l3: number, end: number, family: 4 | 6): TransportPlace {
  if (family === 4) {
    const l4 = l3 + ipv4HeaderLength(bytes, l3)
    const offset = (readU16(bytes, l3 + ipv4At.flagsAndOffset) & ipv4Flag.offsetMask) << 3
    return { protocol: readU8(bytes, l3 + ipv4At.protocol), l4, fragmentOffset: offset }
  }
  let protocol = readU8(bytes, l3 + ipv6At.nextHeader)
  let at = l3 + ipv6At.payload
  while (isExtension(protocol) && at + 8 <= end) {
    if (protocol === ipProtocol.fragment) {
      const offset = readU16(bytes, at + 2) & 0xfff8
      if (offset !== 0) return { protocol: readU8(bytes, at), l4: at + 8, fragmentOffset: offset }
    }
    const length = extensionLength(bytes, at, protocol)
    protocol = readU8(bytes, at)
    at += length
  }
  return { protocol, l4: at, fragmentOffset: 0 }
}

/**
 * get_l4proto(): where conntrack finds the transport header; undefined for later fragments, headers that reach past the
 * packet, and IPv6 packets that end in `no next header` (ipv6_skip_exthdr()): those are INVALID.
 */
export function trackedTransport(
  bytes: Uint8Array,
  l3: number,
  end: number,
  family: 4 | 6,
): TransportPlace | undefined {
  const place = transportOf(bytes, l3, end, family)
  if (place.fragmentOffset !== 0 || place.l4 > end) return undefined
  if (family === 4) return place
  return place.protocol === ipProtocol.none || isExtension(place.protocol) ? undefined : place
}

function addressAt(bytes: Uint8Array, at: number, family: 4 | 6): IpAddress {
  return family === 4 ? readIpv4(bytes, at) : readIpv6(bytes, at)
}

/** The tuple of a packet whose transport header is at `l4`; undefined when too little of it is there. */
export function readTuple(
  bytes: Uint8Array,
  at: { readonly l3: number; readonly l4: number; readonly end: number },
  family: 4 | 6,
  protocol: number,
): Tuple | undefined {
  const { l3, l4, end } = at
  const source = addressAt(bytes, l3 + (family === 4 ? ipv4At.source : ipv6At.source), family)
  const destination = addressAt(bytes, l3 + (family === 4 ? ipv4At.destination : ipv6At.destination), family)
  let sport = 0
  let dport = 0
  if (isIcmp(protocol)) {
    if (l4 + 8 > end) return undefined
    sport = readU16(bytes, l4 + 4)
    dport = readU16(bytes, l4)
  } else if (hasPorts(protocol)) {
    if (l4 + 4 > end) return undefined
    sport = readU16(bytes, l4)
    dport = readU16(bytes, l4 + 2)
  } else if (protocol === ipProtocol.gre) dport = greKey(bytes, l4, end)
  return { family, source, destination, protocol, sport, dport }
}

/** nf_ct_invert_tuple(): what an answer looks like; undefined for ICMP types that have no answer. */
export function invertTuple(tuple: Tuple): Tuple | undefined {
  const { family, source, destination, protocol, sport, dport } = tuple
  if (!isIcmp(protocol)) {
    return { family, source: destination, destination: source, protocol, sport: dport, dport: sport }
  }
  const inverse = (family === 4 ? icmpInverse : icmpv6Inverse).get(dport >>> 8)
  if (inverse === undefined) return undefined
  return {
    family,
    source: destination,
    destination: source,
    protocol,
    sport,
    dport: (inverse << 8) | (dport & 0xff),
  }
}

/** nf_ct_tuple_equal(). */
export function sameTuple(left: Tuple, right: Tuple): boolean {
  return (
    left.sport === right.sport &&
    left.dport === right.dport &&
    left.protocol === right.protocol &&
    sameIp(left.source, right.source) &&
    sameIp(left.destination, right.destination)
  )
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85eb_ca6b)
  return mixed ^ (mixed >>> 15)
}

function mixAddress(hash: number, address: IpAddress): number {
  if (isIpv4(address)) return mix(hash, address)
  return mix(mix(mix(mix(hash, address[0]), address[1]), address[2]), address[3])
}

/** A 32-bit hash of a tuple in a zone: the key of the table. */
export function tupleHash(tuple: Tuple, zone: number): number {
  const ends = mixAddress(mixAddress(0x9e37_79b9 ^ zone, tuple.source), tuple.destination)
  const hash = mix(mix(ends, (tuple.sport << 16) | tuple.dport), tuple.protocol)
  return (hash ^ (hash >>> 13)) >>> 0
}

/** A 32-bit hash of source address, source port and protocol: the key of nf_nat_bysource. */
export function sourceHash(tuple: Tuple, zone: number): number {
  const hash = mix(mixAddress(0x85eb_ca77 ^ zone, tuple.source), (tuple.sport << 8) ^ tuple.protocol)
  return (hash ^ (hash >>> 13)) >>> 0
}
