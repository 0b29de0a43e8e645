// include/net/route.h rt_tos2priority(): what the TOS byte of an IPv4 packet makes its queueing priority.

/** TC_PRIO_* of include/uapi/linux/pkt_sched.h. */
const priority = { bestEffort: 0, bulk: 2, interactiveBulk: 4, interactive: 6 } as const

/** ip_tos2prio[] of net/ipv4/route.c, by bits 3 and 4: the two below them change nothing. */
const byBits = [priority.bestEffort, priority.bulk, priority.interactive, priority.interactiveBulk] as const

/** skb->priority of a packet that is forwarded, and sk->sk_priority of a socket with that IP_TOS. */
export function tosPriority(tos: number): number {
  return byBits[(tos >>> 3) & 3] as number
}
