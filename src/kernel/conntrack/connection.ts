// One tracked flow (struct nf_conn): its two tuples, what is known of its state, and until when it is kept.
import type { Nanoseconds } from '../clock.ts'
import type { SctpTrack } from './sctp-track.ts'
import type { TcpTrack } from './tcp-track.ts'
import type { Tuple } from './tuple.ts'

/** enum ip_conntrack_info, kept beside the packet as `skb.nfctInfo`. */
export const connInfo = {
  established: 0,
  related: 1,
  new: 2,
  establishedReply: 3,
  relatedReply: 4,
  untracked: 7,
} as const

/** enum ip_conntrack_status. */
export const connStatus = {
  expected: 1 << 0,
  seenReply: 1 << 1,
  assured: 1 << 2,
  confirmed: 1 << 3,
  sourceNat: 1 << 4,
  destinationNat: 1 << 5,
  natMask: (1 << 4) | (1 << 5),
  sequenceAdjust: 1 << 6,
  sourceNatDone: 1 << 7,
  destinationNatDone: 1 << 8,
  natDoneMask: (1 << 7) | (1 << 8),
  dying: 1 << 9,
} as const

/** 0 for the direction of the first packet, 1 for the answers (enum ip_conntrack_dir). */
export type Direction = 0 | 1

/** The direction of a packet of a flow (CTINFO2DIR). */
export function directionOf(info: number): Direction {
  return info >= connInfo.establishedReply ? 1 : 0
}

/** What one direction has carried (struct nf_conn_counter); bytes from the IP header on. */
export interface FlowCounter {
  packets: number
  bytes: number
}

export interface Connection {
  /** Tuples of both directions; the second changes when NAT decides. */
  readonly original: Tuple
  reply: Tuple
  readonly zone: number
  /** Bits of `connStatus`. */
  status: number
  mark: number
  /** Virtual time at which it is forgotten. */
  expires: Nanoseconds
  /** A zone template of `-j CT` (nf_ct_tmpl): not a flow. */
  readonly template: boolean
  /** Set once TCP is tracked. */
  tcp: TcpTrack | undefined
  /** Set once SCTP is tracked. */
  sctp: SctpTrack | undefined
  /** GRE: the timeouts of its first packet, in seconds. */
  gre: { readonly unreplied: number; readonly stream: number } | undefined
  /** By direction, when flows were accounted as it began (nf_conntrack_acct). */
  readonly counters: readonly [FlowCounter, FlowCounter] | undefined
  /** UDP: time from which a stream counts as one. */
  streamFrom: Nanoseconds
  /** ifindex that MASQUERADE chose its address for, 0 for none. */
  masqueradeIndex: number
  /** Order of creation in its namespace. */
  readonly id: number
}

/** A zone template (`-j CT --zone`), carried by a packet from raw to the look-up. */
export function zoneTemplate(zone: number): Connection {
  const nothing: Tuple = {
    family: 4,
    source: 0 as Tuple['source'],
    destination: 0 as Tuple['source'],
    protocol: 0,
    sport: 0,
    dport: 0,
  }
  return {
    original: nothing,
    reply: nothing,
    zone,
    status: 0,
    mark: 0,
    expires: 0,
    template: true,
    tcp: undefined,
    sctp: undefined,
    gre: undefined,
    counters: undefined,
    streamFrom: 0,
    masqueradeIndex: 0,
    id: 0,
  }
}

/** The tuple of one direction. */
export function tupleOf(connection: Connection, direction: Direction): Tuple {
  return direction === 0 ? connection.original : connection.reply
}

/** Whether the flow is in the table. */
export function isConfirmed(connection: Connection): boolean {
  return (connection.status & connStatus.confirmed) !== 0
}

/** What conntrack must know of a packet (part of Skb). */
export interface Tracked {
  /** skb->_nfct: the flow or template, undefined for none, untracked or invalid. */
  nfct: Connection | undefined
  /** One of `connInfo`; means something with `nfct`, or as `untracked` without. */
  nfctInfo: number
}
