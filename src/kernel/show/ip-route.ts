// `ip [-6] route [show ...]`, as iproute2 6.1 prints it: in the order in which the kernel walks its tries.
import { formatIp } from '../../net/address.ts'
import { covers } from '../../net/prefix.ts'
import { compareAddresses, destinationText, protocolNames, scopeNames, tableNames } from '../ip/list.ts'
import {
  type FibRoute,
  type NextHop,
  type RouteType,
  routeProtocol,
  routeScope,
  routeTable,
} from '../ip/route.ts'
import { familyState } from '../ip/state.ts'
import type { Namespace } from '../namespace.ts'

export interface RouteOptions {
  readonly family: 4 | 6
  readonly table: number | 'all'
  readonly device: string | undefined
  readonly type: RouteType | undefined
}

/** fib_trie: by address, of equal ones the longest prefix first; then TOS downwards and metric upwards. */
function compare4(left: FibRoute, right: FibRoute): number {
  return (
    compareAddresses(left.prefix.address, right.prefix.address) ||
    right.prefix.length - left.prefix.length ||
    right.tos - left.tos ||
    left.metric - right.metric
  )
}

/** fib6_walk: what lies inside a prefix comes before it. */
function compare6(left: FibRoute, right: FibRoute): number {
  const [shorter, longer, sign] =
    left.prefix.length <= right.prefix.length ? [left, right, 1] : [right, left, -1]
  if (shorter.prefix.length !== longer.prefix.length && covers(shorter.prefix, longer.prefix.address))
    return sign
  return compareAddresses(left.prefix.address, right.prefix.address) || left.metric - right.metric
}

function tablesOf(ns: Namespace, { family, table }: RouteOptions): readonly number[] {
  if (table !== 'all') return [table]
  const known = [...familyState(ns, family).tables.keys()]
  // fib_table_hash has 256 buckets; the main table of IPv6 comes before the local one there as well.
  return known.sort((left, right) => (left & 0xff) - (right & 0xff))
}

function hopText(hop: NextHop, shown: RouteOptions): string {
  const via = hop.gateway === undefined ? '' : `via ${formatIp(hop.gateway)} `
  const device = hop.device === undefined || hop.device.name === shown.device ? '' : `dev ${hop.device.name} `
  return `${via}${device}`
}

function flagsText(hop: NextHop | undefined): string {
  if (hop === undefined) return ''
  return `${hop.dead ? 'dead ' : ''}${hop.onlink ? 'onlink ' : ''}${hop.linkDown ? 'linkdown ' : ''}`
}

/** A local address still answers without carrier, so its route has no mark of it. */
function marks(route: FibRoute): NextHop | undefined {
  const [first] = route.nextHops
  return route.type === 'local' && first !== undefined ? { ...first, linkDown: false } : first
}

function scopeText({ family, scope }: FibRoute): string {
  if (family === 6 || scope === routeScope.universe || scope === routeScope.nowhere) return ''
  return `scope ${scopeNames.get(scope) ?? scope} `
}

function routeText(route: FibRoute, shown: RouteOptions): string {
  const several = route.nextHops.length > 1
  const [first] = route.nextHops
  const protocol = protocolNames.get(route.protocol) ?? String(route.protocol)
  const isSix = route.family === 6
  const showsTable = shown.table === 'all' && route.table !== routeTable.main
  const noDevice = isSix && first?.device === undefined && !several ? 'dev lo ' : ''
  const ends = [
    route.type === 'unicast' ? '' : `${route.type} `,
    `${destinationText(route.prefix)} `,
    route.tos === 0 ? '' : `tos 0x${route.tos.toString(16).padStart(2, '0')} `,
    several || first === undefined ? noDevice : `${hopText(first, shown)}${noDevice}`,
    showsTable ? `table ${tableNames.get(route.table) ?? route.table} ` : '',
    route.protocol === routeProtocol.boot || route.protocol === routeProtocol.unspec
      ? ''
      : `proto ${protocol} `,
    scopeText(route),
    route.preferredSource === undefined ? '' : `src ${formatIp(route.preferredSource)} `,
    isSix || route.metric !== 0 ? `metric ${route.metric} ` : '',
    several ? '' : flagsText(marks(route)),
    route.mtu === 0 ? '' : `mtu ${route.mtu} `,
    isSix ? 'pref medium' : '',
  ]
  const hops = several
    ? route.nextHops.map((hop) => `\n\tnexthop ${hopText(hop, shown)}weight ${hop.weight} ${flagsText(hop)}`)
    : []
  return `${ends.join('')}${hops.join('')}\n`
}

/** `ip route show [table T] [dev DEV] [type TYPE]`. */
export function showRoutes(ns: Namespace, options: RouteOptions): string {
  const { tables } = familyState(ns, options.family)
  const compare = options.family === 4 ? compare4 : compare6
  const routes = tablesOf(ns, options).flatMap((table) =>
    [...(tables.get(table)?.routes() ?? [])].sort(compare),
  )
  return routes
    .filter((route) => options.type === undefined || route.type === options.type)
    .filter(
      (route) =>
        options.device === undefined || route.nextHops.some((hop) => hop.device?.name === options.device),
    )
    .map((route) => routeText(route, options))
    .join('')
}
