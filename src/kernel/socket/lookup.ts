// Which socket a packet is for: scoring of bound UDP sockets and TCP listeners, exact match of connected TCP.
// Linux: net/ipv4/udp.c compute_score(), net/ipv4/inet_hashtables.c compute_score() and __inet_lookup_established().
import { type IpAddress, isIpv4, isMulticast, isUnspecified, sameIp } from '../../net/address.ts'
import type { Namespace } from '../namespace.ts'
import type { Chain, Socket } from './socket.ts'

/** The ends of a packet as its receiver sees them; ports in host byte order. */
export interface Tuple {
  readonly local: IpAddress
  readonly localPort: number
  readonly remote: IpAddress
  readonly remotePort: number
  /** ifindex of the device it arrived on. */
  readonly ifindex: number
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85eb_ca6b)
  return mixed ^ (mixed >>> 15)
}

/** A 32-bit number of an address, for hashes only. */
export function addressHash(address: IpAddress, start = 0x9e37_79b9): number {
  if (isIpv4(address)) return mix(start, address) >>> 0
  let hash = start
  for (let word = 0; word < 4; word += 1) hash = mix(hash, address[word] as number)
  return hash >>> 0
}

/** A 32-bit hash of a flow (inet_ehashfn): the key of connected TCP sockets and of choices made per flow. */
export function flowKey(flow: Omit<Tuple, 'ifindex'>): number {
  const ports = ((flow.localPort << 16) | flow.remotePort) >>> 0
  const hash = mix(addressHash(flow.remote, addressHash(flow.local)), ports)
  return (hash ^ (hash >>> 13)) >>> 0
}

/** How a socket's own address fits the address a packet was sent to. */
export type LocalMatch = 'no' | 'wildcard' | 'specific'

/** inet_rcv_saddr against a destination; an IPv6 wildcard takes IPv4 too unless IPV6_V6ONLY is set. */
export function matchLocal(socket: Socket, destination: IpAddress): LocalMatch {
  const own = socket.localAddress
  if (isUnspecified(own)) {
    if (isIpv4(own)) return isIpv4(destination) ? 'wildcard' : 'no'
    return isIpv4(destination) && socket.options.v6only ? 'no' : 'wildcard'
  }
  return sameIp(own, destination) ? 'specific' : 'no'
}

/** inet_sk_bound_dev_eq: a socket bound to a device sees only what arrived there. */
function deviceFits(socket: Socket, ifindex: number): boolean {
  return socket.options.device === 0 || socket.options.device === ifindex
}

/** Points of a UDP socket for a packet (udp.c compute_score), without the address bound to; -1: not for it. */
export function udpScore(socket: Socket, tuple: Tuple): number {
  if (!deviceFits(socket, tuple.ifindex)) return -1
  let score = socket.family === 4 ? 2 : 1
  if (socket.remotePort !== 0) {
    if (socket.remotePort !== tuple.remotePort || !sameIp(socket.remoteAddress, tuple.remote)) return -1
    score += 8
  }
  return socket.options.device === 0 ? score : score + 4
}

/** Points of a TCP listener (inet_hashtables.c compute_score); -1: not for it. */
function listenerScore(socket: Socket, tuple: Tuple): number {
  if (!deviceFits(socket, tuple.ifindex)) return -1
  return (socket.options.device === 0 ? 1 : 2) + (socket.family === 4 ? 1 : 0)
}

type Score = (socket: Socket, tuple: Tuple) => number

/** The best of a chain among those whose own address matches in one way; the first of equals, or one by flow hash. */
function best(chain: readonly Socket[], tuple: Tuple, score: Score, wanted: LocalMatch): Socket | undefined {
  let winner: Socket | undefined
  let points = -1
  for (const socket of chain) {
    if (matchLocal(socket, tuple.local) !== wanted) continue
    const own = score(socket, tuple)
    if (own <= points) continue
    winner = socket
    points = own
  }
  if (winner === undefined || !winner.options.reusePort || winner.remotePort !== 0) return winner
  return reusePortChoice(chain, tuple, winner)
}

