// The route of a packet that came in: net/ipv4/route.c ip_route_input_slow() and __mkroute_input(). Answers with a route
// (to forward, to deliver, or one whose error ip_error() reports to the sender), or with why the packet is dropped.

import { present } from '../../base/assert.ts'
import { anyIpv4, type Ipv4, isIpv4, isLoopback, isMulticast } from '../../net/address.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import type { NetDevice } from '../device/device.ts'
import type { Errno } from '../socket/errno.ts'
import type { FibMatch } from './fib.ts'
import { isLookupError, lookupRoute } from './lookup.ts'
import { loopbackOf } from './output-key.ts'
import { type Flow, type Route, type RouteType, routeScope, usedGateway } from './route.ts'
import { type SourceQuestion, validateSource } from './rpf.ts'
import { isOnLink } from './source.ts'

export type InputAnswer =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'drop'; readonly reason: KernelDropReason }

/** What the look-up needs of the packet; numbers in host order. */
export interface InputPacket {
  readonly source: Ipv4
  readonly destination: Ipv4
  readonly tos: number
  readonly mark: number
  readonly protocol: number
  /** Ports for rules that ask for them; 0 without. */
  readonly sport: number
  readonly dport: number
  /** ARP asks with false: proxies follow other rules than packets. */
  readonly isIp: boolean
}

const limitedBroadcast = 0xffff_ffff

function dropped(reason: KernelDropReason): InputAnswer {
  return { kind: 'drop', reason }
}

function localRoute(
  dev: NetDevice,
  type: RouteType,
  match: FibMatch | undefined,
  error?: Errno,
): InputAnswer {
  const loopback = loopbackOf(dev.ns)
  const route: Route = {
    family: 4,
    type,
    error,
    device: loopback,
    input: dev,
    gateway: undefined,
    local: error === undefined,
    redirect: false,
    mtu: loopback.mtu,
    table: match?.route.table ?? 0,
    metric: match?.route.metric ?? 0,
    prefixLength: match?.prefixLength ?? 0,
    preferredSource: undefined,
    entry: match?.route,
  }
  return { kind: 'route', route }
}

function question(packet: InputPacket, options: { destination: Ipv4; oif: number }): SourceQuestion {
  return { ...packet, destination: options.destination, oif: options.oif }
}

/** Broadcasts and 0.0.0.0 to 0.0.0.0 (DHCP): local, if the source is a possible one. */
function broadcastInput(dev: NetDevice, packet: InputPacket): InputAnswer {
  if (!packet.isIp) return dropped('SKB_DROP_REASON_INVALID_PROTO')
  if (packet.source !== 0) {
    const verdict = validateSource(dev, question(packet, { destination: anyIpv4, oif: 0 }))
    if (verdict.kind === 'invalid') return dropped(verdict.reason)
  }
  return localRoute(dev, 'broadcast', undefined)
}

/** ip_route_input_mc(): groups that the device has joined; 224.0.0.1 always is. */
function multicastInput(dev: NetDevice, packet: InputPacket): InputAnswer {
  const joined = packet.destination === 0xe000_0001 || dev.kind === 'loopback'
  if (!joined) return dropped('SKB_DROP_REASON_NOT_SPECIFIED')
  const { source } = packet
  if (isMulticast(source) || source === limitedBroadcast || !packet.isIp) {
    return dropped('SKB_DROP_REASON_IP_INVALID_SOURCE')
  }
  if (isLoopback(source) && !localnet(dev)) return dropped('SKB_DROP_REASON_IP_LOCALNET')
  if (source !== 0) {
    const verdict = validateSource(dev, question(packet, { destination: anyIpv4, oif: 0 }))
    if (verdict.kind === 'invalid') return dropped(verdict.reason)
  }
  return localRoute(dev, 'multicast', undefined)
}

function localnet(dev: NetDevice): boolean {
  return dev.ns.sysctls.either('net.ipv4.conf.DEV.route_localnet', dev.name)
}

