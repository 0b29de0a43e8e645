// The route of a packet that is built here: net/ipv4/route.c ip_route_output_key_hash_rcu() and __mkroute_output().
// What enters is a flow; what leaves is a route with its source address, or the errno that the sender sees.

import { present } from '../../base/assert.ts'
import {
  anyIpv4,
  type IpAddress,
  type Ipv4,
  ipv4From,
  isIpv4,
  isLoopback,
  isMulticast,
} from '../../net/address.ts'
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import type { FibMatch } from './fib.ts'
import { isLookupError, lookupRoute } from './lookup.ts'
import { routeException } from './path-mtu.ts'
import { type Flow, type Route, type RouteAnswer, type RouteType, routeScope, usedGateway } from './route.ts'
import { isOwnAddress, selectAddress, sourceForRoute } from './source.ts'

const limitedBroadcast = 0xffff_ffff
/** IP_MAX_MTU: a packet cannot be longer, whatever the device (lo has 65536). */
const mtuMax = 0xffff
const loopbackAddress = ipv4From(0x7f00_0001)
const einval: RouteAnswer = { kind: 'error', errno: 'EINVAL' }
const enetunreach: RouteAnswer = { kind: 'error', errno: 'ENETUNREACH' }

/** 224.0.0.0/24, never routed (ipv4_is_local_multicast). */
function isLocalMulticast(address: Ipv4): boolean {
  return address >>> 8 === 0xe00000
}

/** The loopback device of a namespace. */
export function loopbackOf(ns: Namespace): NetDevice {
  return present(ns.devices.get(1), 'a namespace has a loopback device')
}

function ipv4Of(address: IpAddress): Ipv4 {
  return isIpv4(address) ? address : anyIpv4
}

interface Candidate {
  readonly flow: Flow
  readonly destination: Ipv4
  readonly source: Ipv4
  readonly device: NetDevice
  readonly type: RouteType
  readonly match: FibMatch | undefined
}

/** Type of the route by what stands in the destination, before the table's word counts. */
function outputType(candidate: Candidate): RouteType {
  if (candidate.destination === limitedBroadcast) return 'broadcast'
  if (isMulticast(candidate.destination)) return 'multicast'
  return candidate.type
}

function outputMtu(ns: Namespace, candidate: Candidate, local: boolean): number {
  const device = candidate.device.mtu
  const configured = candidate.match?.route.mtu ?? 0
  const base = Math.min(configured > 0 ? configured : device, mtuMax)
  if (local) return base
  const learned = routeException(ns, candidate.destination)
  return learned !== undefined && learned.mtu > 0 ? Math.min(learned.mtu, base) : base
}

/** __mkroute_output(). */
function makeRoute(ns: Namespace, candidate: Candidate): RouteAnswer {
  const { destination, source, device } = candidate
  const onLoopback = device.kind === 'loopback'
  const localnet = ns.sysctls.either('net.ipv4.conf.DEV.route_localnet', device.name)
  if (!localnet && isLoopback(source) && !onLoopback) return einval
  if (destination === 0) return einval
  const type = outputType(candidate)
  const addressed = type === 'broadcast' || (type === 'multicast' && candidate.match === undefined)
  const match = addressed ? undefined : candidate.match
  const local = onLoopback || type === 'local'
  const learned = local ? undefined : routeException(ns, destination)
  const route: Route = {
    family: 4,
    type,
    error: undefined,
    device,
    input: undefined,
    gateway: type === 'multicast' || local ? undefined : (learned?.gateway ?? usedGateway(match?.nextHop)),
    local,
    redirect: false,
    mtu: outputMtu(ns, candidate, local),
    table: match?.route.table ?? 0,
    metric: match?.route.metric ?? 0,
    prefixLength: match?.prefixLength ?? 0,
    preferredSource: source,
    entry: match?.route,
  }
  return { kind: 'route', route, source, destination }
}

/** An output device was asked for, but no route fits: the destination is taken to be on its link. */
function onLinkGuess(ns: Namespace, flow: Flow, device: NetDevice): RouteAnswer {
  const asked = ipv4Of(flow.source)
  const source = asked === 0 ? selectAddress(device, anyIpv4, routeScope.link) : asked
  const destination = ipv4Of(flow.destination)
  return makeRoute(ns, { flow, destination, source, device, type: 'unicast', match: undefined })
}

