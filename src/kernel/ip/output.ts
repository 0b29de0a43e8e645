// The way down of IPv4: OUTPUT, POSTROUTING, fragmentation, neighbour. net/ipv4/ip_output.c ip_local_out(), ip_output(),
// ip_finish_output(). What enters has a route; what leaves is a frame on a device.

import { present } from '../../base/assert.ts'
import { isIpv4, readIpv4 } from '../../net/address.ts'
import { readU16, writeU16 } from '../../net/bytes.ts'
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { ipv4At, ipv4Flag, writeIpv4Checksum } from '../../net/ipv4.ts'
import { etherType } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import { type NetDevice, transmitCongested } from '../device/device.ts'
import { drop } from '../drop.ts'
import { networkLength, segmentAt } from '../gso.ts'
import type { Namespace } from '../namespace.ts'
import { pktType, type Skb } from '../skb.ts'
import { runCgroupEgress } from '../socket/cgroup-skb.ts'
import { errnoNumber } from '../socket/errno.ts'
import { fragmentPacket } from './fragment.ts'
import { neighbourOutput } from './neighbour-output.ts'
import type { Route } from './route.ts'

const outputHook = { family: 4, hook: 'OUTPUT' } as const
const postroutingHook = { family: 4, hook: 'POSTROUTING' } as const
/** 224.0.0.1: the group that every device is in. */
const allHosts = 0xe000_0001

/** Whether fragmentation is wished for although DF is set (IP_PMTUDISC_WANT, skb->ignore_df). */
export interface OutputOptions {
  readonly ignoreDontFragment?: boolean
  /** A tunnel made this packet: the socket that owns what is inside has no say in it. */
  readonly encapsulated?: boolean
}

/**
 * ip_local_out(): sends a packet that was built here. `skb.data` and `skb.networkHeader` stand at a finished IP header
 * (total length and checksum are written here) and `skb.route` is its route. Answers 0, a NET_XMIT code, -EPERM or
 * another errno when OUTPUT or POSTROUTING dropped it, or -EMSGSIZE when it may not be fragmented; the sender's counters are the caller's.
 */
export function ipLocalOut(ns: Namespace, skb: Skb, options: OutputOptions = {}): number {
  const route = present(skb.route, 'a packet that is sent has a route')
  writeU16(skb.bytes, skb.networkHeader + ipv4At.totalLength, skb.tail - skb.networkHeader)
  writeIpv4Checksum(skb.bytes, skb.networkHeader)
  skb.protocol = etherType.ipv4
  count(ns, 'IpOutRequests')
  const verdict = ns.netfilter.run(ns, outputHook, skb, { in: undefined, out: route.device })
  if (verdict !== 'accept') return ns.netfilter.outcome(verdict)
  return ipOutput(ns, skb, options)
}

/** Whether the sender's own stack gets a copy: broadcasts, and groups that the device has joined (ip_mc_output). */
function hearsItself(route: Route, skb: Skb): boolean {
  if (route.device.kind === 'loopback') return false
  if (route.type === 'broadcast') return true
  return route.type === 'multicast' && readIpv4(skb.bytes, skb.data + ipv4At.destination) === allHosts
}

/** ip_mc_finish_output(), dev_loopback_xmit(): the copy passes POSTROUTING, and is received on the out-going device. */
function loopBack(ns: Namespace, skb: Skb, route: Route): void {
  const copy = skb.clone()
  const verdict = ns.netfilter.run(ns, postroutingHook, copy, { in: undefined, out: route.device })
  if (verdict !== 'accept') return
  copy.macHeader = -1
  copy.networkHeader = copy.data
  copy.pktType = pktType.loopback
  copy.route = { ...route, local: true, input: route.device }
  ns.machine.clock.soon(() => ns.machine.wiring.netifReceive(copy))
}

