// `ip route`: what a person may ask for, and what the kernel refuses. net/ipv4/fib_semantics.c fib_create_info() and
// fib_check_nh(), net/ipv6/route.c ip6_route_info_create(). What enters is a spec; what leaves is an entry in a table.
import { type IpAddress, isIpv4, isLinkLocal, isMulticast, sameIp } from '../../net/address.ts'
import { networkOf, type Prefix } from '../../net/prefix.ts'
import { type AdminResult, adminDone, refused } from '../device/change.ts'
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import { FibTable } from './fib.ts'
import { isLookupError, type Lookup, lookupInTable, lookupRoute } from './lookup.ts'
import {
  type FibRoute,
  type Flow,
  type NextHop,
  type RouteType,
  routeProtocol,
  routeScope,
  routeTable,
} from './route.ts'
import { isOwnAddress, plainFlow } from './source.ts'
import { familyState } from './state.ts'

interface NextHopSpec {
  readonly device?: NetDevice
  readonly gateway?: IpAddress
  /** 1 to 256, for routes with several next hops. */
  readonly weight?: number
  readonly onlink?: boolean
}

/** One line of `ip route add`; what is absent gets iproute2's and the kernel's defaults. */
export interface RouteSpec {
  readonly prefix: Prefix
  readonly type?: RouteType
  readonly table?: number
  readonly scope?: number
  readonly protocol?: number
  readonly tos?: number
  /** Absent: 0 for IPv4, 1024 for IPv6. */
  readonly metric?: number
  readonly source?: IpAddress
  /** Bytes; 0 or absent: the device's. */
  readonly mtu?: number
  /** Exactly one for ordinary routes, none for blackhole, unreachable, prohibit and throw. */
  readonly nextHops: readonly NextHopSpec[]
}

const userMetric6 = 1024

function familyOf(prefix: Prefix): 4 | 6 {
  return isIpv4(prefix.address) ? 4 : 6
}

/** The table of that number, made when missing. */
function tableOf(ns: Namespace, family: 4 | 6, id: number): FibTable {
  const { tables } = familyState(ns, family)
  const found = tables.get(id)
  if (found !== undefined) return found
  const made = new FibTable(id)
  tables.set(id, made)
  return made
}

/** Whether a type leads nowhere and so has no device. */
function isDeviceless(type: RouteType): boolean {
  return type === 'blackhole' || type === 'unreachable' || type === 'prohibit' || type === 'throw'
}

/** iproute2's default scope. */
function defaultScope(type: RouteType, nextHops: readonly NextHopSpec[]): number {
  if (type === 'local') return routeScope.host
  if (type === 'broadcast' || type === 'multicast' || type === 'anycast') return routeScope.link
  const direct = type === 'unicast' && nextHops.length === 1 && nextHops[0]?.gateway === undefined
  return direct ? routeScope.link : routeScope.universe
}

function gatewayFlow(gateway: IpAddress, device: NetDevice | undefined): Flow {
  return {
    ...plainFlow(gateway),
    oif: device?.ifindex ?? 0,
    scope: isIpv4(gateway) ? routeScope.link : routeScope.universe,
  }
}

function hop(device: NetDevice, spec: NextHopSpec, scope: number): NextHop {
  return {
    device,
    gateway: spec.gateway,
    weight: spec.weight ?? 1,
    onlink: spec.onlink ?? false,
    scope,
    dead: false,
    linkDown: scope !== routeScope.nowhere && !device.carrier,
  }
}

/** A next hop that says by itself where it is: `onlink`, or a link-local IPv6 gateway. */
function directGateway(spec: NextHopSpec): NextHop | string {
  if (spec.device === undefined) return 'EINVAL'
  if (!spec.device.up) return 'ENETDOWN'
  return hop(spec.device, spec, routeScope.link)
}

