// A packet from its layers: what scenarios write by hand and what devices generate. Enters: a list of headers, outermost
// first, with only the interesting fields; leaves: whole bytes. Lengths, type numbers and checksums are worked out unless
// they are given, so that a wrong one can be made on purpose.
import { anyIpv4, anyIpv6 } from './address.ts'
import { encodeArp } from './arp.ts'
import { concatBytes } from './bytes.ts'
import { writeSegmentChecksum } from './checksum.ts'
import { encodeEthernet } from './ethernet.ts'
import { encodeGeneve } from './geneve.ts'
import { encodeIcmp } from './icmp.ts'
import { encodeIcmpv6 } from './icmpv6.ts'
import { encodeIpv4, writeIpv4Checksum } from './ipv4.ts'
import { encodeIpv6 } from './ipv6.ts'
import { encodeExtension } from './ipv6-extensions.ts'
import type {
  IcmpSpec,
  Ipv4Spec,
  Ipv6Spec,
  LayerSpec,
  NdSpec,
  PayloadSpec,
  SctpSpec,
  TcpSpec,
  UdpSpec,
} from './layer-spec.ts'
import { zeroMac } from './mac.ts'
import { encodeNd } from './nd.ts'
import { etherType, ipProtocol } from './protocol.ts'
import { encodeSctp, writeSctpChecksum } from './sctp.ts'
import { encodeTcp } from './tcp.ts'
import { encodeUdp } from './udp.ts'
import { encodeVlan } from './vlan.ts'
import { encodeVxlan, vxlanFlag } from './vxlan.ts'

/** The bytes of a packet. IP headers longer than 60 bytes and options that do not fit are the caller's mistake. */
export function buildPacket(layers: readonly LayerSpec[]): Uint8Array {
  const sizes = layers.map((layer) => encodeLayer(layer, undefined, 0).length)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const parts: Uint8Array[] = []
  let offset = 0
  layers.forEach((layer, index) => {
    parts.push(encodeLayer(layer, layers[index + 1], total - offset))
    offset += sizes[index] ?? 0
  })
  const bytes = concatBytes(parts)
  writeMissingChecksums(bytes, layers, sizes)
  return bytes
}

/** Checksums that were not given, innermost first, because outer ones cover inner ones. */
function writeMissingChecksums(
  bytes: Uint8Array,
  layers: readonly LayerSpec[],
  sizes: readonly number[],
): void {
  let start = bytes.length
  for (let index = layers.length - 1; index >= 0; index -= 1) {
    start -= sizes[index] ?? 0
    const layer = layers[index]
    if (layer === undefined || ('checksum' in layer && layer.checksum !== undefined)) continue
    if (layer.kind === 'ip') writeIpv4Checksum(bytes, start)
    else if (layer.kind === 'sctp') writeSctpChecksum(bytes, start, bytes.length)
    else writeTransport(bytes, layers, sizes, index, start)
  }
}

function writeTransport(
  bytes: Uint8Array,
  layers: readonly LayerSpec[],
  sizes: readonly number[],
  index: number,
  l4: number,
): void {
  const layer = layers[index]
  const protocol = layer === undefined ? 0 : ipProtocolOf(layer)
  const internet = layer?.kind === 'tcp' || layer?.kind === 'udp' || layer?.kind === 'icmp'
  if (!internet && layer?.kind !== 'icmp6' && layer?.kind !== 'nd') return
  let l3 = l4
  for (let below = index - 1; below >= 0; below -= 1) {
    l3 -= sizes[below] ?? 0
    const kind = layers[below]?.kind
    if (kind === 'ip' || kind === 'ip6') {
      writeSegmentChecksum(bytes, { l3, l4, end: bytes.length, protocol })
      return
    }
  }
}

/** The EtherType that announces a layer, 0 for bytes that nothing announces. */
function etherTypeOf(layer: LayerSpec | undefined): number {
  switch (layer?.kind) {
    case 'ip':
      return etherType.ipv4
    case 'ip6':
      return etherType.ipv6
    case 'arp':
      return etherType.arp
    case 'vlan':
      return layer.tag === 'ad' ? etherType.qinq : etherType.vlan
    case 'eth':
      return etherType.ethernet
    default:
      return 0
  }
}

const ipProtocols = {
  ip: ipProtocol.ipip,
  ip6: ipProtocol.ipv6,
  tcp: ipProtocol.tcp,
  udp: ipProtocol.udp,
  sctp: ipProtocol.sctp,
  icmp: ipProtocol.icmp,
  icmp6: ipProtocol.icmp6,
  nd: ipProtocol.icmp6,
} as const

