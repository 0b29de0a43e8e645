// The fields that small programs test and set, as numbers: which layer, at what offset, how wide. The same names as in
// the language and in src/net/fields.ts (a test compares the two); here without any value object, because these are
// read for every packet, and in a form from which bytecode can be made.
import { arpAt } from '../../net/arp.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import { icmpAt } from '../../net/icmp.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { sctpAt } from '../../net/sctp.ts'
import { tcpAt } from '../../net/tcp.ts'
import { udpAt } from '../../net/udp.ts'

/** Layers that the header walk finds; the number is the index of their offset. */
export const layers = {
  eth: 0,
  vlan: 1,
  arp: 2,
  ip: 3,
  ip6: 4,
  tcp: 5,
  udp: 6,
  sctp: 7,
  icmp: 8,
  icmp6: 9,
  vxlan: 10,
  geneve: 11,
} as const

export type LayerName = keyof typeof layers

/** Where source and destination of a layer lie, and how long each is. Sums do not change when two words change places. */
export const swapped = {
  eth: { at: 0, bytes: 6 },
  ip: { at: 12, bytes: 4 },
  ip6: { at: 8, bytes: 16 },
  tcp: { at: 0, bytes: 2 },
  udp: { at: 0, bytes: 2 },
  sctp: { at: 0, bytes: 2 },
} as const

/** The layers that `swap` knows. */
export type SwapLayer = keyof typeof swapped

/** Bits of a word in a header: `bytes` long (1, 2, 3, 4, 6 or 16), then `>>> shift`, then `& mask`. */
export interface HeaderField {
  readonly layer: LayerName
  readonly at: number
  readonly bytes: number
  readonly shift: number
  readonly mask: number
  /** Multiplies the bits (a fragment offset counts eights). */
  readonly scale: number
  /** Writing it repairs no checksum. */
  readonly checksum: boolean
}

function field(layer: LayerName, at: number, bytes: number, options: Partial<HeaderField> = {}): HeaderField {
  const mask = bytes >= 6 ? Number.POSITIVE_INFINITY : 2 ** (8 * bytes) - 1
  return { layer, at, bytes, shift: 0, mask, scale: 1, checksum: false, ...options }
}

const sum = { checksum: true } as const

