// What a CNI plugin installs becomes part of the world: every device, route, neighbour, sysctl and rule of its plan, as if
// the file had said it. So it is booted, printed and verified like everything else.

import { present } from '../base/assert.ts'
import type { Span } from '../base/text.ts'
import { planBridge } from '../cni/bridge.ts'
import { planCalico } from '../cni/calico.ts'
import { planFlannel } from '../cni/flannel.ts'
import { type CniCluster, type CniDevice, type CniHost, emptyHost, joinHosts } from '../cni/plan.ts'
import type { ClusterModel } from '../model/cluster.ts'
import type { DeviceModel } from '../model/device-model.ts'
import type { NamespaceModel, RouteModel, World } from '../model/model.ts'
import { prefixOf, withLinkLocal } from '../net/prefix.ts'
import { deployCilium } from './cilium-deploy.ts'
import { mergeTables } from './tables.ts'

const planners = { bridge: planBridge, flannel: planFlannel, calico: planCalico } as const

/** The plugin's lists, one for each host. */
function planOf(cluster: ClusterModel): ReadonlyMap<string, CniHost> {
  const told: CniCluster = {
    routing: cluster.routing,
    masquerade: cluster.masquerade,
    podCidr: cluster.podCidr,
    ...(cluster.podCidr6 === undefined ? {} : { podCidr6: cluster.podCidr6 }),
    nodes: cluster.nodes.map((node) => ({
      name: node.name,
      underlay: node.underlay,
      blocks: node.blocks,
      blocks6: node.blocks6,
      macOf: (device) => present(node.macs.get(device), `${node.name}/${device} has a MAC address`),
    })),
    pods: cluster.pods,
  }
  const hosts = new Map<string, CniHost>()
  for (const part of planners[cluster.cni](told)) {
    hosts.set(part.name, joinHosts(hosts.get(part.name) ?? emptyHost(part.name), part))
  }
  return hosts
}

/** A world with what its cluster's plugin installs. What the file says itself wins: it is there first. */
export function deployWorld(world: World): World {
  const { cluster, cilium } = world
  if (cilium !== undefined) return deployCilium(cilium, world)
  return cluster === undefined ? world : { ...world, namespaces: deployCluster(cluster, world.namespaces) }
}

/** The hosts among these with what the plugin installs on them. */
export function deployCluster(
  cluster: ClusterModel,
  hosts: readonly NamespaceModel[],
): readonly NamespaceModel[] {
  const plan = planOf(cluster)
  const nodes = new Set(cluster.nodes.map(({ name }) => name))
  return hosts.map((host) => {
    const own = plan.get(host.name)
    const hasBridge = own?.devices.some(({ kind }) => kind.type === 'bridge') === true
    const settled = nodes.has(host.name) && hasBridge ? withBridgeNetfilter(host) : host
    return own === undefined ? settled : deployHost(settled, own)
  })
}

const bridgeNetfilter = 'net.bridge.bridge-nf-call-iptables'

/** Part of the cluster's stated sysctls: on, as the kubelet needs it, unless the file says otherwise. */
function withBridgeNetfilter(host: NamespaceModel): NamespaceModel {
  if (host.sysctls.some(({ key }) => key === bridgeNetfilter)) return host
  return { ...host, sysctls: [{ key: bridgeNetfilter, value: 1, span: host.span }, ...host.sysctls] }
}

function deployHost(host: NamespaceModel, plan: CniHost): NamespaceModel {
  const { span } = host
  const known = new Set(host.devices.map(({ name }) => name))
  const stated = new Set(host.sysctls.map(({ key }) => key))
  const neighbours = plan.neighbours.filter(
    ({ state }) => state === 'permanent' || host.neighbours === 'warm',
  )
  const fdb = plan.fdb.filter(({ remote }) => remote !== undefined || host.neighbours === 'warm')
  const planned = [...new Map(plan.sysctls.map((setting) => [setting.key, setting])).values()]
  const rulesets = mergeTables(host.rulesets ?? [], plan.tables, span)
  return {
    ...host,
    devices: [
      ...host.devices,
      ...plan.devices.filter(({ name }) => !known.has(name)).map((device) => deviceModel(device, span)),
    ],
    routes: [...host.routes, ...plan.routes.map((route) => routeModel(route, span))],
    entries: [
      ...host.entries,
      ...neighbours.map(({ address, mac, device, state }) => ({
        address,
        mac,
        device,
        state: state === 'permanent' ? ('permanent' as const) : ('reachable' as const),
        span,
      })),
    ],
    fdb: [
      ...host.fdb,
      ...fdb.map(({ mac, device, remote }) => ({
        mac,
        device,
        permanent: remote !== undefined,
        span,
        ...(remote === undefined ? {} : { remote: { address: remote } }),
      })),
    ],
    sysctls: [
      ...planned.filter(({ key }) => !stated.has(key)).map((setting) => ({ ...setting, span })),
      ...host.sysctls,
    ],
    ...(rulesets.length === 0 ? {} : { rulesets }),
  }
}

function deviceModel(device: CniDevice, span: Span): DeviceModel {
  const { kind } = device
  const base = {
    name: device.name,
    mac: device.mac,
    mtu: device.mtu,
    up: true,
    addresses: withLinkLocal(device.addresses, device.mac),
    hairpin: false,
    isolated: false,
    attachments: [],
    sysctls: [],
    span,
  }
  switch (kind.type) {
    case 'bridge':
      return { ...base, kind: 'bridge' }
    case 'veth':
      return {
        ...base,
        kind: 'veth',
        hairpin: kind.hairpin ?? false,
        peer: { namespace: kind.peer.host, device: kind.peer.device },
        ...(kind.master === undefined ? {} : { master: kind.master }),
      }
    case 'vxlan':
      return {
        ...base,
        kind: 'vxlan',
        lower: kind.lower,
        tunnel: { ...tunnel, vni: kind.vni, dstport: kind.port, local: kind.local },
      }
    case 'ipip':
      return { ...base, kind: 'ipip', tunnel: { ...tunnel, learning: true, udpcsum: true, vni: 0 } }
  }
}

/** As flanneld and Felix make their devices: no learning, no checksum in the outer UDP header. */
const tunnel = {
  external: false,
  learning: false,
  proxy: false,
  udpcsum: false,
  pathMtu: true,
  ttl: 0,
  tos: 0,
  df: 'unset',
} as const

/** RT_SCOPE_LINK. */
const scopeLink = 253

function routeModel(route: CniHost['routes'][number], span: Span): RouteModel {
  const hop = {
    weight: 1,
    onlink: route.onlink ?? false,
    ...(route.via === undefined ? {} : { via: route.via }),
    ...(route.device === undefined ? {} : { device: route.device }),
  }
  return {
    type: route.type,
    prefix: prefixOf(route.prefix.address, route.prefix.length),
    table: 254,
    metric: 0,
    tos: 0,
    nexthops: route.type === 'blackhole' ? [] : [hop],
    span,
    ...(route.scopeLink ? { scope: scopeLink } : {}),
    ...(route.protocol === undefined ? {} : { protocol: route.protocol }),
  }
}
