// The way up of IPv4: net/ipv4/ip_input.c ip_rcv_core(), PREROUTING, ip_rcv_finish(). What enters is a packet behind its
// Ethernet header; what leaves is delivered, forwarded, or dropped with a reason and its counter.
import { readIpv4 } from '../../net/address.ts'
import { readU8, readU16 } from '../../net/bytes.ts'
import { icmpType } from '../../net/icmp.ts'
import { ipv4At, ipv4ChecksumIsRight, ipv4HeaderLength } from '../../net/ipv4.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { count } from '../counters.ts'
import { preroutingIsDone } from '../device/bridge-passage.ts'
import type { NetDevice } from '../device/device.ts'
import { drop } from '../drop.ts'
import { dissect4 } from '../early-dissect.ts'
import { pktType, type Skb } from '../skb.ts'
import { deliverLocally } from './deliver.ts'
import { ipError, ipForward } from './forward.ts'
import { type InputPacket, routeInput } from './input-route.ts'
import { compileOptions, hasOptions, isSourceRouted } from './options.ts'
import type { Route } from './route.ts'

const preroutingHook = { family: 4, hook: 'PREROUTING' } as const
const minimumHeader = 20

function dropAtRx(skb: Skb, reason: KernelDropReason): void {
  drop(skb, { device: skb.dev.name, stage: 'rx', reason })
}

function headerError(skb: Skb, reason: KernelDropReason): false {
  count(skb.dev.ns, 'IpInHdrErrors')
  dropAtRx(skb, reason)
  return false
}

/** ip_rcv_core(): true when the header is sound; padding behind the packet is cut off. */
function checkHeader(skb: Skb): boolean {
  const { ns } = skb.dev
  if (skb.pktType === pktType.otherHost) {
    dropAtRx(skb, 'SKB_DROP_REASON_OTHERHOST')
    return false
  }
  count(ns, 'IpInReceives')
  const { bytes, data: l3 } = skb
  if (skb.length < minimumHeader) return headerError(skb, 'SKB_DROP_REASON_IP_INHDR')
  const headerLength = ipv4HeaderLength(bytes, l3)
  const version = readU8(bytes, l3) >>> 4
  if (headerLength < minimumHeader || version !== 4 || headerLength > skb.length) {
    return headerError(skb, 'SKB_DROP_REASON_IP_INHDR')
  }
  if (!ipv4ChecksumIsRight(bytes, l3)) {
    count(ns, 'IpExtInCsumErrors')
    return headerError(skb, 'SKB_DROP_REASON_IP_CSUM')
  }
  const length = readU16(bytes, l3 + ipv4At.totalLength)
  if (skb.length < length) {
    count(ns, 'IpExtInTruncatedPkts')
    dropAtRx(skb, 'SKB_DROP_REASON_PKT_TOO_SMALL')
    return false
  }
  if (length < headerLength) return headerError(skb, 'SKB_DROP_REASON_IP_INHDR')
  skb.tail = l3 + length
  return true
}

/** What routing asks of a packet. Ports are read only when rules may ask for them. */
export function packetOf(skb: Skb): InputPacket {
  const { bytes, networkHeader: l3 } = skb
  const keys = skb.dev.ns.ip.v4.rules === undefined ? undefined : dissect4(skb)
  return {
    source: readIpv4(bytes, l3 + ipv4At.source),
    destination: readIpv4(bytes, l3 + ipv4At.destination),
    tos: readU8(bytes, l3 + ipv4At.tos) & 0xfc,
    mark: skb.mark,
    protocol: readU8(bytes, l3 + ipv4At.protocol),
    sport: keys?.sport ?? 0,
    dport: keys?.dport ?? 0,
    isIp: true,
  }
}

/** The counters of __ip_rcv_finish_core() and of a reverse path failure. */
function routeOf(dev: NetDevice, skb: Skb): Route | undefined {
  // lo, and the sender's own copy of a broadcast, keep the sender's decision (skb_dst_force)
  const own = dev.kind === 'loopback' || skb.pktType === pktType.loopback
  if (own && skb.route?.local === true) return { ...skb.route, input: dev }
  const answer = routeInput(dev, packetOf(skb))
  if (answer.kind === 'route') return answer.route
  if (answer.reason === 'SKB_DROP_REASON_IP_RPFILTER') count(dev.ns, 'TcpExtIPReversePathFilter')
  drop(skb, { device: '', stage: 'route', reason: answer.reason })
  return undefined
}

/** ip_rcv_options(): source routes are refused, malformed options are answered. False when the packet is gone. */
function checkOptions(skb: Skb): boolean {
  if (!hasOptions(skb.bytes, skb.networkHeader)) return true
  const { ns } = skb.dev
  const wrong = compileOptions(skb)
  if (wrong !== undefined) {
    ns.ip.stack.sendError(skb, { type: icmpType.parameterProblem, code: 0, info: (wrong << 24) >>> 0 })
    count(ns, 'IpInHdrErrors')
  } else if (!isSourceRouted(skb)) return true
  dropAtRx(skb, 'SKB_DROP_REASON_IP_INHDR')
  return false
}

function countGroups(skb: Skb, route: Route): void {
  const { ns } = skb.dev
  if (route.type === 'multicast') count(ns, 'IpExtInMcastPkts')
  else if (route.type === 'broadcast') count(ns, 'IpExtInBcastPkts')
}

/** ip_rcv_finish_core(): false when the packet goes no further. */
function giveRoute(skb: Skb): boolean {
  const route = routeOf(skb.dev, skb)
  if (route === undefined) return false
  skb.route = route
  // the route takes the place of what a tunnel device said of the packet (one skb_dst for both)
  skb.tunnelKey = undefined
  if (!checkOptions(skb)) return false
  countGroups(skb, route)
  return true
}

/** dst_input() */
function followRoute(skb: Skb): void {
  const { route } = skb
  if (route?.error !== undefined) ipError(skb, route.error)
  else if (route?.local || route?.type === 'broadcast' || route?.type === 'multicast') deliverLocally(skb)
  else ipForward(skb)
}

/** ip_rcv_finish() and dst_input(). */
export function finishReceive(skb: Skb): void {
  if (giveRoute(skb)) followRoute(skb)
}

/** ip_rcv_core(): false when the packet goes no further. */
function takeHeader(skb: Skb): boolean {
  if (!checkHeader(skb)) return false
  skb.networkHeader = skb.data
  skb.fragmentMax = 0
  skb.options = undefined
  skb.transformed = false
  if (!skb.skAssigned) skb.sk = undefined
  return true
}

function passesPrerouting(skb: Skb): boolean {
  const { dev } = skb
  if (preroutingIsDone(skb)) return true
  return dev.ns.netfilter.run(dev.ns, preroutingHook, skb, { in: dev, out: undefined }) === 'accept'
}

/** ip_rcv(): the handler of ethertype 0x0800; `skb.data` stands at the IP header. */
export function ipReceive(skb: Skb): void {
  if (takeHeader(skb) && passesPrerouting(skb)) finishReceive(skb)
}

/** ip_list_rcv(): each step for all packets before the next. */
export function ipReceiveList(skbs: readonly Skb[]): void {
  const entering = skbs.filter(takeHeader)
  for (const skb of entering.filter(passesPrerouting).filter(giveRoute)) followRoute(skb)
}
