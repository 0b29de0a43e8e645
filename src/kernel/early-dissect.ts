// What rules that ask for ports or protocols see of an arriving packet, before its route is known: fib4_rules_early_flow_dissect(),
// fib6_rules_early_flow_dissect() (net/core/flow_dissector.c with FLOW_DISSECTOR_F_STOP_AT_ENCAP). Tried on 6.18.
import { readU8, readU16 } from '../net/bytes.ts'
import { ipv4At, ipv4HeaderLength, ipv4IsFragment } from '../net/ipv4.ts'
import { ipv6At } from '../net/ipv6.ts'
import { extensionLength } from '../net/ipv6-extensions.ts'
import { ipProtocol, portsAt } from '../net/protocol.ts'
import type { Skb } from './skb.ts'

/** Ports are 0 in fragments, the first as well, and where a protocol has none. */
export interface FlowKeys {
  readonly protocol: number
  readonly sport: number
  readonly dport: number
}

/** __skb_flow_dissect_ports() */
function keysAt(skb: Skb, protocol: number, transport: number): FlowKeys {
  const behind = portsAt.get(protocol)
  const at = behind === undefined ? skb.tail : transport + behind
  if (at + 4 > skb.tail) return { protocol, sport: 0, dport: 0 }
  return { protocol, sport: readU16(skb.bytes, at), dport: readU16(skb.bytes, at + 2) }
}

/** The keys of the IPv4 packet at `skb.networkHeader`. */
export function dissect4(skb: Skb): FlowKeys {
  const { bytes, networkHeader: l3 } = skb
  const protocol = readU8(bytes, l3 + ipv4At.protocol)
  return keysAt(skb, protocol, ipv4IsFragment(bytes, l3) ? skb.tail : l3 + ipv4HeaderLength(bytes, l3))
}

/** The keys of the IPv6 packet at `skb.networkHeader`; an authentication header is as far as it looks. */
export function dissect6(skb: Skb): FlowKeys {
  const { bytes, networkHeader: l3, tail } = skb
  let protocol = readU8(bytes, l3 + ipv6At.nextHeader)
  let at = l3 + ipv6At.payload
  while (
    (protocol === ipProtocol.hopByHop ||
      protocol === ipProtocol.routing ||
      protocol === ipProtocol.destinationOptions) &&
    at + 2 <= tail
  ) {
    const next = readU8(bytes, at)
    at += extensionLength(bytes, at, protocol)
    protocol = next
  }
  if (protocol === ipProtocol.fragment && at + 8 <= tail) return keysAt(skb, readU8(bytes, at), tail)
  return keysAt(skb, protocol, at)
}
