// A WireGuard device (drivers/net/wireguard): each packet goes encrypted to the peer whose allowed IPs its destination is in,
// and comes in only from the peer whose allowed IPs its source is in. Sessions stand from the beginning: no handshakes, no
// keepalives, no rekeying. [D]: the kernel of the facts has no WireGuard.

import { hash32 } from '../../base/hash.ts'
import { type IpAddress, isIpv4, readIpv4, readIpv6 } from '../../net/address.ts'
import { readU8, readU16 } from '../../net/bytes.ts'
import { dissect } from '../../net/dissect.ts'
import { icmpType } from '../../net/icmp.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { isMalformed } from '../../net/malformed.ts'
import { covers, type Prefix } from '../../net/prefix.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { summarise } from '../../net/summarise.ts'
import { udpAt } from '../../net/udp.ts'
import { decodeWireguard, isWireguardData, wireguardAt, writeWireguard } from '../../net/wireguard.ts'
import type { Fact } from '../../trace/event.ts'
import { open, seal, tagBytes } from '../cipher.ts'
import { countReceived } from '../counters.ts'
import { drop, endPacket } from '../drop.ts'
import { segmentAt } from '../gso.ts'
import { icmp6Send } from '../ip6/icmp-send.ts'
import type { Namespace } from '../namespace.ts'
import { arriveFromTunnel } from '../napi.ts'
import { pktType, type Skb } from '../skb.ts'
import type { UdpEncapsulation } from '../socket/udp-socket.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { leaveNamespace } from './crossing.ts'
import { type DeviceChange, type DeviceOps, type NetDevice, transmitDropped, transmitted } from './device.ts'
import { defaultTtl, pushBytes, pushOuterIp, refuseOuter, routeOuter, sendOuter } from './tunnel.ts'
import { ecnDecap, ecnEncap, innerTos } from './tunnel-ecn.ts'
import { readOuter } from './tunnel-outer.ts'
import { closeTunnelPort, finishUdp, openTunnelPort, pushUdp } from './tunnel-udp.ts'

/** What `wg set DEV peer KEY ...` says. */
export interface WireguardPeer {
  readonly publicKey: string
  /** Where it is; learned from what it sends otherwise. */
  readonly endpoint?: { readonly address: IpAddress; readonly port: number }
  readonly allowedIps: readonly Prefix[]
}

/** What `wg set DEV ...` says of a device. */
export interface WireguardConfig {
  readonly publicKey: string
  readonly port: number
  /** The mark of what it sends. */
  readonly fwmark: number
  readonly peers: readonly WireguardPeer[]
}

interface Peer {
  readonly publicKey: string
  readonly allowedIps: readonly Prefix[]
  endpoint: WireguardPeer['endpoint']
  /** The number of the next message to it. */
  counter: number
  /** Numbers of messages that came from it. */
  readonly seen: Set<number>
}

interface WireguardState {
  readonly publicKey: string
  readonly port: number
  readonly fwmark: number
  peers: readonly Peer[]
}

/** MESSAGE_PADDING_MULTIPLE */
const paddingMultiple = 16
const hostUnreachable = 1
const addressUnreachable = 3
const ecnMask = 3
const ecnCe = 3

function stateOf(dev: NetDevice): WireguardState {
  return dev.private as WireguardState
}

/** wg_allowedips_lookup_dst(), wg_allowedips_lookup_src(): the longest prefix that covers an address. */
function peerOf({ peers }: WireguardState, address: IpAddress): Peer | undefined {
  let best: Peer | undefined
  let longest = -1
  for (const peer of peers) {
    for (const prefix of peer.allowedIps) {
      if (prefix.length > longest && covers(prefix, address)) {
        best = peer
        longest = prefix.length
      }
    }
  }
  return best
}

function addressAt(skb: Skb, side: 'source' | 'destination'): IpAddress | undefined {
  const { bytes, data } = skb
  const version = skb.length === 0 ? 0 : readU8(bytes, data) >>> 4
  if (version === 4 && skb.length >= ipv4At.options) return readIpv4(bytes, data + ipv4At[side])
  return version === 6 && skb.length >= ipv6At.payload ? readIpv6(bytes, data + ipv6At[side]) : undefined
}

/** ip_tunnel_parse_protocol() */
function protocolOf(skb: Skb): number {
  const version = skb.length === 0 ? 0 : readU8(skb.bytes, skb.data) >>> 4
  return version === 4 ? etherType.ipv4 : version === 6 ? etherType.ipv6 : 0
}

/** One key for both directions of two devices. */
function sessionKey(left: string, right: string): string {
  return [left, right].sort().join(' ')
}

/** The index that a device has given a session, by which the other side names it. */
function sessionIndex(receiver: string, sender: string): number {
  return hash32(`${receiver} ${sender}`, 0)
}

