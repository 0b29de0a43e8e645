// Neighbours as data: which MAC address an IP address on a link has, and how sure of it the kernel is (struct neighbour).
// The state machine that moves them is neighbour.ts; ARP and neighbour discovery supply the questions they ask.
import type { IpAddress } from '../net/address.ts'
import type { Timer } from './clock.ts'
import type { NetDevice } from './device/device.ts'
import { AddressMap } from './ip/address-map.ts'
import type { Namespace } from './namespace.ts'
import type { Skb } from './skb.ts'

/** NUD_*, by the words of `ip neigh`. */
export type NeighbourState =
  | 'NONE'
  | 'INCOMPLETE'
  | 'REACHABLE'
  | 'STALE'
  | 'DELAY'
  | 'PROBE'
  | 'FAILED'
  | 'NOARP'
  | 'PERMANENT'

/** One neighbour of one device. Times are virtual nanoseconds. */
export interface Neighbour {
  readonly device: NetDevice
  readonly address: IpAddress
  readonly family: 4 | 6
  state: NeighbourState
  /** 48-bit number, or -1 while unknown. */
  mac: number
  /** hh.hh_len: a packet has been sent to it, so that its Ethernet header lies ready. */
  cached: boolean
  confirmed: number
  used: number
  updated: number
  probes: number
  /** NTF_ROUTER (IPv6). */
  router: boolean
  /** Packets that wait for the answer, oldest first, and what they are charged with (skb truesize). */
  readonly queue: Skb[]
  queueBytes: number
  timer: Timer | undefined
}

/** What ARP and neighbour discovery do for the common state machine (struct neigh_ops). */
export interface NeighbourOps {
  readonly family: 4 | 6
  /**
   * Sends a question. `unicast`: to `neighbour.mac` (a probe), otherwise broadcast or multicast. `cause` is the packet
   * that waits, from which the source address may be taken.
   */
  readonly solicit: (
    neighbour: Neighbour,
    options: { readonly unicast: boolean; readonly cause: Skb | undefined },
  ) => void
  /** A waiting packet will never be sent: answers it with host unreachable (error_report). Owns the packet. */
  readonly unreachable: (neighbour: Neighbour, skb: Skb) => void
}

/** An address that this namespace answers for on a device (`ip neigh add proxy`); undefined device: on all. */
interface ProxyNeighbour {
  readonly device: NetDevice | undefined
  readonly address: IpAddress
}

export interface NeighbourTable {
  readonly ns: Namespace
  readonly family: 4 | 6
  readonly ops: ReadonlyMap<4 | 6, NeighbourOps>
  /** By address and ifindex. */
  readonly entries: AddressMap<Neighbour>
  readonly proxies: AddressMap<ProxyNeighbour>
}

/** An empty table. */
export function createNeighbourTable(
  ns: Namespace,
  family: 4 | 6,
  ops: ReadonlyMap<4 | 6, NeighbourOps>,
): NeighbourTable {
  return { ns, family, ops, entries: new AddressMap(), proxies: new AddressMap() }
}
