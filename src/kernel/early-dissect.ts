// What rules that ask for ports or protocols see of a packet that arrives, or that OUTPUT has changed: fib4_rules_early_flow_dissect(),
// fib6_rules_early_flow_dissect() (net/core/flow_dissector.c with FLOW_DISSECTOR_F_STOP_AT_ENCAP). Tried on 6.18.
import { readU8, readU16 } from '../net/bytes.ts'
import { ipv4At, ipv4HeaderLength, ipv4IsFragment } from '../net/ipv4.ts'
import { ipv6At } from '../net/ipv6.ts'
import { extensionAt, extensionLength } from '../net/ipv6-extensions.ts'
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

/** What an IPv6 packet carries, and where; an authentication header is as far as __skb_flow_dissect() looks. */
export function behindOptions6(
  bytes: Uint8Array,
  l3: number,
  end: number,
): { readonly protocol: number; readonly at: number; readonly isPiece: boolean } {
  let protocol = readU8(bytes, l3 + ipv6At.nextHeader)
  let at = l3 + ipv6At.payload
  while (options6.has(protocol) && at + 2 <= end) {
    const next = readU8(bytes, at + extensionAt.nextHeader)
    at += extensionLength(bytes, at, protocol)
    protocol = next
  }
  const isPiece = protocol === ipProtocol.fragment && at + fragmentBytes <= end
  return { protocol: isPiece ? readU8(bytes, at + extensionAt.nextHeader) : protocol, at, isPiece }
}

/** The fragment header. */
const fragmentBytes = 8

const options6: ReadonlySet<number> = new Set([
  ipProtocol.hopByHop,
  ipProtocol.routing,
  ipProtocol.destinationOptions,
])

/** The keys of the IPv6 packet at `skb.networkHeader`. */
export function dissect6(skb: Skb): FlowKeys {
  const { protocol, at, isPiece } = behindOptions6(skb.bytes, skb.networkHeader, skb.tail)
  return keysAt(skb, protocol, isPiece ? skb.tail : at)
}