/** calculate_skb_padding(): up to a multiple of 16, but not over the MTU. */
export function paddingFor(length: number, mtu: number): number {
  const last = length > mtu && mtu > 0 ? length % mtu : length
  const padded = Math.ceil(last / paddingMultiple) * paddingMultiple
  return (mtu > 0 ? Math.min(mtu, padded) : padded) - last
}

/** The line about the packet inside, for level full. */
function insideOf(dev: NetDevice, skb: Skb): readonly Fact[] {
  if (dev.ns.machine.trace?.full !== true) return []
  return [
    { kind: 'kernel', word: 'inside', text: summarise(dissect(skb.bytes.slice(skb.data, skb.tail), 'ip')) },
  ]
}

/** No peer has the address, or nobody knows where the peer is: the sender is told (icmp_ndo_send). */
function unreachable(dev: NetDevice, skb: Skb): number {
  if (skb.protocol === etherType.ipv4) {
    dev.ns.ip.stack.sendError(skb, { type: icmpType.unreachable, code: hostUnreachable, info: 0 })
  } else if (skb.protocol === etherType.ipv6) icmp6Send(skb, { type: 1, code: addressUnreachable, info: 0 })
  dev.counters.tx_dropped += 1
  refuseOuter(dev, skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
  return transmitDropped
}

/** wg_xmit() */
function transmit(dev: NetDevice, skb: Skb): number {
  skb.networkHeader = skb.data
  const destination = addressAt(skb, 'destination')
  if (destination === undefined || protocolOf(skb) !== skb.protocol) {
    dev.counters.tx_dropped += 1
    refuseOuter(dev, skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
    return transmitDropped
  }
  const peer = peerOf(stateOf(dev), destination)
  if (peer?.endpoint === undefined) return unreachable(dev, skb)
  const mtu = skb.route?.mtu ?? dev.mtu
  const pieces = skb.gsoSize > 0 ? segmentAt(dev, skb, 'gso') : [skb]
  for (const piece of pieces) sendTo(dev, piece, { ...peer.endpoint, peer, mtu })
  return transmitted
}

/** encrypt_packet(), wg_socket_send_skb_to_peer() */
function sendTo(
  dev: NetDevice,
  skb: Skb,
  to: { readonly address: IpAddress; readonly port: number; readonly peer: Peer; readonly mtu: number },
): void {
  const { publicKey, port, fwmark } = stateOf(dev)
  const { address, peer, mtu } = to
  const tos = ecnEncap(0, skb)
  const facts = insideOf(dev, skb)
  const innerBytes = skb.length
  const counter = peer.counter
  peer.counter += 1
  skb.resizeTail(innerBytes + paddingFor(innerBytes, mtu) + tagBytes)
  const { data: start, tail } = skb
  seal(
    skb.bytes,
    { start, end: tail - tagBytes },
    { key: sessionKey(publicKey, peer.publicKey), number: counter },
  )
  const at = pushBytes(skb, wireguardAt.payload)
  writeWireguard(skb.bytes, at, { receiver: sessionIndex(peer.publicKey, publicKey), counter })
  // wg_reset_packet(): nothing of the inner packet is known outside, but the socket that is charged for it
  leaveNamespace(skb)
  skb.queueMapping = 0
  skb.tcIndex = 0
  skb.gsoSize = 0
  skb.mark = fwmark
  const flow = { remote: address, local: undefined, protocol: ipProtocol.udp, tos, oif: 0 }
  const answer = routeOuter(dev, skb, { ...flow, sport: port, dport: to.port })
  if (answer.kind === 'error' || answer.route.device === dev) {
    refuseOuter(dev, skb, 'SKB_DROP_REASON_IP_OUTNOROUTES')
    return
  }
  pushUdp(skb, { source: port, destination: to.port })
  pushOuterIp(dev, skb, {
    source: answer.source,
    destination: address,
    protocol: ipProtocol.udp,
    tos,
    ttl: defaultTtl(answer.route.device, isIpv4(address) ? 4 : 6),
    dontFragment: false,
  })
  finishUdp(skb, answer.source, true)
  sendOuter(dev, skb, answer.route, innerBytes, { code: 'ENCRYPT', facts, mayBeCut: true })
}

const devices = new WeakMap<Namespace, Set<NetDevice>>()

function lose(skb: Skb): void {
  const { dev } = skb
  drop(skb, { node: dev.ns.name, device: dev.name, stage: 'decap', reason: 'SKB_DROP_REASON_NOT_SPECIFIED' })
}

/** Of which device and peer the session of a message is. */
function sessionOf(
  ns: Namespace,
  port: number,
  receiver: number,
): { readonly dev: NetDevice; readonly peer: Peer } | undefined {
  for (const dev of devices.get(ns) ?? []) {
    const { peers, publicKey, port: own } = stateOf(dev)
    if (own !== port) continue
    const peer = peers.find((each) => sessionIndex(publicKey, each.publicKey) === receiver)
    if (peer !== undefined) return { dev, peer }
  }
  return undefined
}

/** wg_receive(), decrypt_packet(). Owns the packet. */
function receive(skb: Skb, at: { readonly family: 4 | 6; readonly end: number }): void {
  const { bytes } = skb
  const header = skb.data + udpAt.payload
  const read = isWireguardData(bytes, header, at.end) ? decodeWireguard(bytes, header, at.end) : undefined
  if (read === undefined || isMalformed(read)) return lose(skb)
  const port = readU16(bytes, skb.data + udpAt.destination)
  const session = sessionOf(skb.dev.ns, port, read.receiver)
  if (session === undefined) return lose(skb)
  const { dev, peer } = session
  const outer = readOuter(skb, at.family)
  const source = readU16(bytes, skb.data + udpAt.source)
  const start = header + wireguardAt.payload
  const end = at.end - tagBytes
  const key = sessionKey(stateOf(dev).publicKey, peer.publicKey)
  if (!open(bytes, { start, end }, { key, number: read.counter }) || peer.seen.has(read.counter))
    return lose(skb)
  peer.seen.add(read.counter)
  peer.endpoint = { address: outer.source, port: source }
  skb.data = start
  skb.tail = end
  skb.macHeader = -1
  skb.networkHeader = start
  finishReceive(dev, skb, peer, outer.tos)
}

/** wg_packet_consume_data_done() */
function finishReceive(dev: NetDevice, skb: Skb, peer: Peer, tos: number): void {
  skb.dev = dev
  leaveNamespace(skb)
  skb.queueMapping = 0
  skb.vlanTci = -1
  skb.pktType = pktType.host
  const site = { node: dev.ns.name, device: dev.name, stage: 'decap' } as const
  if (skb.length === 0) {
    endPacket(skb, { ...site, kind: 'consumed' })
    return
  }
  skb.protocol = protocolOf(skb)
  const lengthAt = skb.protocol === etherType.ipv4 ? ipv4At.totalLength : ipv6At.payloadLength
  const own = readU16(skb.bytes, skb.data + lengthAt) + (skb.protocol === etherType.ipv6 ? ipv6At.payload : 0)
  if (skb.protocol === 0 || own > skb.length) return lose(skb)
  skb.tail = skb.data + own
  dev.ns.machine.trace?.note(skb, site, {
    actor: 'kernel',
    decision: { code: 'DECRYPT' },
    facts: insideOf(dev, skb),
  })
  if ((tos & ecnMask) === ecnCe && (innerTos(skb) & ecnMask) !== 0) ecnDecap(skb, tos)
  const source = addressAt(skb, 'source')
  if (source === undefined || peerOf(stateOf(dev), source) !== peer) {
    dev.counters.rx_dropped += 1
    return lose(skb)
  }
  countReceived(dev, skb.length)
  arriveFromTunnel(dev, skb)
}

const encapsulation: UdpEncapsulation = { receive, sent: () => false }

/** wg_open(), wg_stop(): the socket of both families. */
function changed(dev: NetDevice, what: DeviceChange): void {
  const { port } = stateOf(dev)
  const known = devices.get(dev.ns) ?? new Set<NetDevice>()
  devices.set(dev.ns, known)
  if (what === 'up') {
    for (const family of [4, 6] as const) openTunnelPort(dev.ns, { port, family }, encapsulation)
    known.add(dev)
  } else if (what === 'down') {
    known.delete(dev)
    for (const family of [4, 6] as const) closeTunnelPort(dev.ns, { port, family })
  }
}

const ops: DeviceOps = { transmit, changed }

/** A peer as it is known from now on; its numbers go on. */
function peerFrom({ publicKey, endpoint, allowedIps }: WireguardPeer, known: readonly Peer[]): Peer {
  const old = known.find((each) => each.publicKey === publicKey)
  const { counter = 0, seen = new Set<number>() } = old ?? {}
  return { publicKey, allowedIps, endpoint: endpoint ?? old?.endpoint, counter, seen }
}

/** `wg set DEV peer ...` for all peers: those that are not named are gone. */
export function setWireguardPeers(dev: NetDevice, peers: readonly WireguardPeer[]): void {
  const state = stateOf(dev)
  state.peers = peers.map((peer) => peerFrom(peer, state.peers))
}

/** `ip link add DEV type wireguard` with what `wg` says of it, down: no MAC addresses, no neighbours. */
export function addWireguard(ns: Namespace, options: DeviceOptions & WireguardConfig): NetDevice {
  const { name, mtu, publicKey, port, fwmark, peers } = options
  const state: WireguardState = {
    publicKey,
    port,
    fwmark,
    peers: peers.map((peer) => peerFrom(peer, [])),
  }
  return createDevice(ns, {
    name,
    mac: 0,
    mtu,
    kind: 'wireguard',
    arp: false,
    headerBytes: 0,
    ops,
    private: state,
    tunnel: true,
  })
}
