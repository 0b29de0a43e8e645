// Every header field that the language knows, by layer: `tcp.dport` is fields.tcp.dport. This is the one list; the
// grammar, the checks, expectations, small programs and trace differences all use it.
import { arpAt } from './arp.ts'
import { readU8, readU16, writeU16 } from './bytes.ts'
import { espAt } from './esp.ts'
import { ethernetAt } from './ethernet.ts'
import {
  bit16,
  bits16,
  type FieldSpec,
  ipv4Field,
  ipv6Field,
  macField,
  numberField,
  onlyWhen,
  u8,
  u16,
  u24,
  u32,
} from './field-spec.ts'
import { geneveAt } from './geneve.ts'
import { icmpAt, icmpType, icmpUnreachable, isIcmpEcho } from './icmp.ts'
import { icmpv6At, icmpv6Type, isIcmpv6Echo } from './icmpv6.ts'
import { ipv4At, ipv4Flag } from './ipv4.ts'
import { ipv6At, ipv6FlowLabel, writeIpv6FlowLabel } from './ipv6.ts'
import type { FieldLayer } from './layer.ts'
import { ndAt } from './nd.ts'
import {
  geneveDsr,
  ipv4Dsr,
  ipv6Dsr,
  ipv6FragmentId,
  ipv6FragmentOffset,
  ipv6MoreFragments,
  ndLinkAddress,
  tcpMss,
  tcpSack,
  tcpTimestamp,
  tcpTimestampEcho,
  tcpWindowScale,
} from './option-fields.ts'
import { sctpAt } from './sctp.ts'
import { tcpAt, tcpFlags } from './tcp.ts'
import { udpAt } from './udp.ts'
import { vlanAt } from './vlan.ts'
import { vxlanAt } from './vxlan.ts'
import { wireguardAt } from './wireguard.ts'

const readOnly = ({ type, maximum, read }: FieldSpec): FieldSpec => ({ type, maximum, read })
const inPseudoHeader = (spec: FieldSpec): FieldSpec => ({ ...spec, pseudo: true })
const isChecksum = (spec: FieldSpec): FieldSpec => ({ ...spec, checksum: true })

const fragmentOffset = numberField(
  0xfff8,
  (bytes, { start }) => (readU16(bytes, start + ipv4At.flagsAndOffset) & ipv4Flag.offsetMask) << 3,
  (bytes, { start }, value) => {
    const flags = readU16(bytes, start + ipv4At.flagsAndOffset) & ~ipv4Flag.offsetMask
    writeU16(bytes, start + ipv4At.flagsAndOffset, flags | (value >>> 3))
  },
)

const flags: FieldSpec = {
  type: 'flags',
  maximum: 0x1ff,
  read: (bytes, { start }) => ({ kind: 'flags', value: tcpFlags(bytes, start) }),
  write: (bytes, { start }, value) => {
    if (value.kind !== 'flags') return
    const rest = readU16(bytes, start + tcpAt.dataOffset) & ~0x1ff
    writeU16(bytes, start + tcpAt.dataOffset, rest | value.value)
  },
}

const payloadLength = numberField(0xffff, (_, { payload, end }) => end - payload)

const isEcho = onlyWhen.bind(null, (bytes, { start }) => isIcmpEcho(readU8(bytes, start)))
const isEcho6 = onlyWhen.bind(null, (bytes, { start }) => isIcmpv6Echo(readU8(bytes, start)))
const isType = (type: number, spec: FieldSpec): FieldSpec =>
  onlyWhen((bytes, { start }) => readU8(bytes, start) === type, spec)
/** Type 3 code 4, the only unreachable with an MTU. */
const isFragmentationNeeded = onlyWhen.bind(
  null,
  (bytes, { start }) =>
    readU16(bytes, start) === ((icmpType.unreachable << 8) | icmpUnreachable.fragmentationNeeded),
)
/** Solicitation, advertisement and redirect have a target, when they are long enough. */
const hasTarget = onlyWhen.bind(null, (bytes, { start, end }) => {
  const type = readU8(bytes, start)
  const known = type >= icmpv6Type.neighbourSolicitation && type <= icmpv6Type.redirect
  return known && end - start >= ndAt.target + 16
})

