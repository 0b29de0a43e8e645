// Fields of a packet's headers as expressions of nft (nft_payload.c; src/proto.c). A field of a header that the packet does
// not have ends the rule. `th` is the transport header, whatever it is.
import { readU8, readU16, readU32 } from '../../net/bytes.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { ChainPacket } from '../netfilter/extension.ts'
import type { Loader } from './ruleset.ts'
import { type DataType, dataTypes } from './types.ts'

/** A field: where it is, and of what header. */
export interface Field {
  readonly type: DataType
  readonly family: 4 | 6 | undefined
  /** -1 for `th`; undefined for fields of the IP header. */
  readonly protocol: number | undefined
  readonly load: Loader
}

type Read = (packet: ChainPacket, at: number) => number

const byte =
  (offset: number): Read =>
  (packet, at) =>
    readU8(packet.skb.bytes, at + offset)
const half =
  (offset: number): Read =>
  (packet, at) =>
    readU16(packet.skb.bytes, at + offset)
const whole =
  (offset: number): Read =>
  (packet, at) =>
    readU32(packet.skb.bytes, at + offset)

function network(family: 4 | 6, type: DataType, read: Read): Field {
  const load: Loader = (packet, registers, at) => {
    if (packet.family !== family) return false
    registers[at] = read(packet, packet.l3)
    return true
  }
  return { type, family, protocol: undefined, load }
}

function address6(offset: number): Field {
  const load: Loader = (packet, registers, at) => {
    if (packet.family !== 6) return false
    for (let word = 0; word < 4; word += 1)
      registers[at + word] = readU32(packet.skb.bytes, packet.l3 + offset + word * 4)
    return true
  }
  return { type: dataTypes.ipv6_addr, family: 6, protocol: undefined, load }
}

/** `end` is where the field ends behind the beginning of the header. */
function transport(protocol: number, type: DataType, read: Read, end: number): Field {
  const load: Loader = (packet, registers, at) => {
    if (protocol !== -1 && packet.protocol !== protocol) return false
    if (packet.fragmentOffset !== 0 || packet.l4 + end > packet.skb.tail) return false
    registers[at] = read(packet, packet.l4)
    return true
  }
  const family = protocol === ipProtocol.icmp ? 4 : protocol === ipProtocol.icmp6 ? 6 : undefined
  return { type, family, protocol, load }
}

const { inet_service: service, integer, integer8, integer16 } = dataTypes

function ports(protocol: number): readonly (readonly [string, Field])[] {
  return [
    ['sport', transport(protocol, service, half(0), 2)],
    ['dport', transport(protocol, service, half(2), 4)],
  ]
}

const headers: Readonly<Record<string, readonly (readonly [string, Field])[]>> = {
  ip: [
    ['version', network(4, integer8, (packet, at) => readU8(packet.skb.bytes, at) >>> 4)],
    ['hdrlength', network(4, integer8, (packet, at) => readU8(packet.skb.bytes, at) & 15)],
    ['dscp', network(4, dataTypes.dscp, (packet, at) => readU8(packet.skb.bytes, at + 1) >>> 2)],
    ['ecn', network(4, dataTypes.ecn, (packet, at) => readU8(packet.skb.bytes, at + 1) & 3)],
    ['length', network(4, integer16, half(2))],
    ['id', network(4, integer16, half(4))],
    ['frag-off', network(4, integer16, half(6))],
    ['ttl', network(4, integer8, byte(8))],
    ['protocol', network(4, dataTypes.inet_proto, byte(9))],
    ['checksum', network(4, integer16, half(10))],
    ['saddr', network(4, dataTypes.ipv4_addr, whole(12))],
    ['daddr', network(4, dataTypes.ipv4_addr, whole(16))],
  ],
  ip6: [
    ['version', network(6, integer8, (packet, at) => readU8(packet.skb.bytes, at) >>> 4)],
    ['dscp', network(6, dataTypes.dscp, (packet, at) => (readU16(packet.skb.bytes, at) >>> 6) & 63)],
    ['ecn', network(6, dataTypes.ecn, (packet, at) => (readU16(packet.skb.bytes, at) >>> 4) & 3)],
    ['flowlabel', network(6, integer, (packet, at) => readU32(packet.skb.bytes, at) & 0xf_ffff)],
    ['length', network(6, integer16, half(4))],
    ['nexthdr', network(6, dataTypes.inet_proto, byte(6))],
    ['hoplimit', network(6, integer8, byte(7))],
    ['saddr', address6(8)],
    ['daddr', address6(24)],
  ],
  tcp: [
    ...ports(ipProtocol.tcp),
    ['sequence', transport(ipProtocol.tcp, integer, whole(4), 8)],
    ['ackseq', transport(ipProtocol.tcp, integer, whole(8), 12)],
    [
      'doff',
      transport(ipProtocol.tcp, integer8, (packet, at) => readU8(packet.skb.bytes, at + 12) >>> 4, 13),
    ],
    ['flags', transport(ipProtocol.tcp, dataTypes.tcp_flag, byte(13), 14)],
    ['window', transport(ipProtocol.tcp, integer16, half(14), 16)],
    ['checksum', transport(ipProtocol.tcp, integer16, half(16), 18)],
  ],
  udp: [
    ...ports(ipProtocol.udp),
    ['length', transport(ipProtocol.udp, integer16, half(4), 6)],
    ['checksum', transport(ipProtocol.udp, integer16, half(6), 8)],
  ],
  sctp: ports(ipProtocol.sctp),
  dccp: ports(33),
  udplite: ports(136),
  th: ports(-1),
  icmp: [
    ['type', transport(ipProtocol.icmp, dataTypes.icmp_type, byte(0), 1)],
    ['code', transport(ipProtocol.icmp, integer8, byte(1), 2)],
    ['id', transport(ipProtocol.icmp, integer16, half(4), 6)],
    ['sequence', transport(ipProtocol.icmp, integer16, half(6), 8)],
  ],
  icmpv6: [
    ['type', transport(ipProtocol.icmp6, dataTypes.icmpv6_type, byte(0), 1)],
    ['code', transport(ipProtocol.icmp6, integer8, byte(1), 2)],
    ['id', transport(ipProtocol.icmp6, integer16, half(4), 6)],
    ['sequence', transport(ipProtocol.icmp6, integer16, half(6), 8)],
  ],
}

/** Fields by header and name: `ip` `daddr`. */
export const fields: ReadonlyMap<string, ReadonlyMap<string, Field>> = new Map(
  Object.entries(headers).map(([header, list]) => [header, new Map(list)]),
)
