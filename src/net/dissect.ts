// Which headers a packet has, and where. Enters: any bytes at all; leaves: layers in order, through tunnels into the inner
// packet, and a reason where the bytes stop making sense. Nothing here throws and nothing is decoded but what leads on.
//
//   eth vlan* ( arp | ip | ip6 ext* ) ( tcp | udp | sctp | icmp | icmp6 )      depth 0
//        udp vxlan eth ..., udp geneve eth|ip|ip6 ..., ip ip, ip ip6, ip6 ip   depth 1 and more
import { readU8, readU16 } from './bytes.ts'
import { espAt } from './esp.ts'
import { ethernetAt } from './ethernet.ts'
import { checkGeneve, geneveAt, geneveHeaderLength } from './geneve.ts'
import { checkIpv4, ipv4At, ipv4FragmentOffset, ipv4HeaderLength, ipv4IsFragment } from './ipv4.ts'
import { checkIpv6, ipv6At } from './ipv6.ts'
import { checkExtension, extensionAt, extensionLength, isExtension } from './ipv6-extensions.ts'
import type { Dissection, Layer, LayerKind } from './layer.ts'
import type { Malformed } from './malformed.ts'
import { etherType, ipProtocol, isVlanType, tunnelPort } from './protocol.ts'
import { checkTcp, tcpHeaderLength } from './tcp.ts'
import { udpAt } from './udp.ts'
import { vxlanAt, vxlanFlag } from './vxlan.ts'
import { isWireguardData, wireguardAt } from './wireguard.ts'

export type { Dissection } from './layer.ts'
export { ipLayerAt, transportLayerAt } from './layer.ts'

const limits = { layers: 32 } as const

/** The walk over a packet: everything behind `at` is still unread. */
interface Walk {
  readonly bytes: Uint8Array
  readonly layers: Layer[]
  at: number
  end: number
  depth: number
  protocol: number
  /** lengths inside a fragment speak of the whole datagram */
  fragment: boolean
  malformed: Malformed | undefined
}

/**
 * Finds the headers of `bytes[from, to)`, which start with an Ethernet or an IP header. Never throws; wrong checksums are
 * not its business. Tunnels are recognised by UDP destination port (4789 and 8472 VXLAN, 6081 Geneve) and IP protocol.
 */
export function dissect(
  bytes: Uint8Array,
  start: 'ethernet' | 'ip' = 'ethernet',
  from = 0,
  to = bytes.length,
): Dissection {
  const walk: Walk = {
    bytes,
    layers: [],
    at: from,
    end: to,
    depth: 0,
    protocol: 0,
    fragment: false,
    malformed: undefined,
  }
  let next: LayerKind | undefined = start === 'ethernet' ? 'eth' : ipOf(walk)
  for (let count = 0; next !== undefined; count += 1) {
    if (count === limits.layers) {
      walk.malformed = { malformed: `packet: more than ${limits.layers} headers` }
      break
    }
    next = steps[next](walk)
  }
  const { layers, depth, at, end, malformed } = walk
  const payload = { start: at, end }
  if (malformed === undefined) return { bytes, layers, payload, depth }
  return { bytes, layers, payload, depth, malformed: { offset: at, reason: malformed.malformed } }
}

/** Each step checks its header, notes it, moves on behind it, and says what comes next. */
const steps: Readonly<Record<LayerKind, (walk: Walk) => LayerKind | undefined>> = {
  eth: stepEthernet,
  vlan: stepVlan,
  arp: (walk) => fixed(walk, 'arp', 28),
  ip: stepIpv4,
  ip6: stepIpv6,
  ext: stepExtension,
  tcp: stepTcp,
  udp: stepUdp,
  sctp: (walk) => fixed(walk, 'sctp', 12),
  icmp: (walk) => fixed(walk, 'icmp', 8),
  icmp6: (walk) => fixed(walk, 'icmp6', 8),
  vxlan: stepVxlan,
  geneve: stepGeneve,
  wireguard: (walk) => fixed(walk, 'wireguard', wireguardAt.payload),
  esp: (walk) => fixed(walk, 'esp', espAt.payload),
}

function note(walk: Walk, kind: LayerKind, headerBytes: number): void {
  const { at: start, end, depth, protocol } = walk
  walk.layers.push({ kind, start, payload: start + headerBytes, end, depth, protocol })
  walk.at = start + headerBytes
}

function broken(walk: Walk, wrong: Malformed): undefined {
  walk.malformed = wrong
  return undefined
}

/** A header of fixed length that nothing known follows. */
function fixed(walk: Walk, kind: LayerKind, headerBytes: number): undefined {
  if (walk.end - walk.at < headerBytes) return broken(walk, { malformed: `${kind}: shorter than its header` })
  note(walk, kind, headerBytes)
  return undefined
}

function stepEthernet(walk: Walk): LayerKind | undefined {
  if (walk.end - walk.at < ethernetAt.payload) {
    return broken(walk, { malformed: 'ethernet: shorter than its header' })
  }
  const type = readU16(walk.bytes, walk.at + ethernetAt.type)
  note(walk, 'eth', ethernetAt.payload)
  return byEtherType(walk, type)
}

function stepVlan(walk: Walk): LayerKind | undefined {
  if (walk.end - walk.at < 4) return broken(walk, { malformed: 'vlan: shorter than its tag' })
  const type = readU16(walk.bytes, walk.at + 2)
  note(walk, 'vlan', 4)
  return byEtherType(walk, type)
}

function byEtherType(walk: Walk, type: number): LayerKind | undefined {
  walk.protocol = type
  if (type === etherType.ipv4) return 'ip'
  if (type === etherType.ipv6) return 'ip6'
  if (type === etherType.arp) return 'arp'
  return isVlanType(type) ? 'vlan' : undefined
}

