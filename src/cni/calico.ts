// `cni calico`: pods with /32 addresses behind 169.254.1.1, which the host's proxy_arp answers for; one host route for each
// pod, a blackhole for the node's block, and routes to other blocks by ipip, vxlan or the underlay alone (as BGP learns
// them). Facts: linux 6, recorded cal-*. The policy chains are Felix's with one profile that allows everything.
import { type IpAddress, type Ipv4, ipv4From, isIpv4, linkLocalOf } from '../net/address.ts'
import { macFrom } from '../net/mac.ts'
import { formatPrefix, hostPrefix } from '../net/prefix.ts'
import { everywhere, nthAddress } from './addresses.ts'
import { nodeRoutes } from './bridge.ts'
import { policyTables } from './calico-policy.ts'
import { type CniFamily, familiesOf, forwardingOf } from './family.ts'
import {
  type CniCluster,
  type CniDevice,
  type CniHost,
  type CniNode,
  type CniPod,
  type CniTable,
  emptyHost,
  podsOn,
  underlayMtu,
} from './plan.ts'
import { portmapHost } from './portmap.ts'

/** The gateway of every pod: an address that nobody has. */
const gateway: Ipv4 = ipv4From(0xa9fe_0101)
/** Felix's rtm_protocol, and BIRD's. */
const felix = 80
const bird = 12
/** What Calico gives to the host's end of every veth pair. */
const hostMac = macFrom(0xeeee_eeee_eeee)
/** fe80::ecee:eeff:feee:eeee. */
const gateway6 = linkLocalOf(hostMac)

/** What the tunnel of a family adds; IP in IP is for IPv4 alone, the pool of IPv6 has no encapsulation then. */
const overlayBytes = { vxlan: { 4: 50, 6: 70 }, ipip: { 4: 20, 6: 0 }, native: { 4: 0, 6: 0 } } as const
const overlayDevice = {
  vxlan: { 4: 'vxlan.calico', 6: 'vxlan-v6.calico' },
  ipip: { 4: 'tunl0', 6: undefined },
  native: { 4: undefined, 6: undefined },
} as const

/** Felix takes the smallest of what its tunnels leave. */
function podMtu(cluster: CniCluster, node: CniNode): number {
  const bytes = familiesOf(cluster).map(({ family }) => overlayBytes[cluster.routing][family])
  return underlayMtu(node) - (node.underlay === undefined ? 0 : Math.max(...bytes))
}

/** The node's tunnel address is the first of its first block. */
function tunnelAddress(node: CniNode, family: CniFamily): IpAddress | undefined {
  const [block] = family.blocks(node)
  return block === undefined ? undefined : nthAddress(block, 0)
}

function overlayKind(
  cluster: CniCluster,
  underlay: { readonly device: string; readonly local: IpAddress },
): CniDevice['kind'] {
  if (cluster.routing === 'ipip') return { type: 'ipip' }
  return { type: 'vxlan', vni: 4096, port: 4789, local: underlay.local, lower: underlay.device }
}

/** vxlan.calico or tunl0, with the ways to all other nodes. */
function overlayHost(cluster: CniCluster, node: CniNode, family: CniFamily): CniHost {
  const { underlay } = node
  const local = family.underlay(node)
  const own = tunnelAddress(node, family)
  const device = overlayDevice[cluster.routing][family.family]
  if (device === undefined || underlay === undefined || local === undefined || own === undefined) {
    const learned = nodeRoutes(cluster, node, [family])
    return { ...learned, routes: learned.routes.map((route) => ({ ...route, protocol: bird })) }
  }
  const isVxlan = cluster.routing === 'vxlan'
  const others = cluster.nodes.flatMap((other) => {
    const host = family.underlay(other)
    const tunnel = tunnelAddress(other, family)
    return other === node || host === undefined || tunnel === undefined
      ? []
      : [{ blocks: family.blocks(other), host, tunnel, mac: other.macOf(device) }]
  })
  return {
    ...emptyHost(node.name),
    devices: [
      {
        name: device,
        mac: node.macOf(device),
        mtu: underlay.mtu - overlayBytes[cluster.routing][family.family],
        addresses: [hostPrefix(own)],
        kind: overlayKind(cluster, { device: underlay.device, local }),
      },
    ],
    routes: others.flatMap(({ blocks, host, tunnel }) =>
      blocks.map((prefix) => ({
        prefix,
        type: 'unicast' as const,
        via: isVxlan ? tunnel : host,
        device,
        onlink: true as const,
      })),
    ),
    neighbours: isVxlan
      ? others.map(({ tunnel, mac }) => ({ address: tunnel, mac, device, state: 'permanent' as const }))
      : [],
    fdb: isVxlan ? others.map(({ mac, host }) => ({ mac, device, remote: host })) : [],
  }
}

