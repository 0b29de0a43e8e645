// A WireGuard device (drivers/net/wireguard): each packet goes encrypted to the peer whose allowed IPs its destination is in,
// and comes in only from the peer whose allowed IPs its source is in. Sessions stand from the beginning: no handshakes, no
// keepalives, no rekeying. Compared with the driver's source; [D]: the kernel of the facts has no WireGuard.
import { present } from '../../base/assert.ts'
import { isIpv4 } from '../../net/address.ts'
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { authTagBytes, wireguardAt, writeWireguard } from '../../net/wireguard.ts'
import { seal } from '../cipher.ts'
import { flowHash } from '../flow-hash.ts'
import { segmentAt } from '../gso.ts'
import { insideOf } from '../inside.ts'
import type { RouteAnswer } from '../ip/route.ts'
import { isOwnAddress } from '../ip/source.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { errnoNumber } from '../socket/errno.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { type DeviceChange, type DeviceOps, type NetDevice, transmitted } from './device.ts'
import { icmpNdoSend } from './icmp-ndo-send.ts'
import { defaultTtl, pushBytes, pushOuterIp, refuseOuter, routeOuter, sendOuter } from './tunnel.ts'
import { ecnEncap } from './tunnel-ecn.ts'
import { finishUdp, pushUdp } from './tunnel-udp.ts'
import { innerAddress, innerProtocol, resetPacket } from './wireguard-packet.ts'
import {
  type Endpoint,
  type Peer,
  peerFrom,
  peerOf,
  type WireguardConfig,
  type WireguardPeer,
  type WireguardState,
  wireguardState,
} from './wireguard-peers.ts'
import { listen, stopListening } from './wireguard-receive.ts'

/** MESSAGE_PADDING_MULTIPLE */
const paddingMultiple = 16
/** ICMPV6_ADDR_UNREACH */
const addressUnreachable = 3

/** calculate_skb_padding(): up to a multiple of 16, but not over the MTU. */
export function paddingFor(length: number, mtu: number): number {
  const last = length > mtu && mtu > 0 ? length % mtu : length
  const padded = Math.ceil(last / paddingMultiple) * paddingMultiple
  return (mtu > 0 ? Math.min(mtu, padded) : padded) - last
}

