// What a packet is for policies: xfrm_decode_session(). Ports of fragments, and addresses from before NAT, are not known here.
import { readIpv4, readIpv6 } from '../../net/address.ts'
import { readU8, readU16 } from '../../net/bytes.ts'
import { ipv4At, ipv4HeaderLength, ipv4IsFragment } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { type Flow, routeScope } from '../ip/route.ts'
import { transportOf } from '../ip6/extension.ts'
import type { Skb } from '../skb.ts'

const ported: ReadonlySet<number> = new Set([ipProtocol.tcp, ipProtocol.udp, ipProtocol.sctp])
const typed: ReadonlySet<number> = new Set([ipProtocol.icmp, ipProtocol.icmp6])

/** Ports, or type and code of ICMP. */
function portsAt(skb: Skb, protocol: number, at: number): { readonly sport: number; readonly dport: number } {
  const { bytes, tail } = skb
  if (at >= 0 && ported.has(protocol) && at + 4 <= tail)
    return { sport: readU16(bytes, at), dport: readU16(bytes, at + 2) }
  if (at >= 0 && typed.has(protocol) && at + 2 <= tail)
    return { sport: readU8(bytes, at), dport: readU8(bytes, at + 1) }
  return { sport: 0, dport: 0 }
}

/** The flow of the packet whose IP header stands at `skb.networkHeader`. */
export function flowOf(skb: Skb, family: 4 | 6): Flow {
  const { bytes, networkHeader: l3, mark, route } = skb
  const common = {
    family,
    oif: route?.device.ifindex ?? 0,
    iif: skb.ingressIfindex,
    mark,
    scope: routeScope.universe,
  }
  if (family === 4) {
    const protocol = readU8(bytes, l3 + ipv4At.protocol)
    return {
      ...common,
      source: readIpv4(bytes, l3 + ipv4At.source),
      destination: readIpv4(bytes, l3 + ipv4At.destination),
      tos: readU8(bytes, l3 + ipv4At.tos) & 0xfc,
      protocol,
      ...portsAt(skb, protocol, ipv4IsFragment(bytes, l3) ? -1 : l3 + ipv4HeaderLength(bytes, l3)),
    }
  }
  const transport = transportOf(bytes, l3, skb.tail)
  const protocol = transport?.protocol ?? readU8(bytes, l3 + ipv6At.nextHeader)
  return {
    ...common,
    source: readIpv6(bytes, l3 + ipv6At.source),
    destination: readIpv6(bytes, l3 + ipv6At.destination),
    tos: 0,
    protocol,
    ...portsAt(skb, protocol, transport === undefined || transport.laterFragment ? -1 : transport.offset),
  }
}
