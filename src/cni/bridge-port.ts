// The bridge plugin (containernetworking/plugins main/bridge): cni0 with the first address of the node's range, and for each
// pod a veth pair whose host end is a port. flannel delegates to it.
import { type IpAddress, isIpv4 } from '../net/address.ts'
import { formatPrefix, hostPrefix, type Prefix, prefixOf } from '../net/prefix.ts'
import { everywhere, nthAddress } from './addresses.ts'
import { chainHash } from './chain-hash.ts'
import { type CniFamily, forwardingOf, multicastOf, tableOf } from './family.ts'
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

/** A family with the node's range of it, its gateway in it. */
interface Ranged {
  readonly family: CniFamily
  readonly range: Prefix
  readonly gateway: IpAddress
}

/** What a node and its pods get, node first. Nothing without pods: the plugin makes the bridge for the first one. */
export function bridgeHosts(
  node: CniNode,
  pods: readonly CniPod[],
  families: readonly CniFamily[],
  options: BridgeOptions,
): readonly CniHost[] {
  if (pods.length === 0) return []
  const ranged = families.flatMap((family): readonly Ranged[] => {
    const [range] = family.blocks(node)
    return range === undefined ? [] : [{ family, range, gateway: nthAddress(range, 1) }]
  })
  const bridge: CniHost = {
    ...emptyHost(node.name),
    devices: [
      {
        name: bridgeName,
        // br_stp_recalculate_bridge_id() would change it with every pod; the plugin sets it once.
        mac: node.macOf(bridgeName),
        mtu: options.mtu,
        addresses: ranged.map(({ gateway, range }) => prefixOf(gateway, range.length)),
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
    sysctls: ranged.map(({ family }) => forwardingOf(family)),
    tables: options.masquerade
      ? ranged.flatMap((each) => pods.flatMap((pod) => masqueradeTable(pod, each)))
      : [],
  }
  return [bridge, ...pods.map((pod) => podHost(pod, node, ranged, options))]
}

function podHost(pod: CniPod, node: CniNode, ranged: readonly Ranged[], options: BridgeOptions): CniHost {
  const own = ranged.flatMap((each) => {
    const address = each.family.address(pod)
    return address === undefined ? [] : [{ ...each, address }]
  })
  return {
    ...emptyHost(pod.name),
    devices: [
      {
        name: 'eth0',
        mac: pod.mac,
        mtu: options.mtu,
        addresses: own.map(({ address, range }) => prefixOf(address, range.length)),
        kind: { type: 'veth', peer: { host: node.name, device: pod.hostDevice } },
      },
    ],
    routes: own.flatMap(({ gateway, family }) => [
      { prefix: everywhere(gateway), type: 'unicast' as const, via: gateway, device: 'eth0' },
      ...options.podRoutes
        .filter(({ prefix }) => isIpv4(prefix.address) === (family.family === 4))
        .map((route) => ({ ...route, via: gateway, device: 'eth0' })),
    ]),
  }
}

/** pkg/ip/ipmasq_iptables_linux.go SetupIPMasq(): to the own range unchanged, to everything but multicast masqueraded. */
function masqueradeTable(pod: CniPod, { family, range }: Ranged): readonly CniTable[] {
  const address = family.address(pod)
  if (address === undefined) return []
  const chain = `CNI-${chainHash(pod.name, 24)}`
  const comment = `-m comment --comment "name: \\"cni0\\" id: \\"${pod.name}\\""`
  const rules = [
    `-A ${chain} -d ${formatPrefix(range)} ${comment} -j ACCEPT`,
    `-A ${chain} ! -d ${multicastOf(family)} ${comment} -j MASQUERADE`,
    `-A POSTROUTING -s ${formatPrefix(hostPrefix(address))} ${comment} -j ${chain}`,
  ]
  return [tableOf(family, { table: 'nat', chains: [chain], rules })]
}
