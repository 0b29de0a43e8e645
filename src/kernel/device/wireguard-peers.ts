// Who a WireGuard device talks to: peers with their allowed IPs, where they are, and the numbers of messages.
// drivers/net/wireguard/peer.h, allowedips.c, receive.c counter_validate(), socket.c.
import { hash32 } from '../../base/hash.ts'
import type { IpAddress } from '../../net/address.ts'
import { covers, type Prefix } from '../../net/prefix.ts'
import type { NetDevice } from './device.ts'

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

/** struct endpoint: where a peer is, and by which own address and device it was heard last (undefined and 0 before). */
export interface Endpoint {
  readonly address: IpAddress
  readonly port: number
  readonly source: IpAddress | undefined
  /** src_if4 with IPv4; sin6_scope_id with IPv6, so 0 for all but link-local addresses. */
  readonly ifindex: number
}

export interface Peer {
  readonly publicKey: string
  readonly allowedIps: readonly Prefix[]
  endpoint: Endpoint | undefined
  /** What both sides encrypt with. */
  readonly key: string
  /** The index of the session at this side, by which messages to us name it, and the one at the other. */
  readonly localIndex: number
  readonly remoteIndex: number
  /** The number of the next message to it. */
  counter: number
  readonly received: ReceivedCounters
}

/** union noise_counter: the highest number that came plus one, and those of the window that came. */
interface ReceivedCounters {
  next: number
  readonly seen: Set<number>
}

export interface WireguardState {
  readonly publicKey: string
  readonly port: number
  readonly fwmark: number
  peers: readonly Peer[]
}

/** COUNTER_WINDOW_SIZE: COUNTER_BITS_TOTAL less one word. */
const counterWindow = 8192 - 64

export function wireguardState(dev: NetDevice): WireguardState {
  return dev.private as WireguardState
}

/**
 * wg_allowedips_lookup_dst(), wg_allowedips_lookup_src(): the longest prefix that covers an address. Of two peers with the
 * same one the later has it.
 */
export function peerOf({ peers }: WireguardState, address: IpAddress): Peer | undefined {
  let best: Peer | undefined
  let longest = 0
  for (const peer of peers) {
    for (const prefix of peer.allowedIps) {
      if (prefix.length < longest || !covers(prefix, address)) continue
      best = peer
      longest = prefix.length
    }
  }
  return best
}

/** counter_validate(): false for a number that came before, or that is too old to say. */
export function counterIsNew({ received }: Peer, counter: number): boolean {
  const { seen, next } = received
  const number = counter + 1
  if (counterWindow + number < next || seen.has(number)) return false
  seen.add(number)
  if (number <= next) return true
  const forgotten = number - counterWindow
  for (let old = Math.max(0, next - counterWindow); old < forgotten; old += 1) seen.delete(old)
  received.next = number
  return true
}

/** The index that a device has given a session, by which the other side names it. */
function sessionIndex(receiver: string, sender: string): number {
  return hash32(`${receiver} ${sender}`, 0)
}

/** A peer as it is known from now on; its numbers go on. An endpoint that is set forgets by which address it was heard. */
export function peerFrom(own: string, peer: WireguardPeer, known: readonly Peer[]): Peer {
  const { publicKey, endpoint, allowedIps } = peer
  const old = known.find((each) => each.publicKey === publicKey)
  const { counter = 0, received = { next: 0, seen: new Set<number>() } } = old ?? {}
  return {
    publicKey,
    allowedIps,
    endpoint: endpoint === undefined ? old?.endpoint : { ...endpoint, source: undefined, ifindex: 0 },
    key: [own, publicKey].sort().join(' '),
    localIndex: sessionIndex(own, publicKey),
    remoteIndex: sessionIndex(publicKey, own),
    counter,
    received,
  }
}
