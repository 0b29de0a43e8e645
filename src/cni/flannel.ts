// `cni flannel`: a /24 for each node behind cni0; the vxlan backend (flannel.1, with the entries that flanneld installs for
// every other node) or host-gw (`routing native`); flanneld's masquerade and forward rules. Facts: linux 7, recorded fl-*.
import { formatPrefix, hostPrefix } from '../net/prefix.ts'
import { nthAddress } from './addresses.ts'
import { nodeRoutes } from './bridge.ts'
import { bridgeHosts, bridgeName } from './bridge-port.ts'
import { type CniFamily, familiesOf, forwardingOf, multicastOf, tableOf } from './family.ts'
import {
  type CniCluster,
  type CniHost,
  type CniNode,
  type CniTable,
  emptyHost,
  podsOn,
  underlayMtu,
} from './plan.ts'
import { portmapHost } from './portmap.ts'

/** FLANNEL_VNI and the port of the Linux default. */
const vni = 1
const port = 8472
const deviceNames = { 4: 'flannel.1', 6: 'flannel-v6.1' } as const
/** Outer IP, UDP, VXLAN, inner Ethernet. The MTU of pods is made of the first, whatever their family. */
const vxlanBytes = { 4: 50, 6: 70 } as const

/** pkg/backend/vxlan: the device has the range's own address, so that routes through it are on the wire. */
function vxlanHost(cluster: CniCluster, node: CniNode, family: CniFamily): CniHost {
  const { underlay } = node
  const local = family.underlay(node)
  const [range] = family.blocks(node)
  if (underlay === undefined || local === undefined || range === undefined) return emptyHost(node.name)
  const device = deviceNames[family.family]
  const others = cluster.nodes.flatMap((other) => {
    const remote = family.underlay(other)
    if (other === node || remote === undefined) return []
    return [{ blocks: family.blocks(other), mac: other.macOf(device), remote }]
  })
  return {
    ...emptyHost(node.name),
    devices: [
      {
        name: device,
        mac: node.macOf(device),
        mtu: underlay.mtu - vxlanBytes[family.family],
        addresses: [hostPrefix(nthAddress(range, 0))],
        kind: { type: 'vxlan', vni, port, local, lower: underlay.device },
      },
    ],
    routes: others.flatMap(({ blocks }) =>
      blocks.map((prefix) => ({
        prefix,
        type: 'unicast' as const,
        via: nthAddress(prefix, 0),
        device,
        onlink: true as const,
      })),
    ),
    neighbours: others.flatMap(({ blocks, mac }) =>
      blocks.map((prefix) => ({ address: nthAddress(prefix, 0), mac, device, state: 'permanent' as const })),
    ),
    fdb: others.map(({ mac, remote }) => ({ mac, device, remote })),
  }
}

const comment = '-m comment --comment "flanneld masq"'

/** pkg/trafficmngr/iptables: masquerade what leaves the cluster, never what stays in it. */
function masqueradeTable(family: CniFamily, all: string, own: string): CniTable {
  const chain = 'FLANNEL-POSTRTG'
  return tableOf(family, {
    table: 'nat',
    chains: [chain],
    rules: [
      `-A POSTROUTING ${comment} -j ${chain}`,
      `-A ${chain} -m mark --mark 0x4000/0x4000 ${comment} -j RETURN`,
      `-A ${chain} -s ${own} -d ${all} ${comment} -j RETURN`,
      `-A ${chain} -s ${all} -d ${own} ${comment} -j RETURN`,
      `-A ${chain} ! -s ${all} -d ${own} ${comment} -j RETURN`,
      `-A ${chain} -s ${all} ! -d ${multicastOf(family)} ${comment} -j MASQUERADE`,
      `-A ${chain} ! -s ${all} -d ${all} ${comment} -j MASQUERADE`,
    ],
  })
}

function forwardTable(family: CniFamily, all: string): CniTable {
  const forward = '-m comment --comment "flanneld forward"'
  return tableOf(family, {
    table: 'filter',
    chains: ['FLANNEL-FWD'],
    rules: [
      `-A FORWARD ${forward} -j FLANNEL-FWD`,
      `-A FLANNEL-FWD -s ${all} ${forward} -j ACCEPT`,
      `-A FLANNEL-FWD -d ${all} ${forward} -j ACCEPT`,
    ],
  })
}

/** The rules of a family on a node. */
function familyTables(cluster: CniCluster, node: CniNode, family: CniFamily): readonly CniTable[] {
  const all = formatPrefix(family.podCidr)
  const [range] = family.blocks(node)
  const own = range === undefined ? all : formatPrefix(range)
  return [...(cluster.masquerade ? [masqueradeTable(family, all, own)] : []), forwardTable(family, all)]
}

/** What the cluster's hosts get; a host may appear several times. */
export function planFlannel(cluster: CniCluster): readonly CniHost[] {
  const isVxlan = cluster.routing === 'vxlan'
  const families = familiesOf(cluster)
  return cluster.nodes.flatMap((node) => {
    const pods = podsOn(cluster, node)
    const [range = cluster.podCidr] = node.blocks
    const mtu = underlayMtu(node) - (isVxlan && node.underlay !== undefined ? vxlanBytes[4] : 0)
    const tables: CniHost = {
      ...emptyHost(node.name),
      sysctls: families.map(forwardingOf),
      tables: families.flatMap((family) => familyTables(cluster, node, family)),
    }
    const ports = portmapHost(node.name, pods, {
      device: () => bridgeName,
      range: () => formatPrefix(range),
    })
    return [
      ...(isVxlan
        ? families.map((family) => vxlanHost(cluster, node, family))
        : [nodeRoutes(cluster, node, families)]),
      ...bridgeHosts(node, pods, families, {
        mtu,
        hairpin: true,
        masquerade: false,
        podRoutes: families.map(({ podCidr }) => ({ prefix: podCidr, type: 'unicast' })),
      }),
      tables,
      ...(ports === undefined ? [] : [ports]),
    ]
  })
}
