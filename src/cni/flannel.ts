// `cni flannel`: a /24 for each node behind cni0; the vxlan backend (flannel.1, with the entries that flanneld installs for
// every other node) or host-gw (`routing native`); flanneld's masquerade and forward rules. Facts: linux 7, recorded fl-*.
import { formatPrefix } from '../net/prefix.ts'
import { hostPrefix, nthAddress } from './addresses.ts'
import { nodeRoutes } from './bridge.ts'
import { bridgeHosts, bridgeName } from './bridge-port.ts'
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
const deviceName = 'flannel.1'
/** Outer IPv4, UDP, VXLAN, inner Ethernet. */
const vxlanBytes = 50

/** pkg/backend/vxlan: the device has the range's own address, so that routes through it are on the wire. */
function vxlanHost(cluster: CniCluster, node: CniNode): CniHost {
  const { underlay } = node
  const [range] = node.blocks
  if (underlay === undefined || range === undefined) return emptyHost(node.name)
  const others = cluster.nodes.filter((other) => other !== node)
  return {
    ...emptyHost(node.name),
    devices: [
      {
        name: deviceName,
        mac: node.macOf(deviceName),
        mtu: underlay.mtu - vxlanBytes,
        addresses: [hostPrefix(nthAddress(range, 0))],
        kind: { type: 'vxlan', vni, port, local: underlay.address, lower: underlay.device },
      },
    ],
    routes: others.flatMap((other) =>
      other.blocks.map((prefix) => ({
        prefix,
        type: 'unicast' as const,
        via: nthAddress(prefix, 0),
        device: deviceName,
        onlink: true as const,
      })),
    ),
    neighbours: others.flatMap((other) =>
      other.blocks.map((prefix) => ({
        address: nthAddress(prefix, 0),
        mac: other.macOf(deviceName),
        device: deviceName,
        state: 'permanent' as const,
      })),
    ),
    fdb: others.flatMap((other) =>
      other.underlay === undefined
        ? []
        : [{ mac: other.macOf(deviceName), device: deviceName, remote: other.underlay.address }],
    ),
  }
}

const comment = '-m comment --comment "flanneld masq"'

/** pkg/trafficmngr/iptables: masquerade what leaves the cluster, never what stays in it. */
function masqueradeTable(all: string, own: string): CniTable {
  const chain = 'FLANNEL-POSTRTG'
  return {
    table: 'nat',
    chains: [chain],
    rules: [
      `-A POSTROUTING ${comment} -j ${chain}`,
      `-A ${chain} -m mark --mark 0x4000/0x4000 ${comment} -j RETURN`,
      `-A ${chain} -s ${own} -d ${all} ${comment} -j RETURN`,
      `-A ${chain} -s ${all} -d ${own} ${comment} -j RETURN`,
      `-A ${chain} ! -s ${all} -d ${own} ${comment} -j RETURN`,
      `-A ${chain} -s ${all} ! -d 224.0.0.0/4 ${comment} -j MASQUERADE`,
      `-A ${chain} ! -s ${all} -d ${all} ${comment} -j MASQUERADE`,
    ],
  }
}

function forwardTable(all: string): CniTable {
  const forward = '-m comment --comment "flanneld forward"'
  return {
    table: 'filter',
    chains: ['FLANNEL-FWD'],
    rules: [
      `-A FORWARD ${forward} -j FLANNEL-FWD`,
      `-A FLANNEL-FWD -s ${all} ${forward} -j ACCEPT`,
      `-A FLANNEL-FWD -d ${all} ${forward} -j ACCEPT`,
    ],
  }
}

/** What the cluster's hosts get; a host may appear several times. */
export function planFlannel(cluster: CniCluster): readonly CniHost[] {
  const isVxlan = cluster.routing === 'vxlan'
  const all = formatPrefix(cluster.podCidr)
  return cluster.nodes.flatMap((node) => {
    const pods = podsOn(cluster, node)
    const [range] = node.blocks
    const own = range === undefined ? all : formatPrefix(range)
    const mtu = underlayMtu(node) - (isVxlan && node.underlay !== undefined ? vxlanBytes : 0)
    const tables: CniHost = {
      ...emptyHost(node.name),
      sysctls: [{ key: 'net.ipv4.conf.all.forwarding', value: 1 }],
      tables: [...(cluster.masquerade ? [masqueradeTable(all, own)] : []), forwardTable(all)],
    }
    const ports = portmapHost(node.name, pods, { device: () => bridgeName, range: () => own })
    return [
      isVxlan ? vxlanHost(cluster, node) : nodeRoutes(cluster, node),
      ...bridgeHosts(node, pods, {
        mtu,
        hairpin: true,
        masquerade: false,
        podRoutes: [{ prefix: cluster.podCidr, type: 'unicast' }],
      }),
      tables,
      ...(ports === undefined ? [] : [ports]),
    ]
  })
}
