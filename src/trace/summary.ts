// A packet in one line: `tcp client:40000 > server:80 S ttl 64`. Enters: a snapshot; leaves: the words behind the
// packet's name in a trace, the same for IPv4 and IPv6. The outermost packet is described.

import { decodeArp, describeArp } from '../net/arp.ts'
import { readU8, readU16, readU32 } from '../net/bytes.ts'
import { icmpName, isIcmpEcho } from '../net/icmp.ts'
import { icmpv6Name, isIcmpv6Echo, isNeighbourDiscovery } from '../net/icmpv6.ts'
import { ipv4At, ipv4FragmentOffset, ipv4IsFragment } from '../net/ipv4.ts'
import { isMalformed } from '../net/malformed.ts'
import { decodeNd, describeNd } from '../net/nd.ts'
import { etherType, etherTypeName, ipProtocol, ipProtocolName } from '../net/protocol.ts'
import { tcpAt, tcpFlagLetters } from '../net/tcp.ts'
import { endsOf } from './effects/compare.ts'
import { hasPorts, type Layers, layersOf } from './effects/layers.ts'
import type { Snapshot } from './event.ts'
import type { Names } from './names.ts'

/** The words for a packet. Names are asked from `names`, and count as used. */
export function summaryOf(snapshot: Snapshot, names: Names): string {
  const layers = layersOf(snapshot)
  const tags = snapshot.vlanTci >= 0 ? [snapshot.vlanTci, ...layers.tags] : layers.tags
  const vlan = tags.map((tci) => ` vlan ${tci & 0xfff}`).join('')
  return `${packetText(layers, names)}${vlan}`
}

function packetText(layers: Layers, names: Names): string {
  if (layers.family !== 0) return ipText(layers, names)
  const { bytes, l3, etherType: type } = layers
  if (type === etherType.arp) {
    const arp = decodeArp(bytes, l3)
    if (!isMalformed(arp)) return describeArp(arp, names)
  }
  const kind = layers.malformed ? 'malformed' : type === 0 ? 'frame' : etherTypeName(type)
  return `${kind} ${bytes.length}B`
}

function ipText(layers: Layers, names: Names): string {
  const { bytes, l3, family, protocol, payload, end } = layers
  const { source, destination } = endsOf(layers)
  const from = names.endpoint(source.address, source.port)
  const to = names.endpoint(destination.address, destination.port)
  const length = layers.tunnel === undefined && end > payload ? ` len ${end - payload}` : ''
  const ttl = readU8(bytes, l3 + (family === 4 ? ipv4At.ttl : 7))
  const tail = `${fragmentText(layers)}${length} ttl ${ttl}`
  if (layers.l4 < 0) return `ip ${from} > ${to} ${ipProtocolName(protocol)}${tail}`
  if (hasPorts(layers)) return `${ipProtocolName(protocol)} ${from} > ${to}${flagText(layers)}${tail}`
  return `${icmpText(layers, names)} ${from} > ${to}${echoText(layers, names)}${fragmentText(layers)} ttl ${ttl}`
}

function flagText({ bytes, l4, protocol }: Layers): string {
  if (protocol !== ipProtocol.tcp) return ''
  return ` ${tcpFlagLetters(readU16(bytes, l4 + tcpAt.dataOffset) & 0x1ff)}`
}

function fragmentText({ bytes, l3, family }: Layers): string {
  if (family !== 4 || !ipv4IsFragment(bytes, l3)) return ''
  const more = (readU16(bytes, l3 + ipv4At.flagsAndOffset) & 0x2000) !== 0 ? '+' : ''
  return ` frag ${ipv4FragmentOffset(bytes, l3)}${more}`
}

function icmpText({ bytes, l4, end, protocol }: Layers, names: Names): string {
  const [type, code] = [readU8(bytes, l4), readU8(bytes, l4 + 1)]
  if (protocol === ipProtocol.icmp) return `icmp ${icmpName(type, code)}`
  if (isNeighbourDiscovery(type)) {
    const message = decodeNd(bytes, l4, end)
    if (!isMalformed(message)) return describeNd(message, names)
  }
  return `icmp6 ${icmpv6Name(type, code)}`
}

function echoText({ bytes, l4, protocol, end, payload }: Layers, names: Names): string {
  const type = readU8(bytes, l4)
  const echo = protocol === ipProtocol.icmp ? isIcmpEcho(type) : isIcmpv6Echo(type)
  if (!echo) {
    const mtu = protocol === ipProtocol.icmp && type === 3 && readU8(bytes, l4 + 1) === 4
    if (mtu) return ` mtu ${readU16(bytes, l4 + 6)}`
    return protocol === ipProtocol.icmp6 && type === 2 ? ` mtu ${readU32(bytes, l4 + 4)}` : ''
  }
  const length = end > payload ? ` len ${end - payload}` : ''
  return ` id ${names.number('identifier', readU16(bytes, l4 + 4))} seq ${readU16(bytes, l4 + 6)}${length}`
}
