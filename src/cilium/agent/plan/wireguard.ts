// cilium_wg0: its peers, the other nodes, with what may be sent to and come from each (cilium pkg/wireguard/agent).
import { sameIp } from '../../../net/address.ts'
import { hostPrefix } from '../../../net/prefix.ts'
import type { AgentState } from '../agent.ts'
import type { DevicePlan } from './plan.ts'

/** IfaceName, ListenPort */
export const wireguardDevice = 'cilium_wg0'
const listenPort = 51_871
/** MagicMarkWireGuardEncrypted: cil_to_netdev knows by it what is encrypted already. */
const encryptedMark = 0xe00
/** WireguardOverhead */
const overhead = 80
const ipv6Minimum = 1280

/** Keys are made at random; here they are named after their nodes. */
function publicKeyOf({ node }: AgentState): string {
  return node.name
}

/** The peer of another node: in tunnel mode its addresses alone, otherwise whatever the ipcache has behind it, too. */
function peerOf(
  own: AgentState,
  other: AgentState,
): Extract<DevicePlan['kind'], { type: 'wireguard' }>['peers'] {
  const { ip4, ip6 } = other.addresses
  const { config } = own.node
  const address = ip4 ?? ip6
  if (address === undefined) return []
  const nodes = [...(config.ipv4 ? [ip4] : []), ...(config.ipv6 ? [ip6] : [])].flatMap((each) =>
    each === undefined ? [] : [hostPrefix(each)],
  )
  const behind =
    config.routing === 'tunnel'
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
  const room = mtu - overhead
  return [
    {
      name: wireguardDevice,
      mac: macOf(wireguardDevice),
      mtu: config.ipv6 ? Math.max(room, ipv6Minimum) : room,
      addresses: [],
      noarp: true,
      kind: {
        type: 'wireguard',
        publicKey: publicKeyOf(own),
        port: listenPort,
        fwmark: encryptedMark,
        peers: others.flatMap((other) => peerOf(own, other)),
      },
    },
  ]
}
