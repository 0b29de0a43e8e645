// How long flows are kept: the defaults of net.netfilter.nf_conntrack_*_timeout_*. Facts: linux 8.10, 8.11.
import { type Nanoseconds, second } from '../clock.ts'
import type { Namespace } from '../namespace.ts'
import type { Connection } from './connection.ts'

/** Seconds; `tcp` and `sctp` are indexed by the states of tcp-track.ts and sctp-track.ts. */
export const timeoutSeconds = {
  generic: 600,
  icmp: 30,
  greUnreplied: 30,
  greStream: 180,
  udpUnreplied: 30,
  udpStream: 120,
  tcp: [0, 120, 60, 432_000, 120, 60, 30, 120, 10, 120],
  tcpRetransmission: 300,
  tcpUnacknowledged: 300,
  tcpClose: 10,
  sctp: [10, 10, 3, 3, 210, 3, 3, 3, 30],
} as const

/** nf_ct_refresh(): the flow is kept for so many seconds from now. */
export function refresh(ns: Namespace, connection: Connection, seconds: number): void {
  connection.expires = ns.machine.clock.now + seconds * second
}

/** Whole seconds that are left, rounded down as `conntrack -L` prints them. */
export function secondsLeft(expires: Nanoseconds, now: Nanoseconds): number {
  return Math.max(0, Math.floor((expires - now) / second))
}
