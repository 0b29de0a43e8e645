// How long flows are kept, and what a packet of theirs counts: net.netfilter.nf_conntrack_*_timeout_*, in seconds, read when
// a packet refreshes its flow; nothing that is kept already changes with them. Facts: linux 8.10, 8.11.
import { type Nanoseconds, second } from '../clock.ts'
import type { Namespace } from '../namespace.ts'
import { type Connection, directionOf } from './connection.ts'
import type { TrackedPacket } from './packet.ts'

/** The sysctls of flows without states. */
export const flowTimeout = {
  generic: 'net.netfilter.nf_conntrack_generic_timeout',
  icmp: 'net.netfilter.nf_conntrack_icmp_timeout',
  icmp6: 'net.netfilter.nf_conntrack_icmpv6_timeout',
  greUnreplied: 'net.netfilter.nf_conntrack_gre_timeout',
  greStream: 'net.netfilter.nf_conntrack_gre_timeout_stream',
  udpUnreplied: 'net.netfilter.nf_conntrack_udp_timeout',
  udpStream: 'net.netfilter.nf_conntrack_udp_timeout_stream',
} as const

const tcp = 'net.netfilter.nf_conntrack_tcp_timeout_'
const sctp = 'net.netfilter.nf_conntrack_sctp_timeout_'

/** The sysctls of TCP that belong to no single state. */
export const tcpTimeout = {
  retransmission: `${tcp}max_retrans`,
  unacknowledged: `${tcp}unacknowledged`,
  close: `${tcp}close`,
} as const

/** By the states of tcp-track.ts; SYN_SENT2 has no sysctl. */
const tcpStates = [
  `${tcp}syn_sent`,
  `${tcp}syn_sent`,
  `${tcp}syn_recv`,
  `${tcp}established`,
  `${tcp}fin_wait`,
  `${tcp}close_wait`,
  `${tcp}last_ack`,
  `${tcp}time_wait`,
  `${tcp}close`,
] as const
const synSent2Seconds = 120

/** By the states of sctp-track.ts; an association of which nothing is known is as one that is closed. */
const sctpStates = [
  `${sctp}closed`,
  `${sctp}closed`,
  `${sctp}cookie_wait`,
  `${sctp}cookie_echoed`,
  `${sctp}established`,
  `${sctp}shutdown_sent`,
  `${sctp}shutdown_recd`,
  `${sctp}shutdown_ack_sent`,
  `${sctp}heartbeat_sent`,
] as const

/** Seconds for which a TCP connection in this state is kept. */
export function tcpSeconds({ sysctls }: Namespace, state: number): number {
  const name = tcpStates[state]
  return name === undefined ? synSent2Seconds : sysctls.get(name)
}

/** Seconds for which an SCTP association in this state is kept. */
export function sctpSeconds({ sysctls }: Namespace, state: number): number {
  return sysctls.get(sctpStates[state] ?? sctpStates[0])
}

/** nf_ct_refresh(): the flow is kept for so many seconds from now. */
export function refresh(ns: Namespace, connection: Connection, seconds: number): void {
  connection.expires = ns.machine.clock.now + seconds * second
}

/** nf_ct_refresh_acct(): as refresh(); a flow that is accounted counts the packet, from its IP header on. */
export function refreshCounted(packet: TrackedPacket, connection: Connection, seconds: number): void {
  refresh(packet.ns, connection, seconds)
  const { skb, l3 } = packet
  const counter = connection.counters?.[directionOf(skb.nfctInfo)]
  if (counter === undefined) return
  counter.packets += 1
  counter.bytes += skb.tail - l3
}

/** Whole seconds that are left, rounded down as `conntrack -L` prints them. */
export function secondsLeft(expires: Nanoseconds, now: Nanoseconds): number {
  return Math.max(0, Math.floor((expires - now) / second))
}