/** Felix: proxy_arp at once, strict reverse path, no redirects on a pod's device. */
function deviceSysctls(device: string): CniHost['sysctls'] {
  return [
    { key: `net.ipv4.conf.${device}.proxy_arp`, value: 1 },
    { key: `net.ipv4.neigh.${device}.proxy_delay`, value: 0 },
    { key: `net.ipv4.conf.${device}.rp_filter`, value: 1 },
    { key: `net.ipv4.conf.${device}.route_localnet`, value: 1 },
  ]
}

/** For a pod of IPv6: the neighbours that a proxy answers for are none, its gateway has the host's own address. */
function deviceSysctls6(device: string): CniHost['sysctls'] {
  return [
    { key: `net.ipv6.conf.${device}.proxy_ndp`, value: 1 },
    { key: `net.ipv6.conf.${device}.forwarding`, value: 1 },
  ]
}

/** What a pod knows of the way out in one family: a gateway that nobody has, or the host's link-local address. */
function gatewayRoutes(address: IpAddress): Pick<CniHost, 'routes' | 'neighbours'> {
  const four = isIpv4(address)
  const via = four ? gateway : gateway6
  const wire = { prefix: hostPrefix(via), type: 'unicast' as const, device: 'eth0', scopeLink: true as const }
  return {
    routes: [
      ...(four ? [wire] : []),
      { prefix: everywhere(via), type: 'unicast' as const, via, device: 'eth0' },
    ],
    neighbours: [{ address: via, mac: hostMac, device: 'eth0', state: 'learned' }],
  }
}

function podHosts(pod: CniPod, node: CniNode, mtu: number): readonly CniHost[] {
  const addresses = pod.address6 === undefined ? [pod.address] : [pod.address, pod.address6]
  const ways = addresses.map(gatewayRoutes)
  return [
    {
      ...emptyHost(node.name),
      devices: [
        {
          name: pod.hostDevice,
          mac: hostMac,
          mtu,
          addresses: [],
          kind: { type: 'veth', peer: { host: pod.name, device: 'eth0' } },
        },
      ],
      routes: addresses.map((address) => ({
        prefix: hostPrefix(address),
        type: 'unicast' as const,
        device: pod.hostDevice,
        scopeLink: true as const,
      })),
      sysctls: [
        ...deviceSysctls(pod.hostDevice),
        ...(pod.address6 === undefined ? [] : deviceSysctls6(pod.hostDevice)),
      ],
    },
    {
      ...emptyHost(pod.name),
      devices: [
        {
          name: 'eth0',
          mac: pod.mac,
          mtu,
          addresses: addresses.map(hostPrefix),
          kind: { type: 'veth', peer: { host: node.name, device: pod.hostDevice } },
        },
      ],
      routes: ways.flatMap(({ routes }) => routes),
      neighbours: ways.flatMap(({ neighbours }) => neighbours),
    },
  ]
}

/** natOutgoing of the pool. Felix matches ipsets of all pools; with one pool its range says the same. */
function natTable(pool: string): CniTable {
  return {
    table: 'nat',
    chains: ['cali-POSTROUTING', 'cali-nat-outgoing'],
    rules: [
      '-A POSTROUTING -j cali-POSTROUTING',
      '-A cali-POSTROUTING -j cali-nat-outgoing',
      `-A cali-nat-outgoing -s ${pool} ! -d ${pool} -j MASQUERADE`,
    ],
  }
}

/** What the cluster's hosts get; a host may appear several times. Pools of IPv6 are not masqueraded by default. */
export function planCalico(cluster: CniCluster): readonly CniHost[] {
  const families = familiesOf(cluster)
  return cluster.nodes.flatMap((node) => {
    const pods = podsOn(cluster, node)
    const rules: CniHost = {
      ...emptyHost(node.name),
      routes: families.flatMap((family) =>
        family.blocks(node).map((prefix) => ({ prefix, type: 'blackhole' as const, protocol: felix })),
      ),
      sysctls: families.map(forwardingOf),
      tables: [
        ...(pods.length === 0 ? [] : families.flatMap((family) => policyTables(pods, family))),
        ...(cluster.masquerade ? [natTable(formatPrefix(cluster.podCidr))] : []),
      ],
    }
    const ports = portmapHost(node.name, pods, {
      device: (pod) => pod.hostDevice,
      range: (pod) => formatPrefix(hostPrefix(pod.address)),
    })
    return [
      ...families.map((family) => overlayHost(cluster, node, family)),
      ...pods.flatMap((pod) => podHosts(pod, node, podMtu(cluster, node))),
      rules,
      ...(ports === undefined ? [] : [ports]),
    ]
  })
}