/** The end of wg_xmit() for what it does not send: answers the error that sendto() gives. */
function refuse(dev: NetDevice, skb: Skb, error: 'ENOKEY' | 'EDESTADDRREQ' | 'EPROTONOSUPPORT'): number {
  if (error !== 'EPROTONOSUPPORT') {
    icmpNdoSend(skb, {
      four: { type: icmpType.unreachable, code: icmpUnreachable.host, info: 0 },
      six: { type: icmpv6Type.unreachable, code: addressUnreachable, info: 0 },
    })
  }
  dev.counters.tx_errors += 1
  refuseOuter(dev, skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
  return -errnoNumber[error]
}

/** wg_xmit(): without a peer ENOKEY, without its endpoint EDESTADDRREQ. */
function transmit(dev: NetDevice, skb: Skb): number {
  skb.networkHeader = skb.data
  const destination = innerAddress(skb, 'destination')
  if (destination === undefined || innerProtocol(skb) !== skb.protocol)
    return refuse(dev, skb, 'EPROTONOSUPPORT')
  const peer = peerOf(wireguardState(dev), destination)
  if (peer === undefined) return refuse(dev, skb, 'ENOKEY')
  if (peer.endpoint === undefined) return refuse(dev, skb, 'EDESTADDRREQ')
  const mtu = skb.route?.mtu ?? dev.mtu
  const pieces = skb.gsoSize > 0 ? segmentAt(dev, skb, 'gso') : [skb]
  for (const piece of pieces) sendTo(dev, piece, peer, mtu)
  return transmitted
}

/** encrypt_packet(): the padded packet becomes a data message at `skb.data`. */
function encrypt(skb: Skb, peer: Peer, mtu: number): void {
  flowHash(skb)
  skb.unfinishedSum = 0 // skb_checksum_help()
  const { counter, key, remoteIndex } = peer
  peer.counter += 1
  skb.resizeTail(skb.length + paddingFor(skb.length, mtu) + authTagBytes)
  seal(skb.bytes, { start: skb.data, end: skb.tail - authTagBytes }, { key, number: counter })
  const at = pushBytes(skb, wireguardAt.payload)
  writeWireguard(skb.bytes, at, { receiver: remoteIndex, counter })
}

/**
 * The route of send4() and send6(): from the address by which the peer was heard last, as long as it is ours and, with
 * IPv4, as long as the route leaves by the device that it was heard on; otherwise the route chooses, from now on.
 */
function routeTo(dev: NetDevice, skb: Skb, peer: Peer, endpoint: Endpoint, tos: number): RouteAnswer {
  const { port: sport } = wireguardState(dev)
  const four = isIpv4(endpoint.address)
  const flow = { remote: endpoint.address, protocol: ipProtocol.udp, tos, sport, dport: endpoint.port }
  const forget = (): RouteAnswer => {
    peer.endpoint = { ...endpoint, source: undefined, ifindex: four ? 0 : endpoint.ifindex }
    return routeOuter(dev, skb, { ...flow, local: undefined, oif: four ? 0 : endpoint.ifindex })
  }
  const { source, ifindex } = endpoint
  if (source !== undefined && !isOwnAddress(dev.ns, source)) return forget()
  const answer = routeOuter(dev, skb, { ...flow, local: source, oif: four ? 0 : ifindex })
  if (!four || ifindex === 0) return answer
  const elsewhere =
    answer.kind === 'error' ? answer.errno === 'EINVAL' : answer.route.device.ifindex !== ifindex
  return elsewhere ? forget() : answer
}

/**
 * wg_packet_create_data(), wg_socket_send_skb_to_peer(). Without a route the packet is lost uncounted. A route back into
 * the device ends here; Linux would go round.
 */
function sendTo(dev: NetDevice, skb: Skb, peer: Peer, mtu: number): void {
  const { port, fwmark } = wireguardState(dev)
  const endpoint = present(peer.endpoint, 'a peer that is sent to has its endpoint')
  const { address } = endpoint
  skb.networkHeader = skb.data
  const tos = ecnEncap(0, skb)
  const facts = insideOf(dev, skb)
  encrypt(skb, peer, mtu)
  const messageBytes = skb.length
  resetPacket(skb, 'encapsulating')
  skb.mark = fwmark
  const answer = routeTo(dev, skb, peer, endpoint, tos)
  if (answer.kind === 'error' || answer.route.device === dev) {
    refuseOuter(dev, skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
    return
  }
  const { route, source } = answer
  pushUdp(skb, { source: port, destination: endpoint.port })
  const ttl = defaultTtl(route.device, isIpv4(address) ? 4 : 6)
  const ends = { source, destination: address, protocol: ipProtocol.udp }
  pushOuterIp(dev, skb, { ...ends, tos, ttl, dontFragment: false })
  finishUdp(skb, source, true)
  sendOuter(dev, skb, route, messageBytes, { code: 'ENCRYPT', facts, mayBeCut: true })
}

/** wg_open(), wg_stop(): the socket of both families; redirects are off from then on, on the whole host too. */
function changed(dev: NetDevice, what: DeviceChange): void {
  if (what === 'up') {
    for (const name of [dev.name, 'all']) dev.ns.sysctls.set(`net.ipv4.conf.${name}.send_redirects`, 0)
    listen(dev)
  } else if (what === 'down') stopListening(dev)
}

const ops: DeviceOps = { transmit, changed }

/** `wg set DEV peer ...` for all peers: those that are not named are gone. */
export function setWireguardPeers(dev: NetDevice, peers: readonly WireguardPeer[]): void {
  const state = wireguardState(dev)
  state.peers = peers.map((peer) => peerFrom(state.publicKey, peer, state.peers))
}

/** `ip link add DEV type wireguard` with what `wg` says of it, down: no MAC addresses, no neighbours. */
export function addWireguard(ns: Namespace, options: DeviceOptions & WireguardConfig): NetDevice {
  const { name, mtu, publicKey, port, fwmark, peers } = options
  const state: WireguardState = {
    publicKey,
    port,
    fwmark,
    peers: peers.map((peer) => peerFrom(publicKey, peer, [])),
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