/** ip6_route_check_nh_onlink(): table main knows the gateway as somebody on another device, or as no neighbour at all. */
function isElsewhere(ns: Namespace, spec: NextHopSpec, gateway: IpAddress): boolean {
  if (isIpv4(gateway) || isLinkLocal(gateway)) return false
  const flow = { ...gatewayFlow(gateway, spec.device), anyDevice: true }
  const found = lookupInTable(ns, routeTable.main, flow)
  if (isLookupError(found) || found.prefixLength === 0) return false
  return found.route.type !== 'unicast' || found.nextHop.device !== spec.device
}

/**
 * What is known of a gateway: the route's own table is asked first (IPv6: table main too, and only for a neighbour on the
 * device), then all rules. fib_check_nh_v4_gw(), ip6_route_check_nh().
 */
function findGateway(ns: Namespace, spec: NextHopSpec, gateway: IpAddress, table: number): Lookup {
  const flow = gatewayFlow(gateway, spec.device)
  if (isIpv4(gateway) ? table !== routeTable.main : !isOwnAddress(ns, gateway)) {
    const found = lookupInTable(ns, table, flow)
    const near = (hop: NextHop): boolean =>
      hop.gateway === undefined && (spec.device === undefined || hop.device === spec.device)
    if (!isLookupError(found) && (isIpv4(gateway) || near(found.nextHop))) return found
  }
  return lookupRoute(ns, flow)
}

/**
 * fib_check_nh(): a gateway must be on a link; an errno otherwise. IPv4 also takes an address of the host itself: its next
 * hop has scope host, and packets go to their destination as if it were on the link (Cilium's routes through cilium_host).
 */
function resolveGateway(
  ns: Namespace,
  { spec, table }: { readonly spec: NextHopSpec; readonly table: number },
  gateway: IpAddress,
): NextHop | string {
  if (isMulticast(gateway)) return 'EINVAL'
  if (spec.onlink === true && isElsewhere(ns, spec, gateway)) return 'EINVAL'
  if (spec.onlink === true || (!isIpv4(gateway) && isLinkLocal(gateway))) return directGateway(spec)
  const unreachableGateway = isIpv4(gateway) ? 'ENETUNREACH' : 'EHOSTUNREACH'
  const found = findGateway(ns, spec, gateway, table)
  if (isLookupError(found)) return unreachableGateway
  const own = isIpv4(gateway) && found.route.type === 'local'
  if (found.route.type !== 'unicast' && !own) return 'EINVAL'
  if (!isIpv4(gateway) && found.nextHop.gateway !== undefined) return 'EHOSTUNREACH'
  const device = spec.device ?? found.nextHop.device
  if (device === undefined || !device.up) return 'ENETDOWN'
  return hop(device, spec, found.route.scope)
}

/** The next hop of a spec, or the errno of a refusal. */
function resolve(
  ns: Namespace,
  { type, table }: { readonly type: RouteType; readonly table: number },
  spec: NextHopSpec,
): NextHop | string {
  if (spec.gateway !== undefined) return resolveGateway(ns, { spec, table }, spec.gateway)
  if (spec.device === undefined) return 'ENODEV'
  if (type === 'local') return hop(spec.device, spec, routeScope.nowhere)
  if (!spec.device.up) return 'ENETDOWN'
  return hop(spec.device, spec, routeScope.host)
}

const nowhere: NextHop = {
  device: undefined,
  gateway: undefined,
  weight: 1,
  onlink: false,
  scope: routeScope.nowhere,
  dead: false,
  linkDown: false,
}

function resolveAll(
  ns: Namespace,
  kind: { readonly type: RouteType; readonly table: number },
  specs: readonly NextHopSpec[],
): NextHop[] | string {
  const { type } = kind
  if (isDeviceless(type)) return specs.length === 0 ? [nowhere] : 'EINVAL'
  if (specs.length === 0) return 'ENODEV'
  const hops: NextHop[] = []
  for (const spec of specs) {
    const resolved = resolve(ns, kind, spec)
    if (typeof resolved === 'string') return resolved
    hops.push(resolved)
  }
  return hops
}

