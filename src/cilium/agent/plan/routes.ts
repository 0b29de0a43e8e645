// Routes and rules of a node and of what runs on it (`facts` 1.3, 1.4; cilium pkg/datapath/linux/node.go,
// pkg/datapath/linux/route, pkg/datapath/loader).
import { anyIpv4, anyIpv6, type IpAddress, isIpv4, linkLocalOf, sameIp } from '../../../net/address.ts'
import { covers, hostPrefix, isIpv4Prefix, networkOf, type Prefix, prefixOf } from '../../../net/prefix.ts'
import type { AgentConfig } from '../config.ts'
import type { Endpoint } from '../endpoint.ts'
import { hostAddress, type NodeAddresses } from '../node-addresses.ts'
import type { RoutePlan, RulePlan } from './plan.ts'

export const hostDevice = 'cilium_host'
export const netDevice = 'cilium_net'

/** Where the rule of the table local goes, so that Cilium's come first. */
export const localRulePriority = 100

const toProxy = { priority: 9, mark: 0x200, mask: 0xf00, table: 2004 } as const
const fromEgressProxy = { priority: 10, mark: 0xb00, mask: 0xf00, table: 2005 } as const
const fromIngressProxy = { priority: 10, mark: 0xa00, mask: 0xf00, table: 2005 } as const

function anyPrefix(version: 4 | 6): Prefix {
  return prefixOf(version === 4 ? anyIpv4 : anyIpv6, 0)
}

const versionOf = (address: IpAddress): 4 | 6 => (isIpv4(address) ? 4 : 6)

/** A route to a range of pods by way of cilium_host. A router that has the device's address is no gateway in IPv6. */
function rangeRoute(
  own: NodeAddresses,
  prefix: Prefix,
  router: IpAddress,
  mtu?: number,
): readonly RoutePlan[] {
  const source = hostAddress(own, versionOf(router))
  if (source === undefined) return []
  const route = { prefix: networkOf(prefix), type: 'unicast', device: hostDevice, source } as const
  const gateway = isIpv4(router) || !sameIp(source, router) ? { via: router } : {}
  return [{ ...route, ...gateway, ...(mtu === undefined ? {} : { mtu }) }]
}

/** The routes of a node's main table. */
export function nodeRoutes(
  own: NodeAddresses,
  others: readonly NodeAddresses[],
  endpoints: readonly Endpoint[],
  routeMtu: number,
): readonly RoutePlan[] {
  const { config, podCidrs } = own.node
  const routes: RoutePlan[] = []
  for (const router of own.router) {
    const isSame = (prefix: Prefix): boolean => isIpv4Prefix(prefix) === isIpv4(router)
    routes.push({ prefix: hostPrefix(router), type: 'unicast', device: hostDevice, scopeLink: true })
    const local = podCidrs.filter(isSame)
    if (!config.endpointRoutes) routes.push(...local.flatMap((prefix) => rangeRoute(own, prefix, router)))
    for (const other of others) {
      const ranges = other.node.podCidrs.filter(isSame)
      if (config.routing === 'tunnel')
        routes.push(...ranges.flatMap((prefix) => rangeRoute(own, prefix, router, routeMtu)))
      else if (config.autoDirectNodeRoutes)
        routes.push(...ranges.flatMap((prefix) => directRoute(prefix, own, other)))
    }
  }
  for (const { installsRoute, addresses, device } of endpoints) {
    if (!installsRoute || device === undefined) continue
    for (const address of addresses) {
      routes.push({ prefix: hostPrefix(address), type: 'unicast', device: device.name, scopeLink: true })
    }
  }
  return routes
}

/** `auto-direct-node-routes`: by the other node itself, which has to be on the wire. */
function directRoute(prefix: Prefix, own: NodeAddresses, other: NodeAddresses): readonly RoutePlan[] {
  const via = isIpv4Prefix(prefix) ? other.ip4 : other.ip6
  if (via === undefined) return []
  for (const { name, addresses } of own.node.devices) {
    if (addresses.some((each) => covers(networkOf(each), via))) {
      return [{ prefix: networkOf(prefix), type: 'unicast', device: name, via }]
    }
  }
  return []
}

/** Tables and rules for traffic to and from the proxy; `routeMtu` is that of routes. */
export function proxyRoutes(
  own: NodeAddresses,
  routeMtu: number,
): {
  readonly routes: readonly RoutePlan[]
  readonly rules: readonly RulePlan[]
} {
  const { config } = own.node
  if (!config.l7Proxy) return { routes: [], rules: [] }
  const families = ([4, 6] as const).filter((version) => (version === 4 ? config.ipv4 : config.ipv6))
  const routes: RoutePlan[] = []
  const rules: RulePlan[] = []
  // what the proxy sends leaves room for encryption
  const room = config.version === '1.19' ? { mtu: routeMtu } : {}
  for (const family of families) {
    routes.push({ prefix: anyPrefix(family), type: 'local', device: 'lo', table: toProxy.table })
    rules.push({ family, ...toProxy })
    if (!routesFromProxy(config)) continue
    const via = proxyGateway(own, family)
    if (via === undefined) continue
    const { table } = fromIngressProxy
    routes.push(
      { prefix: hostPrefix(via), type: 'unicast', device: hostDevice, scopeLink: true, table },
      { prefix: anyPrefix(family), type: 'unicast', device: hostDevice, via, table, ...room },
    )
    rules.push({ family, ...fromIngressProxy })
    if (config.encryption === 'ipsec' && config.version === '1.19') rules.push({ family, ...fromEgressProxy })
  }
  return { routes, rules }
}

/** Where table 2005 leads: to the router, in IPv6 to the other end of cilium_host (getCiliumNetIPv6(); 1.10: bpf/init.sh). */
function proxyGateway({ node, router }: NodeAddresses, family: 4 | 6): IpAddress | undefined {
  if (family === 6) return linkLocalOf(node.macOf(netDevice))
  return router.find((address) => versionOf(address) === family)
}

/** Whether the proxy's upstream traffic is sent to cilium_host by a rule (table 2005). */
function routesFromProxy({ version, endpointRoutes, routing, encryption }: AgentConfig): boolean {
  return version === '1.10' ? !endpointRoutes : routing === 'native' && encryption !== 'off'
}

/** The routes inside a pod, or inside the namespace of the health endpoint. */
export function podRoutes(router: readonly IpAddress[], device: string, mtu: number): readonly RoutePlan[] {
  return router.flatMap((via) => [
    { prefix: hostPrefix(via), type: 'unicast' as const, device, scopeLink: true as const },
    { prefix: anyPrefix(versionOf(via)), type: 'unicast' as const, device, via, mtu },
  ])
}
