// One line about a packet, as traces and capture views show it.
//
//   tcp 10.1.0.50:4000 > 10.2.0.2:80 S ttl 64
//   arp who-has 10.0.0.1 tell 10.0.0.2
//   icmp time-exceeded 10.0.0.1 > 10.0.0.2 ttl 64
//   vxlan vni 42 192.168.5.11 > 192.168.5.12 tcp 10.0.1.10:40000 > 10.0.2.20:80 S ttl 63
import { type IpAddress, readIpv4, readIpv6 } from './address.ts'
import { decodeArp, describeArp } from './arp.ts'
import { readU8, readU16, readU24, readU32 } from './bytes.ts'
import { decodeEthernet, describeEthernet } from './ethernet.ts'
import { decodeGeneve } from './geneve.ts'
import { decodeIcmp, icmpDetails, icmpName } from './icmp.ts'
import { decodeIcmpv6, icmpv6Details, icmpv6Name, isNeighbourDiscovery } from './icmpv6.ts'
import { ipv4At, ipv4Flag, ipv4FragmentOffset } from './ipv4.ts'
import { ipv6At } from './ipv6.ts'
import { type Dissection, ipLayerAt, type Layer, sealedLayer, transportLayerAt } from './layer.ts'
import { isMalformed } from './malformed.ts'
import { endpointText, type Naming, plainNaming } from './naming.ts'
import { decodeNd, describeNd } from './nd.ts'
import { ipProtocol, ipProtocolName } from './protocol.ts'
import { decodeSctp, sctpChunkName } from './sctp.ts'
import { tcpFlagLetters, tcpFlags } from './tcp.ts'
import { vxlanAt } from './vxlan.ts'

/** The line of a packet, tunnels first, the reason last where its bytes stop making sense. */
export function summarise(dissection: Dissection, naming: Naming = plainNaming): string {
  const words: string[] = []
  for (let depth = 0; depth < dissection.depth; depth += 1) words.push(tunnelText(dissection, depth, naming))
  words.push(packetText(dissection, naming))
  if (dissection.malformed !== undefined) words.push(`malformed (${dissection.malformed.reason})`)
  return words.filter((word) => word !== '').join(' ')
}

/** `vxlan vni 42 n1 > n2`, `ipip n1 > n2` */
function tunnelText(dissection: Dissection, depth: number, naming: Naming): string {
  const { bytes, layers } = dissection
  const ip = ipLayerAt(dissection, depth)
  const ends = ip === undefined ? '' : ` ${endsText(dissection, ip, naming)}`
  const tunnel = layers.find(
    (layer) => layer.depth === depth && (layer.kind === 'vxlan' || layer.kind === 'geneve'),
  )
  if (tunnel?.kind === 'vxlan') return `vxlan vni ${readU24(bytes, tunnel.start + vxlanAt.vni)}${ends}`
  if (tunnel === undefined) return `ipip${ends}`
  const header = decodeGeneve(bytes, tunnel.start, tunnel.payload)
  return isMalformed(header) ? `geneve${ends}` : `geneve vni ${header.vni}${ends}`
}

/** The two addresses of an IP header. */
export function addressesOf(
  dissection: Dissection,
  ip: Layer,
): { source: IpAddress; destination: IpAddress } {
  const { bytes } = dissection
  if (ip.kind === 'ip') {
    const source = readIpv4(bytes, ip.start + ipv4At.source)
    return { source, destination: readIpv4(bytes, ip.start + ipv4At.destination) }
  }
  const source = readIpv6(bytes, ip.start + ipv6At.source)
  return { source, destination: readIpv6(bytes, ip.start + ipv6At.destination) }
}

function endsText(dissection: Dissection, ip: Layer, naming: Naming): string {
  const { source, destination } = addressesOf(dissection, ip)
  return `${naming.ip(source)} > ${naming.ip(destination)}`
}

function packetText(dissection: Dissection, naming: Naming): string {
  const { bytes, layers, depth } = dissection
  const ip = ipLayerAt(dissection, depth)
  if (ip !== undefined) return ipText(dissection, ip, naming)
  const arp = layers.find((layer) => layer.kind === 'arp' && layer.depth === depth)
  if (arp !== undefined) {
    const header = decodeArp(bytes, arp.start, arp.end)
    return isMalformed(header) ? header.malformed : describeArp(header, naming)
  }
  const frame = layers.findLast((layer) => layer.kind === 'eth')
  if (frame === undefined) return 'packet'
  const header = decodeEthernet(bytes, frame.start, frame.end)
  return isMalformed(header) ? header.malformed : describeEthernet(header, naming)
}

