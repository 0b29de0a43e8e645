// ICMP messages as packets: an IPv4 header, the eight bytes of ICMP, and what follows them.
import { type Ipv4, writeIpv4 } from '../../net/address.ts'
import { writeU8, writeU16, writeU32 } from '../../net/bytes.ts'
import { checksumOf } from '../../net/checksum.ts'
import { icmpAt } from '../../net/icmp.ts'
import { ipv4At, writeIpv4Checksum } from '../../net/ipv4.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import type { Namespace } from '../namespace.ts'
import { type Skb, skbFromPacket } from '../skb.ts'
import { nextIdent } from './ident.ts'
import type { Route } from './route.ts'

const ipHeaderBytes = 20

export interface IcmpMessage {
  readonly source: Ipv4
  readonly destination: Ipv4
  readonly tos: number
  readonly mark: number
  readonly type: number
  readonly code: number
  /** The second word of the header. */
  readonly rest: number
  readonly payload: Uint8Array
  /** Of the IP header, a multiple of four bytes. */
  readonly options?: Uint8Array
}

/** The packet of a message, ready for `ipLocalOut`: TTL of the namespace, no DF, a counted identification. */
export function buildIcmp(ns: Namespace, route: Route, message: IcmpMessage): Skb {
  const { options } = message
  const l4 = ipHeaderBytes + (options?.length ?? 0)
  const bytes = new Uint8Array(l4 + icmpAt.payload + message.payload.length)
  const protocol = ipProtocol.icmp
  writeU8(bytes, ipv4At.versionAndLength, 0x40 | (l4 >>> 2))
  if (options !== undefined) bytes.set(options, ipHeaderBytes)
  writeU8(bytes, ipv4At.tos, message.tos)
  writeU16(bytes, ipv4At.identification, nextIdent(ns, { ...message, protocol }))
  writeU8(bytes, ipv4At.ttl, ns.sysctls.get('net.ipv4.ip_default_ttl'))
  writeU8(bytes, ipv4At.protocol, protocol)
  writeIpv4(bytes, ipv4At.source, message.source)
  writeIpv4(bytes, ipv4At.destination, message.destination)
  writeU8(bytes, l4 + icmpAt.type, message.type)
  writeU8(bytes, l4 + icmpAt.code, message.code)
  writeU32(bytes, l4 + icmpAt.rest, message.rest)
  bytes.set(message.payload, l4 + icmpAt.payload)
  writeU16(bytes, l4 + icmpAt.checksum, checksumOf(bytes, l4, bytes.length))
  writeU16(bytes, ipv4At.totalLength, bytes.length)
  writeIpv4Checksum(bytes, 0)
  const skb = skbFromPacket(route.device, bytes, etherType.ipv4)
  skb.mark = message.mark
  skb.kernelSocket = ns
  skb.route = route
  return skb
}

const countedTypes = new Map<number, string>([
  [0, 'EchoReps'],
  [3, 'DestUnreachs'],
  [4, 'SrcQuenchs'],
  [5, 'Redirects'],
  [8, 'Echos'],
  [11, 'TimeExcds'],
  [12, 'ParmProbs'],
  [13, 'Timestamps'],
  [14, 'TimestampReps'],
  [17, 'AddrMasks'],
  [18, 'AddrMaskReps'],
])

/** ICMPMSGIN_INC_STATS, icmp_out_count(): the counter of a type, if it has a name. Sending counts the message with it. */
export function countIcmp(ns: Namespace, direction: 'In' | 'Out', type: number): void {
  if (direction === 'Out') count(ns, 'IcmpOutMsgs')
  const name = countedTypes.get(type)
  if (name !== undefined) count(ns, `Icmp${direction}${name}`)
}
