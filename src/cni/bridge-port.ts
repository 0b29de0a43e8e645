// The bridge plugin (containernetworking/plugins main/bridge): cni0 with the first address of the node's range, and for each
// pod a veth pair whose host end is a port. flannel delegates to it.
import { formatIp, ipv4From } from '../net/address.ts'
import { formatPrefix, prefixOf } from '../net/prefix.ts'
import { nthAddress } from './addresses.ts'
import { chainHash } from './chain-hash.ts'
import { type CniHost, type CniNode, type CniPod, type CniRoute, type CniTable, emptyHost } from './plan.ts'

/** The bridge's name in every example of the plugin. */
export const bridgeName = 'cni0'

export interface BridgeOptions {
  readonly mtu: number
  readonly hairpin: boolean
  /** ipMasq: a chain for each pod. */
  readonly masquerade: boolean
  /** Routes of a pod besides the default one, through the bridge. */
  readonly podRoutes: readonly CniRoute[]
}

/** What a node and its pods get, node first. Nothing without pods: the plugin makes the bridge for the first one. */
export function bridgeHosts(
  node: CniNode,
  pods: readonly CniPod[],
  options: BridgeOptions,
): readonly CniHost[] {
  const [range] = node.blocks
  if (range === undefined || pods.length === 0) return []
  const gateway = nthAddress(range, 1)
  const bridge: CniHost = {
    ...emptyHost(node.name),
    devices: [
      {
        name: bridgeName,
        // br_stp_recalculate_bridge_id() would change it with every pod; the plugin sets it once.
        mac: node.macOf(bridgeName),
        mtu: options.mtu,
        addresses: [prefixOf(gateway, range.length)],
        kind: { type: 'bridge' },
      },
      ...pods.map((pod) => ({
        name: pod.hostDevice,
        mac: node.macOf(pod.hostDevice),
        mtu: options.mtu,
        addresses: [],
        kind: {
          type: 'veth' as const,
          peer: { host: pod.name, device: 'eth0' },
          master: bridgeName,
          hairpin: options.hairpin,
        },
      })),
    ],
    fdb: pods.map((pod) => ({ mac: pod.mac, device: pod.hostDevice })),
    sysctls: [{ key: 'net.ipv4.conf.all.forwarding', value: 1 }],
    tables: options.masquerade ? pods.map((pod) => masqueradeTable(pod, formatPrefix(range))) : [],
  }
  return [
    bridge,
    ...pods.map(
      (pod): CniHost => ({
        ...emptyHost(pod.name),
        devices: [
          {
            name: 'eth0',
            mac: pod.mac,
            mtu: options.mtu,
            addresses: [prefixOf(pod.address, range.length)],
            kind: { type: 'veth', peer: { host: node.name, device: pod.hostDevice } },
          },
        ],
        routes: [
          { prefix: prefixOf(ipv4From(0), 0), type: 'unicast', via: gateway, device: 'eth0' },
          ...options.podRoutes.map((route) => ({ ...route, via: gateway, device: 'eth0' })),
        ],
      }),
    ),
  ]
}

/** pkg/ip/ipmasq_iptables_linux.go SetupIPMasq(): to the own range unchanged, to everything but multicast masqueraded. */
function masqueradeTable(pod: CniPod, range: string): CniTable {
  const chain = `CNI-${chainHash(pod.name, 24)}`
  const comment = `-m comment --comment "name: \\"cni0\\" id: \\"${pod.name}\\""`
  return {
    table: 'nat',
    chains: [chain],
    rules: [
      `-A ${chain} -d ${range} ${comment} -j ACCEPT`,
      `-A ${chain} ! -d 224.0.0.0/4 ${comment} -j MASQUERADE`,
      `-A POSTROUTING -s ${formatIp(pod.address)}/32 ${comment} -j ${chain}`,
    ],
  }
}