function ipText(dissection: Dissection, ip: Layer, naming: Naming): string {
  const { bytes } = dissection
  const hops = readU8(bytes, ip.start + (ip.kind === 'ip' ? ipv4At.ttl : ipv6At.hopLimit))
  const transport = transportLayerAt(dissection, ip.depth)
  const sealed = sealedLayer(dissection)
  const plain = transport === undefined ? undefined : transportText(dissection, ip, transport, naming)
  const text = sealed?.depth === ip.depth ? `${sealed.kind} ${endsText(dissection, ip, naming)}` : plain
  const fragment = fragmentText(dissection, ip)
  return `${text ?? `${upperName(dissection, ip)} ${endsText(dissection, ip, naming)}`}${fragment} ttl ${hops}`
}

/** The name of the upper protocol, whose header is missing or unknown. */
function upperName(dissection: Dissection, ip: Layer): string {
  const { bytes, layers } = dissection
  const last = layers.findLast((layer) => layer.kind === 'ext' && layer.depth === ip.depth)
  if (last !== undefined) return ipProtocolName(readU8(bytes, last.start))
  const at = ip.kind === 'ip' ? ipv4At.protocol : ipv6At.nextHeader
  return ipProtocolName(readU8(bytes, ip.start + at))
}

/** ` frag 1480+` for a fragment at byte 1480 that is not the last. */
function fragmentText(dissection: Dissection, ip: Layer): string {
  const { bytes, layers } = dissection
  if (ip.kind === 'ip') {
    const more = (readU16(bytes, ip.start + ipv4At.flagsAndOffset) & ipv4Flag.moreFragments) !== 0
    const offset = ipv4FragmentOffset(bytes, ip.start)
    return more || offset > 0 ? ` frag ${offset}${more ? '+' : ''}` : ''
  }
  const header = layers.find(({ kind, protocol }) => kind === 'ext' && protocol === ipProtocol.fragment)
  if (header === undefined) return ''
  const word = readU16(bytes, header.start + 2)
  return ` frag ${word & 0xfff8}${(word & 1) === 1 ? '+' : ''}`
}

function transportText(dissection: Dissection, ip: Layer, layer: Layer, naming: Naming): string | undefined {
  const { bytes } = dissection
  switch (layer.kind) {
    case 'tcp':
      return `tcp ${portsText(dissection, ip, layer, naming)} ${tcpFlagLetters(tcpFlags(bytes, layer.start))}`
    case 'udp':
      return `udp ${portsText(dissection, ip, layer, naming)}`
    case 'sctp': {
      const header = decodeSctp(bytes, layer.start, layer.end)
      const chunk = isMalformed(header) ? undefined : header.chunks[0]
      const ends = portsText(dissection, ip, layer, naming)
      return `sctp ${ends}${chunk === undefined ? '' : ` ${sctpChunkName(chunk.type)}`}`
    }
    case 'icmp':
    case 'icmp6':
      return icmpText(dissection, ip, layer, naming)
    default:
      return undefined
  }
}

function portsText(dissection: Dissection, ip: Layer, layer: Layer, naming: Naming): string {
  const { source, destination } = addressesOf(dissection, ip)
  const ports = readU32(dissection.bytes, layer.start)
  return `${endpointText(naming, source, ports >>> 16)} > ${endpointText(naming, destination, ports & 0xffff)}`
}

/** `icmp host-unreachable A > B`: the addresses stand behind the name, the details behind the addresses. */
function icmpText(dissection: Dissection, ip: Layer, layer: Layer, naming: Naming): string | undefined {
  const { bytes } = dissection
  const ends = endsText(dissection, ip, naming)
  if (layer.kind === 'icmp6' && isNeighbourDiscovery(readU8(bytes, layer.start))) {
    const message = decodeNd(bytes, layer.start, layer.end)
    if (!isMalformed(message)) return `${describeNd(message, naming)} ${ends}`
  }
  if (layer.kind === 'icmp') {
    const header = decodeIcmp(bytes, layer.start, layer.end)
    if (isMalformed(header)) return undefined
    return `icmp ${icmpName(header.type, header.code)} ${ends}${icmpDetails(header)}`
  }
  const header = decodeIcmpv6(bytes, layer.start, layer.end)
  if (isMalformed(header)) return undefined
  return `icmp6 ${icmpv6Name(header.type, header.code)} ${ends}${icmpv6Details(header)}`
}