export const headerFields = {
  'eth.dst': field('eth', ethernetAt.destination, 6),
  'eth.src': field('eth', ethernetAt.source, 6),
  'eth.type': field('eth', ethernetAt.type, 2),
  'vlan.id': field('vlan', 0, 2, { mask: 0xfff }),
  'vlan.dei': field('vlan', 0, 2, { shift: 12, mask: 1 }),
  'vlan.pcp': field('vlan', 0, 2, { shift: 13, mask: 7 }),
  'vlan.type': field('vlan', 2, 2),
  'arp.op': field('arp', arpAt.operation, 2),
  'arp.sha': field('arp', arpAt.senderMac, 6),
  'arp.spa': field('arp', arpAt.senderIp, 4),
  'arp.tha': field('arp', arpAt.targetMac, 6),
  'arp.tpa': field('arp', arpAt.targetIp, 4),
  'ip.version': field('ip', ipv4At.versionAndLength, 1, { shift: 4, mask: 15 }),
  'ip.ihl': field('ip', ipv4At.versionAndLength, 1, { mask: 15 }),
  'ip.tos': field('ip', ipv4At.tos, 1),
  'ip.dscp': field('ip', ipv4At.tos, 1, { shift: 2, mask: 63 }),
  'ip.ecn': field('ip', ipv4At.tos, 1, { mask: 3 }),
  'ip.len': field('ip', ipv4At.totalLength, 2),
  'ip.id': field('ip', ipv4At.identification, 2),
  'ip.df': field('ip', ipv4At.flagsAndOffset, 2, { shift: 14, mask: 1 }),
  'ip.mf': field('ip', ipv4At.flagsAndOffset, 2, { shift: 13, mask: 1 }),
  'ip.frag': field('ip', ipv4At.flagsAndOffset, 2, { mask: 0x1fff, scale: 8 }),
  'ip.ttl': field('ip', ipv4At.ttl, 1),
  'ip.proto': field('ip', ipv4At.protocol, 1),
  'ip.checksum': field('ip', ipv4At.checksum, 2, sum),
  'ip.src': field('ip', ipv4At.source, 4),
  'ip.dst': field('ip', ipv4At.destination, 4),
  'ip6.tc': field('ip6', 0, 2, { shift: 4, mask: 255 }),
  'ip6.flow': field('ip6', 0, 4, { mask: 0xf_ffff }),
  'ip6.len': field('ip6', ipv6At.payloadLength, 2),
  'ip6.nexthdr': field('ip6', ipv6At.nextHeader, 1),
  'ip6.hoplimit': field('ip6', ipv6At.hopLimit, 1),
  'ip6.src': field('ip6', ipv6At.source, 16),
  'ip6.dst': field('ip6', ipv6At.destination, 16),
  'tcp.sport': field('tcp', tcpAt.source, 2),
  'tcp.dport': field('tcp', tcpAt.destination, 2),
  'tcp.seq': field('tcp', tcpAt.sequence, 4),
  'tcp.ack': field('tcp', tcpAt.acknowledgement, 4),
  'tcp.doff': field('tcp', tcpAt.dataOffset, 1, { shift: 4, mask: 15 }),
  'tcp.flags': field('tcp', tcpAt.dataOffset, 2, { mask: 0x1ff }),
  'tcp.window': field('tcp', tcpAt.window, 2),
  'tcp.checksum': field('tcp', tcpAt.checksum, 2, sum),
  'tcp.urgent': field('tcp', tcpAt.urgent, 2),
  'udp.sport': field('udp', udpAt.source, 2),
  'udp.dport': field('udp', udpAt.destination, 2),
  'udp.len': field('udp', udpAt.length, 2),
  'udp.checksum': field('udp', udpAt.checksum, 2, sum),
  'sctp.sport': field('sctp', sctpAt.source, 2),
  'sctp.dport': field('sctp', sctpAt.destination, 2),
  'sctp.vtag': field('sctp', 4, 4),
  'sctp.checksum': field('sctp', 8, 4, sum),
  'icmp.type': field('icmp', icmpAt.type, 1),
  'icmp.code': field('icmp', icmpAt.code, 1),
  'icmp.checksum': field('icmp', icmpAt.checksum, 2, sum),
  'icmp.id': field('icmp', icmpAt.identifier, 2),
  'icmp.seq': field('icmp', icmpAt.sequence, 2),
  'icmp.gateway': field('icmp', icmpAt.gateway, 4),
  'icmp.mtu': field('icmp', icmpAt.mtu, 2),
  'icmp6.type': field('icmp6', 0, 1),
  'icmp6.code': field('icmp6', 1, 1),
  'icmp6.checksum': field('icmp6', 2, 2, sum),
  'icmp6.id': field('icmp6', 4, 2),
  'icmp6.seq': field('icmp6', 6, 2),
  'icmp6.mtu': field('icmp6', 4, 4),
  'vxlan.flags': field('vxlan', 0, 1),
  'vxlan.vni': field('vxlan', 4, 3),
  'geneve.proto': field('geneve', 2, 2),
  'geneve.vni': field('geneve', 4, 3),
} as const

export type HeaderFieldName = keyof typeof headerFields

/** What a program reads from its context instead of the packet. */
const metaFields = [
  'mark',
  'meta',
  'tstamp',
  'gso_size',
  'gso_segs',
  'wire_len',
  'now',
  'ifindex',
  'iif',
  'hash',
  'protocol',
  'priority',
  'queue',
  'tc_index',
  'tc_classid',
  'cb0',
  'cb1',
  'cb2',
  'cb3',
  'cb4',
  'packet.len',
  'packet.type',
  'tunnel.vni',
  'tunnel.ttl',
  'tunnel.tos',
  'tunnel.remote',
  'tunnel.local',
] as const

export type MetaFieldName = (typeof metaFields)[number]
export type FieldName = HeaderFieldName | MetaFieldName

/** Whether a name is a field of a header; the others come from the context. */
export function isHeaderField(name: string): name is HeaderFieldName {
  return Object.hasOwn(headerFields, name)
}

/** Whether small programs know a field of this name. */
export function isSmallField(name: string): name is FieldName {
  return isHeaderField(name) || metaFields.some((known) => known === name)
}

/** Whether a name is a layer that can be tested for. */
export function isSmallLayer(name: string): name is LayerName {
  return Object.hasOwn(layers, name)
}

/** Whether a field is a number of 64 bits: a time in nanoseconds. */
export function isLongField(name: FieldName): boolean {
  return name === 'tstamp' || name === 'now'
}

/** Bytes of a field: 16 for an IPv6 address, which is no number. */
export function fieldBytes(name: FieldName): number {
  if (isLongField(name)) return 8
  return isHeaderField(name) ? headerFields[name].bytes : 4
}
