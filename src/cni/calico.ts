// `cni calico`: pods with /32 addresses behind 169.254.1.1, which the host's proxy_arp answers for; one host route for each
// pod, a blackhole for the node's block, and routes to other blocks by ipip, vxlan or the underlay alone (as BGP learns
// them). Facts: linux 6, recorded cal-*. The policy chains are Felix's with one profile that allows everything.
import { type Ipv4, ipv4From } from '../net/address.ts'
import { macFrom } from '../net/mac.ts'
import { formatPrefix, prefixOf } from '../net/prefix.ts'
import { hostPrefix, nthAddress } from './addresses.ts'
import { nodeRoutes } from './bridge.ts'
import { policyTable } from './calico-policy.ts'
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

const overlayBytes = { vxlan: 50, ipip: 20, native: 0 } as const
const overlayDevice = { vxlan: 'vxlan.calico', ipip: 'tunl0' } as const

function mtuOf(cluster: CniCluster, node: CniNode): number {
  return underlayMtu(node) - (node.underlay === undefined ? 0 : overlayBytes[cluster.routing])
}

/** The node's tunnel address is the first of its first block. */
function tunnelAddress(node: CniNode): Ipv4 | undefined {
  const [block] = node.blocks
  return block === undefined ? undefined : nthAddress(block, 0)
}

function overlayKind(cluster: CniCluster, underlay: NonNullable<CniNode['underlay']>): CniDevice['kind'] {
  if (cluster.routing === 'ipip') return { type: 'ipip' }
  return { type: 'vxlan', vni: 4096, port: 4789, local: underlay.address, lower: underlay.device }
}

/** vxlan.calico or tunl0, with the ways to all other nodes. */
function overlayHost(cluster: CniCluster, node: CniNode): CniHost {
  const { underlay } = node
  const own = tunnelAddress(node)
  if (cluster.routing === 'native' || underlay === undefined || own === undefined) {
    const learned = nodeRoutes(cluster, node)
    return { ...learned, routes: learned.routes.map((route) => ({ ...route, protocol: bird })) }
  }
  const device = overlayDevice[cluster.routing]
  const isVxlan = cluster.routing === 'vxlan'
  const others = cluster.nodes.flatMap((other) => {
    const address = tunnelAddress(other)
    return other === node || other.underlay === undefined || address === undefined
      ? []
      : [{ blocks: other.blocks, host: other.underlay.address, tunnel: address, mac: other.macOf(device) }]
  })
  return {
    ...emptyHost(node.name),
    devices: [
      {
        name: device,
        mac: node.macOf(device),
        mtu: mtuOf(cluster, node),
        addresses: [hostPrefix(own)],
        kind: overlayKind(cluster, underlay),
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

function podHosts(pod: CniPod, node: CniNode, mtu: number): readonly CniHost[] {
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
      routes: [{ prefix: hostPrefix(pod.address), type: 'unicast', device: pod.hostDevice, scopeLink: true }],
      sysctls: deviceSysctls(pod.hostDevice),
    },
    {
      ...emptyHost(pod.name),
      devices: [
        {
          name: 'eth0',
          mac: pod.mac,
          mtu,
          addresses: [hostPrefix(pod.address)],
          kind: { type: 'veth', peer: { host: node.name, device: pod.hostDevice } },
        },
      ],
      routes: [
        { prefix: hostPrefix(gateway), type: 'unicast', device: 'eth0', scopeLink: true },
        { prefix: prefixOf(ipv4From(0), 0), type: 'unicast', via: gateway, device: 'eth0' },
      ],
      neighbours: [{ address: gateway, mac: hostMac, device: 'eth0', state: 'learned' }],
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

/** What the cluster's hosts get; a host may appear several times. */
export function planCalico(cluster: CniCluster): readonly CniHost[] {
  return cluster.nodes.flatMap((node) => {
    const pods = podsOn(cluster, node)
    const rules: CniHost = {
      ...emptyHost(node.name),
      routes: node.blocks.map((prefix) => ({ prefix, type: 'blackhole' as const, protocol: felix })),
      sysctls: [{ key: 'net.ipv4.conf.all.forwarding', value: 1 }],
      tables: [
        ...(pods.length === 0 ? [] : [policyTable(pods)]),
        ...(cluster.masquerade ? [natTable(formatPrefix(cluster.podCidr))] : []),
      ],
    }
    const ports = portmapHost(node.name, pods, {
      device: (pod) => pod.hostDevice,
      range: (pod) => formatPrefix(hostPrefix(pod.address)),
    })
    return [
      overlayHost(cluster, node),
      ...pods.flatMap((pod) => podHosts(pod, node, mtuOf(cluster, node))),
      rules,
      ...(ports === undefined ? [] : [ports]),
    ]
  })
}