/** ip_output(): POSTROUTING and on. The route may have been changed by OUTPUT (ip_route_me_harder). */
export function ipOutput(
  ns: Namespace,
  skb: Skb,
  options: OutputOptions & { readonly input?: NetDevice } = {},
): number {
  const route = present(skb.route, 'a packet that is sent has a route')
  skb.protocol = etherType.ipv4
  if (route.xfrm !== undefined) return ns.ip.stack.transform(ns, skb, options)
  skb.dev = route.device
  if (options.input === undefined && hearsItself(route, skb)) loopBack(ns, skb, route)
  const verdict = ns.netfilter.run(ns, postroutingHook, skb, { in: options.input, out: route.device })
  if (verdict !== 'accept') return ns.netfilter.outcome(verdict)
  const towards = skb.route ?? route
  // __ip_finish_output(): the source that POSTROUTING gave it belongs to a policy
  if (towards.xfrm !== undefined) return ns.ip.stack.transform(ns, skb, { ...options, rerouted: true })
  const own = options.input === undefined && options.encapsulated !== true
  return own ? finishOwn(ns, skb, towards, options) : finishOutput(ns, skb, towards, options)
}

/** ip_finish_output(): a socket's cgroup may refuse the packet, or ask for a congestion notification. */
function finishOwn(ns: Namespace, skb: Skb, route: Route, options: OutputOptions): number {
  const asked = skb.sk === undefined ? 0 : runCgroupEgress(skb)
  if (asked !== 0 && asked !== transmitCongested) return asked
  const sent = finishOutput(ns, skb, route, options)
  return sent === 0 ? asked : sent
}

/** __ip_finish_output() and ip_fragment(). */
function finishOutput(ns: Namespace, skb: Skb, route: Route, options: OutputOptions): number {
  const fits = skb.length <= route.mtu && skb.fragmentMax === 0
  if (fits || (skb.gsoSize > 0 && networkLength(skb) <= route.mtu)) return sendPacket(ns, skb, route)
  if (skb.gsoSize > 0) return finishSegments(ns, skb, route, options)
  const flags = readU16(skb.bytes, skb.data + ipv4At.flagsAndOffset)
  // ip_fragment(): what came in pieces may be cut again, unless a piece of it was too big already
  const mayBeCut =
    options.ignoreDontFragment === true ||
    (skb.fragmentMax <= route.mtu && (skb.fragmentMax > 0 || skb.ignoreDf))
  if ((flags & ipv4Flag.dontFragment) !== 0 && !mayBeCut) {
    count(ns, 'IpFragFails')
    ns.ip.stack.sendError(skb, {
      type: icmpType.unreachable,
      code: icmpUnreachable.fragmentationNeeded,
      info: route.mtu,
    })
    drop(skb, { device: '', stage: 'route', reason: 'SKB_DROP_REASON_PKT_TOO_BIG' })
    return -errnoNumber.EMSGSIZE
  }
  return sendFragments(ns, skb, route)
}

/** ip_finish_output_gso(): segments that are too long themselves, one by one. */
function finishSegments(ns: Namespace, skb: Skb, route: Route, options: OutputOptions): number {
  let result = 0
  for (const piece of segmentAt(route.device, skb, 'gso'))
    result = finishOutput(ns, piece, route, options) || result
  return result
}

function sendFragments(ns: Namespace, skb: Skb, route: Route): number {
  // what came in pieces leaves in pieces that are no larger
  const mtu = skb.fragmentMax > 0 ? Math.min(route.mtu, skb.fragmentMax) : route.mtu
  for (const piece of fragmentPacket(skb, mtu)) {
    const sent = sendPacket(ns, piece, route)
    if (sent !== 0) {
      // ip_do_fragment(): what cannot be sent takes the pieces behind it along
      count(ns, 'IpFragFails')
      return sent
    }
    count(ns, 'IpFragCreates')
  }
  count(ns, 'IpFragOKs')
  return 0
}

/** ip_finish_output2(). */
function sendPacket(ns: Namespace, skb: Skb, route: Route): number {
  if (route.type === 'multicast') count(ns, 'IpExtOutMcastPkts')
  else if (route.type === 'broadcast') count(ns, 'IpExtOutBcastPkts')
  count(ns, 'IpOutTransmits')
  const gateway = route.gateway
  const destination = readIpv4(skb.bytes, skb.data + ipv4At.destination)
  return neighbourOutput(skb, route.device, gateway !== undefined && isIpv4(gateway) ? gateway : destination)
}
