// The way up of IPv6: net/ipv6/ip6_input.c ip6_rcv_core(), PREROUTING, ip6_rcv_finish(). What enters is a packet behind
// its Ethernet header; what leaves is delivered, forwarded, or dropped with a reason and its counter.
import { type Ipv6, isLoopback, isMulticast, readIpv6 } from '../../net/address.ts'
import { readU8, readU16 } from '../../net/bytes.ts'
import { ipv6At, ipv6TrafficClass } from '../../net/ipv6.ts'
import { checkExtension } from '../../net/ipv6-extensions.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { count } from '../counters.ts'
import { preroutingIsDone } from '../device/bridge-passage.ts'
import { drop } from '../drop.ts'
import { dissect6 } from '../early-dissect.ts'
import { pktType, type Skb } from '../skb.ts'
import { acceptOptions, deliverLocally6 } from './deliver.ts'
import { ip6Error, ip6Forward } from './forward.ts'
import { type InputPacket6, route6Input } from './input-route.ts'
import { ipv6Scope, listensTo, scopeOf } from './source.ts'

const preroutingHook = { family: 6, hook: 'PREROUTING' } as const

function refuse(skb: Skb, reason: KernelDropReason, counter?: string): false {
  if (counter !== undefined) count(skb.dev.ns, counter)
  drop(skb, { device: skb.dev.name, stage: 'rx', reason })
  return false
}

/** Addresses that never come from a wire (RFC 4291 sections 2.5.3, 2.7). */
function addressesAreSound(skb: Skb, source: Ipv6, destination: Ipv6): boolean {
  const onLoopback = skb.dev.kind === 'loopback' || skb.pktType === pktType.loopback
  if (!onLoopback && (isLoopback(source) || isLoopback(destination))) return false
  if (isMulticast(source)) return false
  if (!isMulticast(destination)) return true
  const scope = scopeOf(destination)
  return scope !== 0 && (scope !== ipv6Scope.interfaceLocal || onLoopback)
}

/** ip6_rcv_core(): true when the packet is sound; padding behind it is cut off, hop-by-hop options are read. */
function checkHeader(skb: Skb): boolean {
  const { ns } = skb.dev
  if (skb.pktType === pktType.otherHost) return refuse(skb, 'SKB_DROP_REASON_OTHERHOST')
  count(ns, 'Ip6InReceives')
  if (ns.sysctls.device('net.ipv6.conf.DEV.disable_ipv6', skb.dev.name) !== 0) {
    return refuse(skb, 'SKB_DROP_REASON_IPV6DISABLED', 'Ip6InDiscards')
  }
  const { bytes, data: l3 } = skb
  if (skb.length < ipv6At.payload || readU8(bytes, l3) >>> 4 !== 6) {
    return refuse(skb, 'SKB_DROP_REASON_IP_INHDR', 'Ip6InHdrErrors')
  }
  const source = readIpv6(bytes, l3 + ipv6At.source)
  const destination = readIpv6(bytes, l3 + ipv6At.destination)
  if (!addressesAreSound(skb, source, destination)) {
    return refuse(skb, 'SKB_DROP_REASON_IP_INHDR', 'Ip6InHdrErrors')
  }
  const end = l3 + ipv6At.payload + readU16(bytes, l3 + ipv6At.payloadLength)
  if (end > skb.tail) return refuse(skb, 'SKB_DROP_REASON_PKT_TOO_SMALL', 'Ip6InTruncatedPkts')
  skb.tail = end
  skb.networkHeader = l3
  skb.fragmentMax = 0
  skb.transformed = false
  return readU8(bytes, l3 + ipv6At.nextHeader) !== ipProtocol.hopByHop || hopByHop(skb)
}

/** ipv6_parse_hopopts(): options for every node on the way, forwarding ones too. */
function hopByHop(skb: Skb): boolean {
  const at = skb.networkHeader + ipv6At.payload
  if (checkExtension(skb.bytes, at, skb.tail, ipProtocol.hopByHop) !== undefined) {
    return refuse(skb, 'SKB_DROP_REASON_IP_INHDR', 'Ip6InHdrErrors')
  }
  skb.data = at
  const accepted = acceptOptions(skb)
  skb.data = skb.networkHeader
  return accepted
}

/** What routing asks of a packet. Ports are read only when rules may ask for them. */
export function packetOf(skb: Skb): InputPacket6 {
  const { bytes, networkHeader: l3 } = skb
  const keys = skb.dev.ns.ip.v6.rules === undefined ? undefined : dissect6(skb)
  return {
    source: readIpv6(bytes, l3 + ipv6At.source),
    destination: readIpv6(bytes, l3 + ipv6At.destination),
    trafficClass: ipv6TrafficClass(bytes, l3),
    mark: skb.mark,
    protocol: keys?.protocol ?? readU8(bytes, l3 + ipv6At.nextHeader),
    sport: keys?.sport ?? 0,
    dport: keys?.dport ?? 0,
  }
}

/** ip6_mc_input(). */
function groupInput(skb: Skb, group: Ipv6): void {
  count(skb.dev.ns, 'Ip6InMcastPkts')
  if (listensTo(skb.dev, group)) deliverLocally6(skb)
  else refuse(skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
}

/** ip6_rcv_finish() and dst_input(). */
export function finishReceive(skb: Skb): void {
  const { dev } = skb
  const keepsRoute =
    (dev.kind === 'loopback' || skb.pktType === pktType.loopback) && skb.route?.local === true
  if (!keepsRoute) {
    const answer = route6Input(dev, packetOf(skb))
    if (answer.kind === 'error') {
      ip6Error(skb, answer.errno)
      return
    }
    skb.route = answer.route
    skb.tunnelKey = undefined
  }
  const { route } = skb
  if (route?.type === 'multicast') {
    groupInput(skb, readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination))
  } else if (route?.local === true) deliverLocally6(skb)
  else ip6Forward(skb)
}

/** ip6_rcv_core(): false when the packet goes no further. */
function takeHeader(skb: Skb): boolean {
  if (!checkHeader(skb)) return false
  if (!skb.skAssigned) skb.sk = undefined
  return true
}

function passesPrerouting(skb: Skb): boolean {
  const { dev } = skb
  if (preroutingIsDone(skb)) return true
  return dev.ns.netfilter.run(dev.ns, preroutingHook, skb, { in: dev, out: undefined }) === 'accept'
}

/** ipv6_rcv(): the handler of ethertype 0x86dd; `skb.data` stands at the IPv6 header. */
export function ip6Receive(skb: Skb): void {
  if (takeHeader(skb) && passesPrerouting(skb)) finishReceive(skb)
}

/** ipv6_list_rcv(): each step for all packets before the next. */
export function ip6ReceiveList(skbs: readonly Skb[]): void {
  const entering = skbs.filter(takeHeader)
  for (const skb of entering.filter(passesPrerouting)) finishReceive(skb)
}
