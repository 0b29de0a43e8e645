// A datagram that is being put together (struct ipq, inet_frag_queue), both families.
import type { IpAddress } from '../../net/address.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import type { Timer } from '../clock.ts'
import type { NetDevice } from '../device/device.ts'
import type { Skb } from '../skb.ts'

/** One piece: payload bytes `[offset, end)` of the datagram. */
export interface Fragment {
  readonly offset: number
  readonly end: number
  readonly skb: Skb
}

/** IP_DEFRAG_*, IP6_DEFRAG_*: who asks. */
export const fragmentUser = { localDeliver: 0, conntrackIn: 1, ipvs: 2 } as const

export interface FragmentQueue {
  readonly family: 4 | 6
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly identification: number
  readonly protocol: number
  /** Who asks for reassembly (local delivery, conntrack): queues of different users do not mix. */
  readonly user: number
  /** Sorted by offset, without overlap. */
  readonly pieces: Fragment[]
  /** Payload bytes received so far; all are there when this equals `length`. */
  received: number
  /** Length of the whole payload, -1 until the last fragment came. */
  length: number
  /** Largest fragment with its header (bytes), and the largest one with DF set. */
  largest: number
  largestDontFragment: number
  readonly device: NetDevice
  readonly timer: Timer
}

/**
 * A whole datagram keeps the MAC header of its first piece, for rules that ask for it: written in front of `l3`. Where it
 * begins; -1 where the piece has none.
 */
export function keepMac({ bytes, macHeader, networkHeader }: Skb, whole: Uint8Array, l3: number): number {
  if (macHeader < 0 || networkHeader - macHeader !== ethernetAt.payload) return -1
  whole.set(bytes.subarray(macHeader, networkHeader), l3 - ethernetAt.payload)
  return l3 - ethernetAt.payload
}
