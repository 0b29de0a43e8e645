// ICMPv6 errors: who gets one, from which address, how much is quoted, how often. net/ipv6/icmp.c icmp6_send().
// Before changing this file, read RFC 4443 section 2.4.
import { anyIpv6, type Ipv6, isLinkLocal, isMulticast, isUnspecified, readIpv6 } from '../../net/address.ts'
import { readU8, writeU8, writeU32 } from '../../net/bytes.ts'
import { icmpv6At, icmpv6Type } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { bornFrom } from '../birth.ts'
import { attachFlow } from '../conntrack/attach.ts'
import { count } from '../counters.ts'
import { globalAllows, peerAllows } from '../ip/rate-limit.ts'
import { type Route, routeScope } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
import { pktType, type Skb } from '../skb.ts'
import { transportOf } from './extension.ts'
import { buildIcmp6, countIcmp6 } from './icmp-build.ts'
import { ip6LocalOut } from './output.ts'
import { route6Output } from './output-route.ts'
import { isOwnIpv6 } from './source.ts'

/** An error message. `info` is its second word: the MTU, or the pointer. */
export interface Icmp6ErrorSpec {
  readonly type: number
  readonly code: number
  readonly info: number
}

/** IPV6_MIN_MTU: the whole error packet is never longer. */
const packetMax = 1280
const headers = ipv6At.payload + icmpv6At.payload
/** Code 2 of a parameter problem: an unknown option, which is reported even for a group. */
const unknownOption = 2

/** is_ineligible(): errors are never answered. Later fragments are, unlike those of IPv4. */
function ineligible(skb: Skb): boolean {
  const transport = transportOf(skb.bytes, skb.networkHeader, skb.tail)
  if (transport === undefined || transport.laterFragment) return false
  if (transport.protocol !== ipProtocol.icmp6) return false
  return transport.offset >= skb.tail || readU8(skb.bytes, transport.offset) < 128
}

function mayAnswer(skb: Skb, spec: Icmp6ErrorSpec, source: Ipv6, destination: Ipv6): boolean {
  const tellsOfPath = spec.type === icmpv6Type.packetTooBig
  const tellsOfOption = spec.type === icmpv6Type.parameterProblem && spec.code === unknownOption
  const group = isMulticast(destination) || (skb.pktType !== pktType.host && skb.pktType !== pktType.outgoing)
  if (group && !tellsOfPath && !tellsOfOption) return false
  if (isUnspecified(source) || isMulticast(source)) return false
  return !ineligible(skb)
}

/** icmpv6_xrlim_allow(), icmpv6_global_allow(): too big is never limited; wide routes are limited less. */
function withinLimits(ns: Namespace, spec: Icmp6ErrorSpec, route: Route, destination: Ipv6): boolean {
  if (spec.type === icmpv6Type.packetTooBig || route.device.kind === 'loopback') return true
  const limit = ns.sysctls.get('net.ipv6.icmp.ratelimit')
  const scaled = limit >>> ((128 - route.prefixLength) >> 5)
  if (!peerAllows(ns, destination, scaled)) {
    count(ns, 'Icmp6OutRateLimitHost')
    return false
  }
  return globalAllows(ns)
}

function messageOf(skb: Skb, spec: Icmp6ErrorSpec): Uint8Array {
  const quoted = Math.min(skb.tail - skb.networkHeader, packetMax - headers)
  const message = new Uint8Array(icmpv6At.payload + quoted)
  writeU8(message, icmpv6At.type, spec.type)
  writeU8(message, icmpv6At.code, spec.code)
  writeU32(message, icmpv6At.rest, spec.info)
  message.set(skb.bytes.subarray(skb.networkHeader, skb.networkHeader + quoted), icmpv6At.payload)
  return message
}

/**
 * icmpv6_send(): answers a packet with an error; `skb.networkHeader` stands at its IPv6 header and the packet stays the
 * caller's. The source is the address that was asked if it is ours, else one chosen for the way back.
 */
export function icmp6Send(skb: Skb, spec: Icmp6ErrorSpec): void {
  const { ns } = skb.dev
  const source = readIpv6(skb.bytes, skb.networkHeader + ipv6At.source)
  const asked = readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination)
  if (!mayAnswer(skb, spec, source, asked)) return
  const mark = ns.sysctls.get('net.ipv6.fwmark_reflect') === 0 ? 0 : skb.mark
  const answer = route6Output(ns, {
    family: 6,
    destination: source,
    source: isOwnIpv6(ns, asked) ? asked : anyIpv6,
    oif: isLinkLocal(source) ? skb.dev.ifindex : 0,
    iif: 1,
    mark,
    tos: 0,
    protocol: ipProtocol.icmp6,
    sport: spec.type,
    dport: spec.code,
    scope: routeScope.universe,
  })
  if (answer.kind === 'error') return
  const { route } = answer
  if (!withinLimits(ns, spec, route, source)) return
  const reply = buildIcmp6({
    route,
    source: typeof answer.source === 'number' ? anyIpv6 : answer.source,
    destination: source,
    hopLimit: ns.sysctls.device('net.ipv6.conf.DEV.hop_limit', route.device.name),
    trafficClass: 0,
    mark,
    message: messageOf(skb, spec),
  })
  countIcmp6(ns, 'Out', spec.type)
  attachFlow(reply, skb)
  bornFrom(skb, reply, 'icmp')
  ip6LocalOut(ns, reply)
}