/** The IP protocol that announces a layer; bytes of no known protocol are announced as `none` (59). */
function ipProtocolOf(layer: LayerSpec | undefined): number {
  if (layer === undefined) return ipProtocol.none
  if (layer.kind === 'ext') return layer.protocol
  return layer.kind in ipProtocols ? ipProtocols[layer.kind as keyof typeof ipProtocols] : ipProtocol.none
}

/** One header; `length` counts from its first byte to the end of the packet. */
function encodeLayer(layer: LayerSpec, next: LayerSpec | undefined, length: number): Uint8Array {
  switch (layer.kind) {
    case 'eth': {
      const { source = zeroMac, destination = zeroMac, type = etherTypeOf(next) } = layer
      return encodeEthernet({ source, destination, type })
    }
    case 'vlan': {
      const { vid, priority = 0, dropEligible = false, type = etherTypeOf(next) } = layer
      return encodeVlan({ vid, priority, dropEligible, type })
    }
    case 'arp': {
      const { operation, senderMac = zeroMac, senderIp = anyIpv4 } = layer
      const { targetMac = zeroMac, targetIp = anyIpv4 } = layer
      return encodeArp({ operation, senderMac, senderIp, targetMac, targetIp })
    }
    case 'ip':
      return ipv4Bytes(layer, next, length)
    case 'ip6':
      return ipv6Bytes(layer, next, length)
    case 'ext':
      return encodeExtension({ ...layer.extension, nextHeader: layer.nextHeader ?? ipProtocolOf(next) })
    case 'tcp':
      return tcpBytes(layer)
    case 'vxlan': {
      const { vni, flags = vxlanFlag.vniPresent, group = 0 } = layer
      return encodeVxlan({ vni, flags, group })
    }
    case 'geneve': {
      const { vni, control = false, critical = false, options = [], protocol = etherTypeOf(next) } = layer
      return encodeGeneve({ vni, control, critical, options, protocol })
    }
    default:
      return encodeUpper(layer, length)
  }
}

type UpperSpec = UdpSpec | SctpSpec | IcmpSpec | NdSpec | PayloadSpec

function encodeUpper(layer: UpperSpec, length: number): Uint8Array {
  switch (layer.kind) {
    case 'udp':
      return encodeUdp({ ...layer, length: layer.length ?? length, checksum: layer.checksum ?? 0 })
    case 'sctp': {
      const { source, destination, verificationTag = 0, checksum = 0, chunks = [] } = layer
      return encodeSctp({ source, destination, verificationTag, checksum, chunks })
    }
    case 'icmp':
    case 'icmp6': {
      const { type, code = 0, checksum = 0, rest = 0 } = layer
      return layer.kind === 'icmp'
        ? encodeIcmp({ type, code, checksum, rest })
        : encodeIcmpv6({ type, code, checksum, rest })
    }
    case 'nd':
      return encodeNd(layer.message)
    case 'payload':
      return layer.bytes
  }
}

function ipv4Bytes(layer: Ipv4Spec, next: LayerSpec | undefined, length: number): Uint8Array {
  const { source = anyIpv4, destination = anyIpv4, ttl = 64, tos = 0, identification = 0 } = layer
  const { reservedFlag = false, dontFragment = false, moreFragments = false, fragmentOffset = 0 } = layer
  const { protocol = ipProtocolOf(next), totalLength = length, checksum = 0, options = [] } = layer
  const fragment = { reservedFlag, dontFragment, moreFragments, fragmentOffset, identification }
  return encodeIpv4({ source, destination, ttl, tos, ...fragment, protocol, totalLength, checksum, options })
}

function ipv6Bytes(layer: Ipv6Spec, next: LayerSpec | undefined, length: number): Uint8Array {
  const { source = anyIpv6, destination = anyIpv6, hopLimit = 64, trafficClass = 0, flowLabel = 0 } = layer
  const { nextHeader = ipProtocolOf(next), payloadLength = Math.max(0, length - 40) } = layer
  return encodeIpv6({ source, destination, hopLimit, trafficClass, flowLabel, nextHeader, payloadLength })
}

function tcpBytes(layer: TcpSpec): Uint8Array {
  const { source, destination, sequence = 0, acknowledgement = 0, flags = 2, window = 65535 } = layer
  const { urgent = 0, checksum = 0, options = [] } = layer
  const numbers = { sequence, acknowledgement, reserved: 0, flags, window, checksum, urgent }
  return encodeTcp({ source, destination, ...numbers, options })
}
