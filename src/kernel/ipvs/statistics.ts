// ip_vs_in_stats(), ip_vs_out_stats(): packets and bytes from the IP header on, of a server and of its service.
import type { Skb } from '../skb.ts'
import type { IpvsConnection } from './connection.ts'
import type { IpvsCounters } from './service.ts'

function add(counters: IpvsCounters, bytes: number, direction: 'in' | 'out'): void {
  if (direction === 'in') {
    counters.inPackets += 1
    counters.inBytes += bytes
  } else {
    counters.outPackets += 1
    counters.outBytes += bytes
  }
}

/** Counts one packet of a connection. */
export function countPacket(connection: IpvsConnection, skb: Skb, direction: 'in' | 'out'): void {
  const bytes = skb.tail - skb.networkHeader
  add(connection.server.counters, bytes, direction)
  add(connection.service.counters, bytes, direction)
}