function entryFor(ns: Namespace, spec: RouteSpec): FibRoute | string {
  const family = familyOf(spec.prefix)
  const type = spec.type ?? 'unicast'
  const network = networkOf(spec.prefix)
  if (!sameIp(network.address, spec.prefix.address)) return 'EINVAL'
  if (spec.source !== undefined && !isOwnAddress(ns, spec.source)) return 'EINVAL'
  const local = type === 'local' || type === 'broadcast' || type === 'anycast'
  const table = spec.table ?? (local ? routeTable.local : routeTable.main)
  const nextHops = resolveAll(ns, { type, table }, spec.nextHops)
  if (typeof nextHops === 'string') return nextHops
  return {
    family,
    table,
    prefix: network,
    type,
    scope: family === 4 ? (spec.scope ?? defaultScope(type, spec.nextHops)) : routeScope.universe,
    protocol: spec.protocol ?? routeProtocol.boot,
    tos: spec.tos ?? 0,
    metric: spec.metric ?? (family === 6 ? userMetric6 : 0),
    preferredSource: spec.source,
    mtu: spec.mtu ?? 0,
    nextHops,
  }
}

/** `add` refuses what is there, `replace` takes its place, `append` goes behind it. */
export type RouteMode = 'add' | 'replace' | 'append'

function sameKey(left: FibRoute, right: FibRoute): boolean {
  return left.tos === right.tos && left.metric === right.metric
}

/** Puts an entry into its table without any check: what the kernel adds by itself. */
export function insertRoute(ns: Namespace, route: FibRoute): void {
  tableOf(ns, route.family, route.table).insert(route, 'last')
  familyState(ns, route.family).generation += 1
}

/** Takes an entry out of its table. */
export function dropRoute(ns: Namespace, route: FibRoute): void {
  familyState(ns, route.family).tables.get(route.table)?.remove(route)
  familyState(ns, route.family).generation += 1
}

/**
 * `ip route add|replace|append`. Refusals: EEXIST (same prefix, tos and metric), ENETUNREACH or EHOSTUNREACH (gateway not
 * on a link), ENETDOWN (device down), ENODEV (no device), EINVAL (host bits, foreign source, impossible gateway).
 */
export function addRoute(ns: Namespace, spec: RouteSpec, mode: RouteMode = 'add'): AdminResult {
  const route = entryFor(ns, spec)
  if (typeof route === 'string') return refused(route)
  const table = tableOf(ns, route.family, route.table)
  const existing = table.at(route.prefix.address, route.prefix.length).find((other) => sameKey(other, route))
  if (existing !== undefined && mode === 'add') return refused('EEXIST')
  if (existing !== undefined && mode === 'replace') table.remove(existing)
  insertRoute(ns, route)
  return adminDone
}

/** What identifies a route to delete; absent fields match anything. */
export interface RouteMatch {
  readonly prefix: Prefix
  readonly table?: number
  readonly type?: RouteType
  readonly metric?: number
  readonly device?: NetDevice
  readonly gateway?: IpAddress
}

function matches(route: FibRoute, match: RouteMatch): boolean {
  const first = route.nextHops[0]
  if (match.type !== undefined && match.type !== route.type) return false
  if (match.metric !== undefined && match.metric !== route.metric) return false
  if (match.device !== undefined && match.device !== first?.device) return false
  if (match.gateway === undefined) return true
  return first?.gateway !== undefined && sameIp(first.gateway, match.gateway)
}

/** `ip route del`: the first match; ESRCH when there is none, or of IPv4 no such table, which the kernel tells apart. */
export function removeRoute(ns: Namespace, match: RouteMatch): AdminResult {
  const family = familyOf(match.prefix)
  const table = familyState(ns, family).tables.get(match.table ?? routeTable.main)
  const found = table?.at(match.prefix.address, match.prefix.length).find((route) => matches(route, match))
  if (table === undefined && family === 4)
    return { ok: false, errno: 'ESRCH', said: 'FIB table does not exist' }
  if (found === undefined) return refused('ESRCH')
  dropRoute(ns, found)
  return adminDone
}
