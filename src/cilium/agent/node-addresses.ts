// The addresses that an agent takes for its node: the router's (cilium_host) and the health endpoint's, out of the node's
// range of pods. Real agents take whatever is free; here the first and the last free address of the range.
import { type IpAddress, type Ipv6, ipv4From, isIpv4, sameIp } from '../../net/address.ts'
import { isIpv4Prefix, networkOf, type Prefix } from '../../net/prefix.ts'
import type { AgentNode, AgentPod } from './told.ts'

export interface NodeAddresses {
  readonly node: AgentNode
  /** What other nodes reach it by: of the first device, one for each family. */
  readonly ip4: IpAddress | undefined
  readonly ip6: IpAddress | undefined
  /** All addresses of its devices. */
  readonly own: readonly IpAddress[]
  /** CiliumInternalIP, one for each family. */
  readonly router: readonly IpAddress[]
  readonly health: readonly IpAddress[]
  /** Everything that is the host: devices and router. */
  readonly host: readonly IpAddress[]
  /** The API server runs on it. */
  readonly isApiServer: boolean
}

/** The nth address of a range; counted from its end if negative. */
function nth({ address, length }: Prefix, index: number): IpAddress {
  if (isIpv4(address)) {
    const size = 2 ** (32 - length)
    return ipv4From(address + (index >= 0 ? index : size + index))
  }
  const low = index >= 0 ? index : (length >= 96 ? 2 ** (128 - length) : 2 ** 32) + index
  const rest = address.slice(0, 3) as [number, number, number]
  const [a, b, c] = rest
  const last: Ipv6 = [a, b, c, (address[3] + low) >>> 0]
  return last
}

function firstFree(prefix: Prefix, taken: readonly IpAddress[], step: 1 | -1): IpAddress {
  // the last IPv4 address of a range is its broadcast address
  let index = step === 1 ? 1 : isIpv4Prefix(prefix) ? -2 : -1
  while (taken.some((each) => sameIp(each, nth(prefix, index)))) index += step
  return nth(prefix, index)
}

/** Labels of nodes that run the API server. */
const controlPlane = ['node-role.kubernetes.io/control-plane', 'node-role.kubernetes.io/master']

/** The addresses of a node with these pods. */
export function nodeAddresses(node: AgentNode, pods: readonly AgentPod[]): NodeAddresses {
  const all = node.devices.map(({ addresses }) => addresses.map(({ address }) => address))
  const own = all.flat()
  const first = all.find((addresses) => addresses.length > 0) ?? []
  const taken = [...pods.flatMap(({ addresses }) => addresses), ...node.reserved]
  const ranges = node.podCidrs.map((prefix) => networkOf(prefix))
  const router = ranges.map((range) => firstFree(range, taken, 1))
  const health = ranges.map((range) => firstFree(range, taken, -1))
  return {
    node,
    ip4: first.find(isIpv4),
    ip6: first.find((address) => !isIpv4(address)),
    own,
    router,
    health,
    host: [...own, ...router],
    isApiServer: controlPlane.some((key) => key in node.labels),
  }
}

/**
 * What this node calls itself by on cilium_host, and is the source of what it sends to pods: the router's address. In 1.10 that
 * of IPv6 is the node's own, and only programs answer for the router (bpf/init.sh IP6_HOST, node.GetHostMasqueradeIPv6()).
 */
export function hostAddress({ node, router, ip6 }: NodeAddresses, family: 4 | 6): IpAddress | undefined {
  if (family === 6 && node.config.version === '1.10')
    return router.some((each) => !isIpv4(each)) ? ip6 : undefined
  return router.find((address) => isIpv4(address) === (family === 4))
}

/** The addresses of cilium_host. */
export function hostDeviceAddresses(addresses: NodeAddresses): readonly IpAddress[] {
  const both = ([4, 6] as const).map((family) => hostAddress(addresses, family))
  return both.filter((each) => each !== undefined)
}