function stepIpv4(walk: Walk): LayerKind | undefined {
  const { bytes, at } = walk
  const wrong = checkIpv4(bytes, at, walk.end)
  if (wrong !== undefined) return broken(walk, wrong)
  walk.end = at + readU16(bytes, at + ipv4At.totalLength)
  note(walk, 'ip', ipv4HeaderLength(bytes, at))
  walk.fragment = ipv4IsFragment(bytes, at)
  return byIpProtocol(walk, readU8(bytes, at + ipv4At.protocol), ipv4FragmentOffset(bytes, at))
}

function stepIpv6(walk: Walk): LayerKind | undefined {
  const { bytes, at } = walk
  const wrong = checkIpv6(bytes, at, walk.end)
  if (wrong !== undefined) return broken(walk, wrong)
  walk.end = at + ipv6At.payload + readU16(bytes, at + ipv6At.payloadLength)
  note(walk, 'ip6', ipv6At.payload)
  walk.fragment = false
  return byIpv6Protocol(walk, readU8(bytes, at + ipv6At.nextHeader), 0)
}

function stepExtension(walk: Walk): LayerKind | undefined {
  const { bytes, at, protocol } = walk
  const wrong = checkExtension(bytes, at, walk.end, protocol)
  if (wrong !== undefined) return broken(walk, wrong)
  note(walk, 'ext', extensionLength(bytes, at, protocol))
  let fragmentOffset = 0
  if (protocol === ipProtocol.fragment) {
    const word = readU16(bytes, at + extensionAt.fragmentOffset)
    fragmentOffset = word & 0xfff8
    walk.fragment = (word & 0xfff9) !== 0
  }
  return byIpv6Protocol(walk, readU8(bytes, at), fragmentOffset)
}

function byIpv6Protocol(walk: Walk, protocol: number, fragmentOffset: number): LayerKind | undefined {
  if (fragmentOffset === 0 && isExtension(protocol)) {
    walk.protocol = protocol
    return 'ext'
  }
  return byIpProtocol(walk, protocol, fragmentOffset)
}

function byIpProtocol(walk: Walk, protocol: number, fragmentOffset: number): LayerKind | undefined {
  walk.protocol = protocol
  if (fragmentOffset > 0) return undefined
  switch (protocol) {
    case ipProtocol.tcp:
      return 'tcp'
    case ipProtocol.udp:
      return 'udp'
    case ipProtocol.icmp:
      return 'icmp'
    case ipProtocol.icmp6:
      return 'icmp6'
    case ipProtocol.sctp:
      return 'sctp'
    case ipProtocol.esp:
      return walk.end - walk.at >= espAt.payload ? 'esp' : undefined
    case ipProtocol.ipip:
      return inside(walk, 'ip')
    case ipProtocol.ipv6:
      return inside(walk, 'ip6')
    default:
      return undefined
  }
}

function stepTcp(walk: Walk): undefined {
  const wrong = checkTcp(walk.bytes, walk.at, walk.end)
  if (wrong !== undefined) return broken(walk, wrong)
  note(walk, 'tcp', tcpHeaderLength(walk.bytes, walk.at))
  return undefined
}

function stepUdp(walk: Walk): LayerKind | undefined {
  const { bytes, at, end } = walk
  if (end - at < udpAt.payload) return broken(walk, { malformed: 'udp: shorter than its header' })
  const length = readU16(bytes, at + udpAt.length)
  if (length < udpAt.payload) return broken(walk, { malformed: 'udp: length is below 8' })
  if (length > end - at && !walk.fragment) {
    return broken(walk, { malformed: 'udp: length reaches past the packet' })
  }
  walk.end = Math.min(end, at + length)
  note(walk, 'udp', udpAt.payload)
  if (walk.fragment) return undefined
  return tunnelBehind(walk, readU16(bytes, at + udpAt.destination))
}

/** A port alone is a guess: what does not look like a tunnel header is payload, not malformed. */
function tunnelBehind(walk: Walk, port: number): LayerKind | undefined {
  walk.protocol = 0
  const { bytes, at, end } = walk
  if (port === tunnelPort.vxlan || port === tunnelPort.vxlanLinux) {
    const whole = end - at >= vxlanAt.payload
    return whole && (readU8(bytes, at) & vxlanFlag.vniPresent) !== 0 ? 'vxlan' : undefined
  }
  if (port === tunnelPort.wireguard && isWireguardData(bytes, at, end)) return 'wireguard'
  return port === tunnelPort.geneve && checkGeneve(bytes, at, end) === undefined ? 'geneve' : undefined
}

function stepVxlan(walk: Walk): LayerKind | undefined {
  note(walk, 'vxlan', vxlanAt.payload)
  return inside(walk, 'eth')
}

function stepGeneve(walk: Walk): LayerKind | undefined {
  const { bytes, at } = walk
  note(walk, 'geneve', geneveHeaderLength(bytes, at))
  const type = readU16(bytes, at + geneveAt.protocol)
  if (type === etherType.ethernet) return inside(walk, 'eth')
  if (type === etherType.ipv4) return inside(walk, 'ip')
  return type === etherType.ipv6 ? inside(walk, 'ip6') : undefined
}

function inside(walk: Walk, kind: LayerKind): LayerKind {
  walk.depth += 1
  walk.fragment = false
  return kind
}

/** Which IP version the first byte claims; the check of that version reports what is wrong. */
function ipOf(walk: Walk): LayerKind {
  return walk.end > walk.at && readU8(walk.bytes, walk.at) >>> 4 === 6 ? 'ip6' : 'ip'
}
