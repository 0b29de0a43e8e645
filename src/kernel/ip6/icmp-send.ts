// ICMPv6 errors: who gets one, from which address, how much is quoted, how often. net/ipv6/icmp.c icmp6_send().
// Before changing this file, read RFC 4443 section 2.4.
import {
  anyIpv6,
  type IpAddress,
  type Ipv6,
  isIpv4,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  readIpv6,
} from '../../net/address.ts'
import { readU8, writeU8, writeU32 } from '../../net/bytes.ts'
import { icmpv6At, icmpv6Type } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { bornFrom } from '../birth.ts'
import { attachFlow } from '../conntrack/attach.ts'
import { count } from '../counters.ts'
import type { NetDevice } from '../device/device.ts'
import { icmpIsSending, sendingIcmp } from '../ip/icmp-lock.ts'
import { consumeGlobal, globalAllows, peerAllows } from '../ip/rate-limit.ts'
import { type Flow, routeScope } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
import { pktType, type Skb } from '../skb.ts'
import { transportOf } from './extension.ts'
import { buildIcmp6, countIcmp6 } from './icmp-build.ts'
import { ip6LocalOut } from './output.ts'
import { route6Output } from './output-route.ts'
import { icmp6Device, inputDevice, isOwnIpv6, selectSource } from './source.ts'
import { way6 } from './way.ts'

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

/**
 * icmpv6_global_allow() and icmpv6_xrlim_allow(): too big is never limited. Where there is no way back the message ends
 * here. Linux 6.18 gives wide routes no more than others: seen by running it.
 */
function withinLimits(ns: Namespace, dev: NetDevice, spec: Icmp6ErrorSpec, flow: Flow): boolean {
  if (spec.type === icmpv6Type.packetTooBig || dev.kind === 'loopback') return true
  if (!globalAllows(ns)) {
    count(ns, 'IcmpOutRateLimitGlobal')
    return false
  }
  const way = way6(ns, flow)
  if (way.kind === 'error') count(ns, 'Ip6OutNoRoutes')
  else if (way.route.device.kind === 'loopback' || peerWithin(ns, flow.destination)) {
    consumeGlobal(ns)
    return true
  }
  count(ns, 'Icmp6OutRateLimitHost')
  return false
}

function peerWithin(ns: Namespace, destination: IpAddress): boolean {
  return peerAllows(ns, destination, ns.sysctls.get('net.ipv6.icmp.ratelimit'))
}

/** ipv6_chk_addr(): whether an address is ours; a link-local one, and ::1, on this very device. */
function isOwnAt(dev: NetDevice, address: Ipv6): boolean {
  return isOwnIpv6(dev.ns, address, isLinkLocal(address) || isLoopback(address) ? dev : undefined)
}

/**
 * The address an error comes from: the one that was asked if it is ours, else that of the route back if it names one,
 * else one of the device the packet came in by.
 */
function errorSource(skb: Skb, flow: Flow, asked: Ipv6): Ipv6 {
  const { ns } = skb.dev
  if (skb.pktType === pktType.host && isOwnAt(skb.dev, asked)) return asked
  // icmpv6_rt_has_prefsrc() asks before mark and device are filled in
  const way = way6(ns, { ...flow, mark: 0, oif: 0 })
  if (way.kind === 'route' && way.route.preferredSource !== undefined) return anyIpv6
  const input = inputDevice(skb)
  return input === undefined || isIpv4(flow.destination) ? anyIpv6 : selectSource(ns, input, flow.destination)
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
 * icmpv6_route_lookup(): xfrm is asked about the packet's own way back as well, by the device it came in by. Nobody
 * follows the answer; that there is none is counted.
 */
function lookBack(skb: Skb, flow: Flow, source: Ipv6, asked: Ipv6): void {
  const strict = isLoopback(source) || isLinkLocal(source)
  const anyDevice = !isUnspecified(asked) && !strict // RT6_LOOKUP_F_IFACE of ip6_route_output_flags()
  route6Output(skb.dev.ns, { ...flow, source: asked, oif: skb.ingressIfindex, mark: skb.mark, anyDevice })
}

/**
 * icmpv6_send(): answers a packet with an error; `skb.networkHeader` stands at its IPv6 header and the packet stays the
 * caller's.
 */
export function icmp6Send(skb: Skb, spec: Icmp6ErrorSpec): void {
  const { ns } = skb.dev
  const source = readIpv6(skb.bytes, skb.networkHeader + ipv6At.source)
  const asked = readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination)
  if (!mayAnswer(skb, spec, source, asked) || icmpIsSending(ns, 6)) return
  const mark = ns.sysctls.get('net.ipv6.fwmark_reflect') === 0 ? 0 : skb.mark
  const question: Flow = {
    family: 6,
    destination: source,
    source: anyIpv6,
    oif: isLinkLocal(source) ? icmp6Device(skb).ifindex : 0,
    iif: 1,
    mark,
    tos: 0,
    protocol: ipProtocol.icmp6,
    sport: spec.type,
    dport: spec.code,
    scope: routeScope.universe,
  }
  const flow = { ...question, source: errorSource(skb, question, asked) }
  if (!withinLimits(ns, skb.dev, spec, flow)) return
  const answer = route6Output(ns, flow)
  if (answer.kind === 'error') return
  lookBack(skb, flow, source, asked)
  const { route } = answer
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
  sendingIcmp(ns, 6, () => ip6LocalOut(ns, reply))
}