/** The table's answer for a destination that is neither special nor unspecified. */
function lookupOutput(ns: Namespace, flow: Flow, bound: NetDevice | undefined): RouteAnswer {
  const found = lookupRoute(ns, flow)
  if (isLookupError(found)) {
    if (bound !== undefined) return onLinkGuess(ns, flow, bound)
    return { kind: 'error', errno: found }
  }
  const destination = ipv4Of(flow.destination)
  const asked = ipv4Of(flow.source)
  if (found.route.type === 'local') {
    const preferred = ipv4Of(found.route.preferredSource ?? destination)
    const source = asked === 0 ? preferred : asked
    return makeRoute(ns, { flow, destination, source, device: loopbackOf(ns), type: 'local', match: found })
  }
  const source = asked === 0 ? sourceForRoute(found.route, found.nextHop) : asked
  const device = present(found.nextHop.device, 'a route without an error has a device')
  return makeRoute(ns, { flow, destination, source, device, type: found.route.type, match: found })
}

/** The flow with a source chosen for multicast and for an unspecified destination, when a device was asked for. */
function sourceOnDevice(flow: Flow, device: NetDevice): Flow {
  const destination = ipv4Of(flow.destination)
  if (flow.source !== 0) return flow
  if (isMulticast(destination)) {
    return { ...flow, source: selectAddress(device, anyIpv4, flow.scope) }
  }
  if (destination === 0) return { ...flow, source: selectAddress(device, anyIpv4, routeScope.host) }
  return flow
}

function groupOnDevice(ns: Namespace, flow: Flow, device: NetDevice): RouteAnswer {
  const asked = ipv4Of(flow.source)
  const source = asked === 0 ? selectAddress(device, anyIpv4, routeScope.link) : asked
  const destination = ipv4Of(flow.destination)
  return makeRoute(ns, { flow, destination, source, device, type: 'unicast', match: undefined })
}

function isGroup(address: Ipv4): boolean {
  return address === limitedBroadcast || isMulticast(address)
}

/** A source that is not ours, or that nobody may send from. */
function sourceAnswer(ns: Namespace, flow: Flow, anySource: boolean): RouteAnswer | undefined {
  const source = ipv4Of(flow.source)
  if (source === 0) return undefined
  if (isGroup(source)) return einval
  if (flow.oif === 0 && isGroup(ipv4Of(flow.destination))) {
    const device = ns.ip.v4.own.get(source)?.[0]?.device
    return device === undefined ? enetunreach : groupOnDevice(ns, flow, device)
  }
  return anySource || isOwnAddress(ns, source) ? undefined : enetunreach
}

/**
 * ip_route_output_key_hash(): without a look at xfrm policies. Errors as in connect(2) and sendto(2): EINVAL (blackhole, multicast source),
 * EHOSTUNREACH (unreachable route), EACCES (prohibit), ENETUNREACH (no route, `throw`, device down, foreign source).
 * `anySource` is FLOWI_FLAG_ANYSRC: transparent sockets and answers of mute hosts.
 */
export function routeOutputKey(
  ns: Namespace,
  flow: Flow,
  options: { readonly anySource?: boolean } = {},
): RouteAnswer {
  const early = sourceAnswer(ns, flow, options.anySource === true)
  if (early !== undefined) return early
  const device = flow.oif === 0 ? undefined : ns.devices.get(flow.oif)
  if (flow.oif !== 0 && (device === undefined || !device.up)) return enetunreach
  const destination = ipv4Of(flow.destination)
  if (device !== undefined && (isLocalMulticast(destination) || destination === limitedBroadcast)) {
    return groupOnDevice(ns, flow, device)
  }
  const bound = device === undefined ? flow : sourceOnDevice(flow, device)
  if (destination === 0) {
    const source = bound.source === 0 ? loopbackAddress : ipv4Of(bound.source)
    return makeRoute(ns, {
      flow: bound,
      destination: source,
      source,
      device: loopbackOf(ns),
      type: 'local',
      match: undefined,
    })
  }
  return lookupOutput(ns, bound, device)
}