/** The martians that need no look-up; undefined for a possible pair of addresses. */
function martian(dev: NetDevice, packet: InputPacket): InputAnswer | undefined {
  const { source, destination } = packet
  if (isMulticast(source) || source === limitedBroadcast) {
    return dropped('SKB_DROP_REASON_IP_INVALID_SOURCE')
  }
  if (destination === limitedBroadcast || (source === 0 && destination === 0)) {
    return broadcastInput(dev, packet)
  }
  if (source === 0) return dropped('SKB_DROP_REASON_IP_INVALID_SOURCE')
  if (destination === 0) return dropped('SKB_DROP_REASON_IP_INVALID_DEST')
  if (isLoopback(destination) && !localnet(dev)) return dropped('SKB_DROP_REASON_IP_LOCALNET')
  if (isLoopback(source) && !localnet(dev)) return dropped('SKB_DROP_REASON_IP_LOCALNET')
  return undefined
}

/** __mkroute_input(). */
function forwardRoute(dev: NetDevice, packet: InputPacket, match: FibMatch): InputAnswer {
  const { ns } = dev
  const out = present(match.nextHop.device, 'a unicast route has a device')
  const verdict = validateSource(dev, question(packet, { destination: packet.destination, oif: out.ifindex }))
  if (verdict.kind === 'invalid') return dropped(verdict.reason)
  const gateway = usedGateway(match.nextHop)
  const sameDevice = out === dev
  if (sameDevice && !packet.isIp && ns.sysctls.device('net.ipv4.conf.DEV.proxy_arp_pvlan', dev.name) === 0) {
    return dropped('SKB_DROP_REASON_NOT_SPECIFIED')
  }
  const redirect =
    sameDevice &&
    verdict.onLink &&
    packet.isIp &&
    ns.sysctls.either('net.ipv4.conf.DEV.send_redirects', out.name) &&
    (ns.sysctls.either('net.ipv4.conf.DEV.shared_media', out.name) ||
      isOnLink(out, packet.source, gateway !== undefined && isIpv4(gateway) ? gateway : anyIpv4))
  const route: Route = {
    family: 4,
    type: 'unicast',
    error: undefined,
    device: out,
    input: dev,
    gateway,
    local: false,
    redirect,
    mtu: match.route.mtu > 0 ? match.route.mtu : out.mtu,
    table: match.route.table,
    metric: match.route.metric,
    prefixLength: match.prefixLength,
    preferredSource: undefined,
    entry: match.route,
  }
  return { kind: 'route', route }
}

function flowOf(dev: NetDevice, packet: InputPacket): Flow {
  return {
    family: 4,
    destination: packet.destination,
    source: packet.source,
    oif: 0,
    iif: dev.ifindex,
    mark: packet.mark,
    tos: packet.tos,
    protocol: packet.protocol,
    sport: packet.sport,
    dport: packet.dport,
    scope: routeScope.universe,
  }
}

/**
 * ip_route_input_noref(). A route with `error` is for ip_error(): EHOSTUNREACH (unreachable, or forwarding is off),
 * ENETUNREACH (no route), EACCES (prohibit), EINVAL (blackhole).
 */
export function routeInput(dev: NetDevice, packet: InputPacket): InputAnswer {
  if (isMulticast(packet.destination)) return multicastInput(dev, packet)
  const odd = martian(dev, packet)
  if (odd !== undefined) return odd
  const found = lookupRoute(dev.ns, flowOf(dev, packet))
  const forwards = dev.ns.sysctls.device('net.ipv4.conf.DEV.forwarding', dev.name) !== 0
  if (isLookupError(found)) {
    return localRoute(dev, 'unreachable', undefined, forwards ? found : 'EHOSTUNREACH')
  }
  if (found.route.type === 'broadcast') return broadcastInput(dev, packet)
  if (found.route.type === 'local') {
    const verdict = validateSource(dev, question(packet, { destination: packet.destination, oif: 0 }))
    if (verdict.kind === 'invalid') return dropped(verdict.reason)
    return localRoute(dev, 'local', found)
  }
  if (!forwards) return localRoute(dev, 'unreachable', undefined, 'EHOSTUNREACH')
  if (found.route.type !== 'unicast') return dropped('SKB_DROP_REASON_IP_INVALID_DEST')
  return forwardRoute(dev, packet, found)
}
