// The tables in the words of `ip route`, `ip neigh` and `ip addr`: for people, for `state` sections of traces and for tests.
import { formatIp, type IpAddress, isIpv4, isUnspecified } from '../../net/address.ts'
import { formatMac, macFrom } from '../../net/mac.ts'
import { formatPrefix, type Prefix } from '../../net/prefix.ts'
import type { Namespace } from '../namespace.ts'
import { settle } from '../neighbour-entry.ts'
import type { Neighbour } from '../neighbour-table.ts'
import { type FibRoute, type NextHop, routeScope, routeTable } from './route.ts'
import { familyState } from './state.ts'

/** /etc/iproute2/rt_scopes. */
export const scopeNames = new Map<number, string>([
  [routeScope.universe, 'global'],
  [routeScope.site, 'site'],
  [routeScope.link, 'link'],
  [routeScope.host, 'host'],
  [routeScope.nowhere, 'nowhere'],
])
/** /etc/iproute2/rt_protos; `boot` is not printed. */
export const protocolNames = new Map<number, string>([
  [1, 'redirect'],
  [2, 'kernel'],
  [4, 'static'],
  [12, 'bird'],
])
/** /etc/iproute2/rt_tables. */
export const tableNames = new Map<number, string>([
  [routeTable.default, 'default'],
  [routeTable.main, 'main'],
  [routeTable.local, 'local'],
])

/** Order of addresses as tries walk them: numbers of the network order. */
export function compareAddresses(left: IpAddress, right: IpAddress): number {
  if (isIpv4(left) || isIpv4(right)) return isIpv4(left) && isIpv4(right) ? left - right : 0
  for (let i = 0; i < 4; i += 1) {
    const order = (left[i as 0] as number) - (right[i as 0] as number)
    if (order !== 0) return order
  }
  return 0
}

/** `default`, a bare address for a host route, else the prefix. */
export function destinationText(prefix: Prefix): string {
  if (prefix.length === 0 && isUnspecified(prefix.address)) return 'default'
  return prefix.length === (isIpv4(prefix.address) ? 32 : 128)
    ? formatIp(prefix.address)
    : formatPrefix(prefix)
}

function nextHopText(nextHop: NextHop): string {
  const via = nextHop.gateway === undefined ? '' : ` via ${formatIp(nextHop.gateway)}`
  const device = nextHop.device === undefined ? '' : ` dev ${nextHop.device.name}`
  return `${via}${device}`
}

function flagsText(nextHop: NextHop | undefined): string {
  if (nextHop === undefined) return ''
  const words = [
    nextHop.dead ? ' dead' : '',
    nextHop.onlink ? ' onlink' : '',
    nextHop.linkDown ? ' linkdown' : '',
  ]
  return words.join('')
}

/** One line as `ip route show` prints it. */
export function formatRoute(route: FibRoute): string {
  const type = route.type === 'unicast' ? '' : `${route.type} `
  const several = route.nextHops.length > 1
  const [first] = route.nextHops
  const hop = several || first === undefined ? '' : nextHopText(first)
  const protocol =
    protocolNames.get(route.protocol) ?? (route.protocol === 3 ? undefined : `${route.protocol}`)
  const scope =
    route.family === 4 && route.scope !== routeScope.universe ? scopeNames.get(route.scope) : undefined
  const words = [
    `${type}${destinationText(route.prefix)}${hop}`,
    route.tos === 0 ? '' : `tos 0x${route.tos.toString(16)}`,
    protocol === undefined ? '' : `proto ${protocol}`,
    scope === undefined ? '' : `scope ${scope}`,
    route.preferredSource === undefined ? '' : `src ${formatIp(route.preferredSource)}`,
    route.metric === 0 ? '' : `metric ${route.metric}`,
    route.mtu === 0 ? '' : `mtu ${route.mtu}`,
    ...(several
      ? route.nextHops.map((nextHop) => `nexthop${nextHopText(nextHop)} weight ${nextHop.weight}`)
      : []),
  ]
  return words.filter((word) => word !== '').join(' ') + (several ? '' : flagsText(first))
}

/** `ip route show table N`: by destination, as fib_trie walks it. */
export function listRoutes(
  ns: Namespace,
  options: { readonly family: 4 | 6; readonly table?: number } = { family: 4 },
): readonly FibRoute[] {
  const table = familyState(ns, options.family).tables.get(options.table ?? routeTable.main)
  const routes = [...(table?.routes() ?? [])]
  return routes.sort((left, right) => compareAddresses(left.prefix.address, right.prefix.address))
}

/** Every neighbour of a family except those that need none (NOARP), by device and address. */
export function listNeighbours(ns: Namespace, family: 4 | 6): readonly Neighbour[] {
  const { entries } = familyState(ns, family).neighbours
  if (entries.size === 0) return []
  return [...entries.values()]
    .map(settle)
    .filter((neighbour) => neighbour.state !== 'NOARP')
    .sort(
      (left, right) =>
        left.device.ifindex - right.device.ifindex || compareAddresses(left.address, right.address),
    )
}

/** One line as `ip neigh show` prints it. */
export function formatNeighbour(neighbour: Neighbour): string {
  const mac = neighbour.mac < 0 ? '' : ` lladdr ${formatMac(macFrom(neighbour.mac))}`
  const router = neighbour.router ? ' router' : ''
  return `${formatIp(neighbour.address)} dev ${neighbour.device.name}${mac}${router} ${neighbour.state}`
}

/** `ip route show cache`: the path MTUs and gateways that were learned and still hold. */
export function listRouteCache(ns: Namespace, family: 4 | 6): readonly string[] {
  const { now } = ns.machine.clock
  const lines: string[] = []
  for (const exception of familyState(ns, family).exceptions.values()) {
    if (exception.expires <= now) continue
    const via = exception.gateway === undefined ? '' : ` via ${formatIp(exception.gateway)}`
    const mtu = exception.mtu === 0 ? '' : ` mtu ${exception.mtu}`
    lines.push(`${formatIp(exception.destination)}${via} dev ${exception.device.name} cache${mtu}`)
  }
  return lines
}