/** reuseport_select_sock: the group shares one address; the flow's hash picks, in the order of binding. */
function reusePortChoice(chain: readonly Socket[], tuple: Tuple, winner: Socket): Socket {
  const group = chain.filter(
    (other) =>
      other.options.reusePort &&
      other.remotePort === 0 &&
      other.family === winner.family &&
      other.options.device === winner.options.device &&
      sameIp(other.localAddress, winner.localAddress),
  )
  if (group.length < 2) return winner
  group.sort((left, right) => left.order - right.order)
  const index = Math.floor((flowKey(tuple) * group.length) / 0x1_0000_0000)
  return group[index] ?? winner
}

function inBoundChain(table: Chain<Socket> | undefined, tuple: Tuple, score: Score): Socket | undefined {
  const chain = table?.get(tuple.localPort)
  if (chain === undefined) return undefined
  return best(chain, tuple, score, 'specific') ?? best(chain, tuple, score, 'wildcard')
}

/** __udp4_lib_lookup, __udp6_lib_lookup: connected, then bound to the address, then wildcard. */
export function lookupUdp(ns: Namespace, tuple: Tuple): Socket | undefined {
  return inBoundChain(ns.sockets.udp, tuple, udpScore)
}

/** ip_mc_sf_allow(): AF_INET sockets hear every group of their host (IP_MULTICAST_ALL); AF_INET6 ones have that off. */
function hearsGroup(socket: Socket, group: IpAddress): boolean {
  return socket.family === 4 || !isIpv4(group) || !isMulticast(group)
}

/** Every UDP socket that wants a broadcast or multicast packet (__udp_is_mcast_sock), newest first. */
export function lookupUdpGroup(ns: Namespace, tuple: Tuple): readonly Socket[] {
  const chain = ns.sockets.udp?.get(tuple.localPort)
  if (chain === undefined) return []
  return chain.filter(
    (socket) =>
      matchLocal(socket, tuple.local) !== 'no' &&
      udpScore(socket, tuple) >= 0 &&
      hearsGroup(socket, tuple.local),
  )
}

/** __inet_lookup_listener. */
export function lookupListener(ns: Namespace, tuple: Tuple): Socket | undefined {
  return inBoundChain(ns.sockets.tcpListeners, tuple, listenerScore)
}

/** __inet_lookup_established: connected sockets and those in TIME_WAIT. */
export function lookupFlow(ns: Namespace, tuple: Tuple): Socket | undefined {
  const chain = ns.sockets.tcpFlows?.get(flowKey(tuple))
  if (chain === undefined) return undefined
  for (const socket of chain) {
    if (
      socket.localPort === tuple.localPort &&
      socket.remotePort === tuple.remotePort &&
      sameIp(socket.remoteAddress, tuple.remote) &&
      sameIp(socket.localAddress, tuple.local) &&
      deviceFits(socket, tuple.ifindex)
    ) {
      return socket
    }
  }
  return undefined
}

/** __inet_lookup: a connected socket, else a listener. */
export function lookupTcp(ns: Namespace, tuple: Tuple): Socket | undefined {
  return lookupFlow(ns, tuple) ?? lookupListener(ns, tuple)
}

/** Puts a socket in front of those with the same key, as hlist_add_head does. */
export function insertSocket(table: Chain<Socket>, key: number, socket: Socket): void {
  const chain = table.get(key)
  if (chain === undefined) table.set(key, [socket])
  else chain.unshift(socket)
}

/** Takes a socket out of a table; nothing happens when it is not there. */
export function removeSocket(table: Chain<Socket> | undefined, key: number, socket: Socket): void {
  const chain = table?.get(key)
  if (table === undefined || chain === undefined) return
  const at = chain.indexOf(socket)
  if (at === -1) return
  if (chain.length === 1) table.delete(key)
  else chain.splice(at, 1)
}
