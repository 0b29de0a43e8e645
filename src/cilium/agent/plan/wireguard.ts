// cilium_wg0: its peers, the other nodes, with what may be sent to and come from each (cilium pkg/wireguard/agent).
import { anyIpv4, anyIpv6, sameIp } from '../../../net/address.ts'
import { hostPrefix, type Prefix, prefixOf } from '../../../net/prefix.ts'
import type { AgentState } from '../agent.ts'
import type { DevicePlan, RoutePlan, RulePlan } from './plan.ts'

/** IfaceName, ListenPort */
export const wireguardDevice = 'cilium_wg0'
const listenPort = 51_871
/** RulePriorityWireguard, RouteMarkEncrypt, RouteMarkMask, RouteTableWireguard */
const legacyRule = { priority: 1, mark: 0xe00, mask: 0xf00, table: 201 } as const
/** What the driver gives a new device: room for its headers in IPv6 packets of 1500 bytes (wg_setup()). */
const legacyMtu = 1420
/** MagicMarkWireGuardEncrypted: cil_to_netdev knows by it what is encrypted already. */
const encryptedMark = 0xe00
/** WireguardOverhead */
const overhead = 80
const ipv6Minimum = 1280

/** Keys are made at random; here they are named after their nodes. */
function publicKeyOf({ node }: AgentState): string {
  return node.name
}

function nodeAddressesOf({ node: { config } }: AgentState, other: AgentState): readonly Prefix[] {
  const { ip4, ip6 } = other.addresses
  return [...(config.ipv4 ? [ip4] : []), ...(config.ipv6 ? [ip6] : [])].flatMap((each) =>
    each === undefined ? [] : [hostPrefix(each)],
  )
}

/**
 * The peer of another node: in tunnel mode its addresses alone, otherwise whatever the ipcache has behind it, too. 1.10 has whatever
 * that is, and nothing else, in both.
 */
function peerOf(
  own: AgentState,
  other: AgentState,
): Extract<DevicePlan['kind'], { type: 'wireguard' }>['peers'] {
  const { ip4, ip6 } = other.addresses
  const { config } = own.node
  const address = ip4 ?? ip6
  if (address === undefined) return []
  const isLegacy = config.version === '1.10'
  const nodes = isLegacy ? [] : nodeAddressesOf(own, other)
  const behind =
    config.routing === 'tunnel' && !isLegacy
      ? []
      : own.ipcache.flatMap(({ prefix, tunnelEndpoint }) =>
          tunnelEndpoint !== undefined && sameIp(tunnelEndpoint, address) ? [prefix] : [],
        )
  const allowedIps = [
    ...nodes,
    ...behind.filter((prefix) => !nodes.some((each) => sameIp(each.address, prefix.address))),
  ]
  return [{ publicKey: publicKeyOf(other), endpoint: { address, port: listenPort }, allowedIps }]
}

/** The device of a node; none without WireGuard. `mtu` is that of devices. */
export function wireguardPlan(
  own: AgentState,
  others: readonly AgentState[],
  mtu: number,
): readonly DevicePlan[] {
  const { config, macOf } = own.node
  if (config.encryption !== 'wireguard') return []
  const isLegacy = config.version === '1.10'
  const room = mtu - overhead
  const large = config.ipv6 ? Math.max(room, ipv6Minimum) : room
  return [
    {
      name: wireguardDevice,
      mac: macOf(wireguardDevice),
      mtu: isLegacy ? legacyMtu : large,
      addresses: [],
      noarp: true,
      kind: {
        type: 'wireguard',
        publicKey: publicKeyOf(own),
        port: listenPort,
        fwmark: isLegacy ? 0 : encryptedMark,
        peers: others.flatMap((other) => peerOf(own, other)),
      },
    },
  ]
}

/** 1.10: what a pod's program has marked goes to cilium_wg0, whatever it is (Agent.Init()). */
export function wireguardRoutes({ node: { config } }: AgentState): {
  readonly routes: readonly RoutePlan[]
  readonly rules: readonly RulePlan[]
} {
  if (config.encryption !== 'wireguard' || config.version !== '1.10') return { routes: [], rules: [] }
  const { table } = legacyRule
  const families = ([4, 6] as const).filter((family) => (family === 4 ? config.ipv4 : config.ipv6))
  return {
    routes: families.map((family) => {
      const prefix = prefixOf(family === 4 ? anyIpv4 : anyIpv6, 0)
      return { prefix, type: 'unicast', device: wireguardDevice, table }
    }),
    rules: families.map((family) => ({ family, ...legacyRule })),
  }
}