/** The fields of every layer. A field without `write` can be compared, not set. */
export const fields = {
  eth: {
    src: macField(ethernetAt.source),
    dst: macField(ethernetAt.destination),
    type: u16(ethernetAt.type),
  },
  vlan: {
    vid: bits16(vlanAt.control, { shift: 0, width: 12 }),
    priority: bits16(vlanAt.control, { shift: 13, width: 3 }),
    dei: bit16(vlanAt.control, 0x1000),
    type: u16(vlanAt.type),
  },
  arp: {
    op: u16(arpAt.operation),
    sha: macField(arpAt.senderMac),
    spa: ipv4Field(arpAt.senderIp),
    tha: macField(arpAt.targetMac),
    tpa: ipv4Field(arpAt.targetIp),
  },
  ip: {
    src: inPseudoHeader(ipv4Field(ipv4At.source)),
    dst: inPseudoHeader(ipv4Field(ipv4At.destination)),
    ttl: u8(ipv4At.ttl),
    id: u16(ipv4At.identification),
    tos: u8(ipv4At.tos),
    dscp: bits16(ipv4At.versionAndLength, { shift: 2, width: 6 }),
    ecn: bits16(ipv4At.versionAndLength, { shift: 0, width: 2 }),
    version: readOnly(bits16(ipv4At.versionAndLength, { shift: 12, width: 4 })),
    ihl: readOnly(bits16(ipv4At.versionAndLength, { shift: 8, width: 4 })),
    len: readOnly(u16(ipv4At.totalLength)),
    proto: readOnly(u8(ipv4At.protocol)),
    df: bit16(ipv4At.flagsAndOffset, ipv4Flag.dontFragment),
    mf: bit16(ipv4At.flagsAndOffset, ipv4Flag.moreFragments),
    frag: fragmentOffset,
    checksum: isChecksum(u16(ipv4At.checksum)),
    'opt.dsr': ipv4Dsr,
  },
  ip6: {
    src: inPseudoHeader(ipv6Field(ipv6At.source)),
    dst: inPseudoHeader(ipv6Field(ipv6At.destination)),
    hoplimit: u8(ipv6At.hopLimit),
    flow: numberField(
      0xf_ffff,
      (bytes, { start }) => ipv6FlowLabel(bytes, start),
      (bytes, { start }, value) => writeIpv6FlowLabel(bytes, start, value),
    ),
    tc: bits16(ipv6At.versionClassFlow, { shift: 4, width: 8 }),
    dscp: bits16(ipv6At.versionClassFlow, { shift: 6, width: 6 }),
    ecn: bits16(ipv6At.versionClassFlow, { shift: 4, width: 2 }),
    next: readOnly(u8(ipv6At.nextHeader)),
    len: readOnly(u16(ipv6At.payloadLength)),
    frag: ipv6FragmentOffset,
    id: ipv6FragmentId,
    mf: ipv6MoreFragments,
    'opt.dsr': ipv6Dsr,
  },
  tcp: {
    sport: u16(tcpAt.source),
    dport: u16(tcpAt.destination),
    seq: u32(tcpAt.sequence),
    ack: u32(tcpAt.acknowledgement),
    flags,
    window: u16(tcpAt.window),
    urgent: u16(tcpAt.urgent),
    checksum: isChecksum(u16(tcpAt.checksum)),
    mss: tcpMss,
    wscale: tcpWindowScale,
    sack: tcpSack,
    ts: tcpTimestamp,
    tsecr: tcpTimestampEcho,
    doff: readOnly(bits16(tcpAt.dataOffset, { shift: 12, width: 4 })),
    len: payloadLength,
  },
  udp: {
    sport: u16(udpAt.source),
    dport: u16(udpAt.destination),
    len: readOnly(u16(udpAt.length)),
    checksum: isChecksum(u16(udpAt.checksum)),
  },
  sctp: {
    sport: u16(sctpAt.source),
    dport: u16(sctpAt.destination),
    vtag: u32(sctpAt.verificationTag),
    checksum: isChecksum(u32(sctpAt.checksum)),
    chunk: numberField(0xff, (bytes, { payload, end }) =>
      end > payload ? readU8(bytes, payload) : undefined,
    ),
  },
  icmp: {
    type: u8(icmpAt.type),
    code: u8(icmpAt.code),
    id: isEcho(u16(icmpAt.identifier)),
    seq: isEcho(u16(icmpAt.sequence)),
    mtu: isFragmentationNeeded(u16(icmpAt.mtu)),
    gateway: isType(icmpType.redirect, ipv4Field(icmpAt.gateway)),
    pointer: isType(icmpType.parameterProblem, u8(icmpAt.pointer)),
    checksum: isChecksum(u16(icmpAt.checksum)),
  },
  icmp6: {
    type: u8(icmpv6At.type),
    code: u8(icmpv6At.code),
    id: isEcho6(u16(icmpv6At.identifier)),
    seq: isEcho6(u16(icmpv6At.sequence)),
    mtu: isType(icmpv6Type.packetTooBig, u32(icmpv6At.mtu)),
    pointer: isType(icmpv6Type.parameterProblem, u32(icmpv6At.pointer)),
    target: readOnly(hasTarget(ipv6Field(ndAt.target))),
    lladdr: ndLinkAddress,
    checksum: isChecksum(u16(icmpv6At.checksum)),
  },
  vxlan: { vni: u24(vxlanAt.vni), flags: u8(vxlanAt.flags), group: u16(vxlanAt.group) },
  geneve: {
    vni: u24(geneveAt.vni),
    type: u16(geneveAt.protocol),
    flags: u8(geneveAt.flags),
    'opt.dsr': geneveDsr,
  },
  wireguard: { type: readOnly(u8(wireguardAt.type)) },
  esp: { spi: readOnly(u32(espAt.spi)), seq: readOnly(u32(espAt.sequence)) },
} as const satisfies Readonly<Record<FieldLayer, Readonly<Record<string, FieldSpec>>>>

/** The fields of every layer, for a name that is not known when this is compiled. */
const byName: Readonly<Record<FieldLayer, Readonly<Record<string, FieldSpec>>>> = fields

/** The layers that have fields. */
export const fieldLayers = Object.keys(fields) as readonly FieldLayer[]

/** The field names of every layer: the closed list of the grammar. */
export const layerFields: Readonly<Record<FieldLayer, readonly string[]>> = {
  eth: Object.keys(fields.eth),
  vlan: Object.keys(fields.vlan),
  arp: Object.keys(fields.arp),
  ip: Object.keys(fields.ip),
  ip6: Object.keys(fields.ip6),
  tcp: Object.keys(fields.tcp),
  udp: Object.keys(fields.udp),
  sctp: Object.keys(fields.sctp),
  icmp: Object.keys(fields.icmp),
  icmp6: Object.keys(fields.icmp6),
  vxlan: Object.keys(fields.vxlan),
  geneve: Object.keys(fields.geneve),
  wireguard: Object.keys(fields.wireguard),
  esp: Object.keys(fields.esp),
}

/** A field by its layer and name, if there is one. */
export function fieldNamed(layer: FieldLayer, name: string): FieldSpec | undefined {
  return Object.hasOwn(byName[layer], name) ? byName[layer][name] : undefined
}
