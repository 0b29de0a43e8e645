// How a packet that has reached a socket, or none, is written into the trace, and how a socket learns the flow's name.
import { type IpAddress, readIpv4, readIpv6 } from '../../net/address.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { deliverOutcome, drop } from '../drop.ts'
import type { Skb } from '../skb.ts'

/** The source address of a received packet. */
export function sourceOf(skb: Skb, family: 4 | 6): IpAddress {
  return family === 4
    ? readIpv4(skb.bytes, skb.networkHeader + ipv4At.source)
    : readIpv6(skb.bytes, skb.networkHeader + ipv6At.source)
}

/** The destination address of a received packet. */
export function destinationOf(skb: Skb, family: 4 | 6): IpAddress {
  return family === 4
    ? readIpv4(skb.bytes, skb.networkHeader + ipv4At.destination)
    : readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination)
}

/** The packet reached a socket; `protocol` is `tcp`, `udp` or `icmp`, `program` who holds the socket. */
export function delivered(skb: Skb, protocol: string, port: number, program = 'socket'): void {
  if (skb.dev.ns.machine.trace === undefined) return
  deliverOutcome(skb, {
    device: skb.dev.name,
    stage: 'rx',
    actor: program,
    target: `${protocol}/${port}`,
  })
}

/** The packet ends at the transport layer. */
export function dropped(skb: Skb, reason: KernelDropReason): void {
  drop(skb, { device: skb.dev.name, stage: 'rx', reason })
}

/** The flow that a packet belongs to: its connection's label, or by its name `f1` of `f1.syn`; '' without a trace. */
export function flowOf(skb: Skb): string {
  if (skb.record === undefined) return ''
  const { name, flow } = skb.record
  if (flow !== '') return flow
  const end = name.indexOf('.')
  return end === -1 ? name : name.slice(0, end)
}
