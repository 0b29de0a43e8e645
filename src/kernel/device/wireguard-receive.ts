// The way in of a WireGuard device: drivers/net/wireguard/receive.c. What is lost here Linux frees without a reason
// (dev_kfree_skb); it is shown as lost all the same.
import { isLinkLocal } from '../../net/address.ts'
import { readU16 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { isMalformed } from '../../net/malformed.ts'
import { etherType } from '../../net/protocol.ts'
import { udpAt } from '../../net/udp.ts'
import {
  authTagBytes,
  decodeWireguard,
  isWireguardData,
  wireguardAt,
  wireguardMinimum,
} from '../../net/wireguard.ts'
import { open } from '../cipher.ts'
import { countReceived } from '../counters.ts'
import { drop, endPacket } from '../drop.ts'
import { insideOf } from '../inside.ts'
import type { Namespace } from '../namespace.ts'
import { arriveFromTunnel } from '../napi.ts'
import { pktType, type Skb } from '../skb.ts'
import type { UdpEncapsulation } from '../socket/udp-socket.ts'
import type { NetDevice } from './device.ts'
import { ecnDecap } from './tunnel-ecn.ts'
import { readOuter } from './tunnel-outer.ts'
import { closeTunnelPort, openTunnelPort } from './tunnel-udp.ts'
import { innerAddress, innerProtocol, resetPacket } from './wireguard-packet.ts'
import { counterIsNew, type Endpoint, type Peer, peerOf, wireguardState } from './wireguard-peers.ts'

const devices = new WeakMap<Namespace, Set<NetDevice>>()

function lose(skb: Skb): void {
  const { dev } = skb
  drop(skb, { node: dev.ns.name, device: dev.name, stage: 'decap', reason: 'SKB_DROP_REASON_NOT_SPECIFIED' })
}

/** A packet that its peer should not have sent (dishonest_packet_*). */
function refuse(dev: NetDevice, skb: Skb): void {
  dev.counters.rx_errors += 1
  lose(skb)
}

/** Of which device and peer the session of a message is. */
function sessionOf(
  ns: Namespace,
  port: number,
  receiver: number,
): { readonly dev: NetDevice; readonly peer: Peer } | undefined {
  for (const dev of devices.get(ns) ?? []) {
    const { peers, port: own } = wireguardState(dev)
    if (own !== port) continue
    const peer = peers.find(({ localIndex }) => localIndex === receiver)
    if (peer !== undefined) return { dev, peer }
  }
  return undefined
}

/** wg_socket_endpoint_from_skb(): where the message came from, and by which own address and device. */
function endpointFrom(skb: Skb, family: 4 | 6): Endpoint & { readonly tos: number } {
  const { source: address, destination: source, tos } = readOuter(skb, family)
  const port = readU16(skb.bytes, skb.data + udpAt.source)
  const scoped = family === 4 || isLinkLocal(address)
  return { address, port, source, ifindex: scoped ? skb.ingressIfindex : 0, tos }
}

/** wg_packet_receive(), decrypt_packet(), wg_packet_rx_poll(). Owns the packet. */
function receive(skb: Skb, at: { readonly family: 4 | 6; readonly end: number }): void {
  const { bytes } = skb
  const header = skb.data + udpAt.payload
  const read = isWireguardData(bytes, header, at.end) ? decodeWireguard(bytes, header, at.end) : undefined
  if (read === undefined || isMalformed(read)) return lose(skb)
  const session = sessionOf(skb.dev.ns, readU16(bytes, skb.data + udpAt.destination), read.receiver)
  if (session === undefined) return lose(skb)
  const { dev, peer } = session
  const start = header + wireguardAt.payload
  const end = at.end - authTagBytes
  if (!open(bytes, { start, end }, { key: peer.key, number: read.counter })) return lose(skb)
  if (!counterIsNew(peer, read.counter)) return lose(skb)
  const { tos, ...endpoint } = endpointFrom(skb, at.family)
  peer.endpoint = endpoint
  skb.data = start
  skb.tail = end
  skb.macHeader = -1
  skb.networkHeader = start
  skb.pktType = pktType.host
  resetPacket(skb, 'decapsulating')
  consume(dev, skb, peer, tos)
}

/** What the IP header says its packet is long, 0 for less than a header. */
function ownLength(skb: Skb): number {
  if (skb.protocol === etherType.ipv6)
    return readU16(skb.bytes, skb.data + ipv6At.payloadLength) + ipv6At.payload
  const length = readU16(skb.bytes, skb.data + ipv4At.totalLength)
  return length < ipv4At.options ? 0 : length
}

/** wg_packet_consume_data_done(): the device counts whole messages, with their padding. */
function consume(dev: NetDevice, skb: Skb, peer: Peer, tos: number): void {
  const messageBytes = skb.length + wireguardMinimum
  skb.dev = dev
  const site = { node: dev.ns.name, device: dev.name, stage: 'decap' } as const
  if (skb.length === 0) {
    countReceived(dev, messageBytes)
    endPacket(skb, { ...site, kind: 'consumed' })
    return
  }
  skb.protocol = innerProtocol(skb)
  const length = skb.protocol === 0 ? 0 : ownLength(skb)
  if (length === 0 || length > skb.length) return refuse(dev, skb)
  // CE outside that nobody inside understands is no reason to drop here
  ecnDecap(skb, tos)
  skb.tail = skb.data + length
  dev.ns.machine.trace?.note(skb, site, {
    actor: 'kernel',
    decision: { code: 'DECRYPT' },
    facts: insideOf(dev, skb),
  })
  const source = innerAddress(skb, 'source')
  if (source === undefined || peerOf(wireguardState(dev), source) !== peer) return refuse(dev, skb)
  countReceived(dev, messageBytes)
  arriveFromTunnel(dev, skb)
}

const encapsulation: UdpEncapsulation = { receive, sent: () => false }

/** wg_socket_init(): the sockets of both families. */
export function listen(dev: NetDevice): void {
  const { port } = wireguardState(dev)
  const known = devices.get(dev.ns) ?? new Set<NetDevice>()
  devices.set(dev.ns, known)
  for (const family of [4, 6] as const) openTunnelPort(dev.ns, { port, family }, encapsulation)
  known.add(dev)
}

/** wg_socket_reinit() without sockets. */
export function stopListening(dev: NetDevice): void {
  const { port } = wireguardState(dev)
  devices.get(dev.ns)?.delete(dev)
  for (const family of [4, 6] as const) closeTunnelPort(dev.ns, { port, family })
}
