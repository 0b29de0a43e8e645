// The ipcache of one node: which identity an address has, and behind which node it is (`facts` 5.2, cilium
// pkg/node/manager, pkg/datapath/ipcache).
import { anyIpv4, anyIpv6, formatIp, type IpAddress, type Ipv4, isIpv4 } from '../../net/address.ts'
import { formatPrefix, hostPrefix, type Prefix, prefixOf } from '../../net/prefix.ts'
import { reservedIdentity, worldIdentity } from './identity.ts'
import type { NodeAddresses } from './node-addresses.ts'
import type { Registry } from './registry.ts'
import type { AgentPod } from './told.ts'

export interface IpcacheEntry {
  readonly prefix: Prefix
  readonly identity: number
  /** The node behind which it is; undefined: here, or reached without a tunnel. */
  readonly tunnelEndpoint: IpAddress | undefined
  /** Index of the key that encrypts traffic to it; 0: none. */
  readonly encryptKey: number
  /** flag_skip_tunnel of the entry. */
  readonly skipTunnel: boolean
}

/** The key of WireGuard; IPsec's is the one that its secret names (pkg/wireguard StaticEncryptKey). */
const wireguardKey = 255
const firstIpsecKey = 3
/** IPsecMaxKeyVersion: the one behind the last is 1. */
const ipsecKeys = 15

const optOutLabel = 'node-role.kubernetes.io/control-plane'

/** The index of the key that a node encrypts with. */
export function keyOf({ config, rotations }: NodeAddresses['node']): number {
  // 1.10 has keys of IPsec alone
  if (config.encryption === 'wireguard') return config.version === '1.10' ? 0 : wireguardKey
  return config.encryption === 'ipsec' ? ((firstIpsecKey - 1 + rotations) % ipsecKeys) + 1 : 0
}

/** node-encryption-opt-out-labels: nodes of the control plane encrypt no traffic of their own. */
function optsOut({ config, labels }: NodeAddresses['node']): boolean {
  return config.encryption === 'wireguard' && optOutLabel in labels
}

class Ipcache {
  readonly #entries = new Map<string, IpcacheEntry>()
  readonly #own: NodeAddresses

  constructor(own: NodeAddresses) {
    this.#own = own
  }

  add(prefix: Prefix, identity: number, options: Partial<IpcacheEntry> = {}): void {
    const { config } = this.#own.node
    const isOn = isIpv4(prefix.address) ? config.ipv4 : config.ipv6
    if (!isOn) return
    const entry = {
      prefix,
      identity,
      tunnelEndpoint: undefined,
      encryptKey: 0,
      skipTunnel: false,
      ...options,
    }
    this.#entries.set(formatPrefix(prefix), entry)
  }

  addHosts(addresses: readonly IpAddress[], identity: number, options: Partial<IpcacheEntry> = {}): void {
    for (const address of addresses) this.add(hostPrefix(address), identity, options)
  }

  entries(): readonly IpcacheEntry[] {
    return [...this.#entries.values()]
  }
}

/** 1.10 with IPsec: nodes are reached through the tunnel, too, so that both ways are alike, but without a key of their own. */
function addLegacyNode(cache: Ipcache, own: NodeAddresses, other: NodeAddresses): void {
  const { config } = own.node
  const tunnelEndpoint = other.ip4
  const keepsIdentity = config.hostFirewall || config.encryption === 'ipsec'
  const encryptKey = keyOf(own.node)
  cache.addHosts(other.own, reservedIdentity['remote-node'], keepsIdentity ? { tunnelEndpoint } : {})
  cache.addHosts(other.router, reservedIdentity['remote-node'], { tunnelEndpoint, encryptKey })
  if (other.node.config.healthChecking) {
    cache.addHosts(other.health, reservedIdentity.health, { tunnelEndpoint, encryptKey })
  }
}

/** What of another node goes through the tunnel: its router always, its own addresses only where identities must be kept. */
function addNode(cache: Ipcache, own: NodeAddresses, other: NodeAddresses): void {
  const { config } = own.node
  if (config.version === '1.10') {
    addLegacyNode(cache, own, other)
    return
  }
  const identity = other.isApiServer ? reservedIdentity['kube-apiserver'] : reservedIdentity['remote-node']
  const tunnelEndpoint = other.ip4 ?? other.ip6
  const keepsIdentity = config.hostFirewall || (config.nodeEncryption && config.encryption !== 'off')
  // a node that opts out has no key, and does not look at those of others
  const encryptKey = config.nodeEncryption && !optsOut(own.node) && !optsOut(other.node) ? keyOf(own.node) : 0
  cache.addHosts(other.own, identity, keepsIdentity ? { tunnelEndpoint, encryptKey } : {})
  cache.addHosts(other.router, identity, { tunnelEndpoint, encryptKey })
  if (other.node.config.healthChecking) {
    cache.addHosts(other.health, reservedIdentity.health, { tunnelEndpoint, encryptKey: keyOf(own.node) })
  }
}

/** All entries of a node's ipcache. Later ones win where one prefix comes twice, as sources of higher rank do. */
export function ipcacheOf(
  own: NodeAddresses,
  all: readonly NodeAddresses[],
  pods: readonly AgentPod[],
  registry: Registry,
): readonly IpcacheEntry[] {
  const { node } = own
  const cache = new Ipcache(own)
  // 1.10 writes its key beside whatever it knows itself, where nothing asks for it (syncEndpointsAndHostIPs())
  const here = { encryptKey: node.config.version === '1.10' ? keyOf(node) : 0 }
  cache.add(prefixOf(anyIpv4, 0), worldIdentity(registry.scheme, 4), here)
  cache.add(prefixOf(anyIpv6, 0), worldIdentity(registry.scheme, 6), here)
  for (const { prefix, id } of registry.outside) if (prefix !== undefined) cache.add(prefix, id)
  for (const other of all) if (other !== own) addNode(cache, own, other)
  const nodes = new Map(all.map((each) => [each.node.name, each]))
  for (const pod of pods) {
    const identity = registry.podIdentities.get(pod)?.id
    const home = nodes.get(pod.node)
    if (identity === undefined || home === undefined || pod.object.hostNetwork) continue
    const isHere = pod.node === node.name
    const remote = { tunnelEndpoint: home.ip4 ?? home.ip6, encryptKey: keyOf(node) }
    cache.addHosts(pod.addresses, identity, isHere ? here : remote)
  }
  cache.addHosts(own.host, reservedIdentity.host, here)
  if (node.config.healthChecking) cache.addHosts(own.health, reservedIdentity.health, here)
  return cache.entries()
}

/** 1.10's cilium_tunnel_map: the node of each range of pods, and the key that encrypts what goes there. */
export function tunnelMapOf(
  own: NodeAddresses,
  all: readonly NodeAddresses[],
): readonly { readonly prefix: Prefix; readonly endpoint: Ipv4; readonly encryptKey: number }[] {
  const encryptKey = keyOf(own.node)
  if (own.node.config.routing !== 'tunnel') return []
  return all.flatMap((other) => {
    const { ip4 } = other
    if (other === own || ip4 === undefined || !isIpv4(ip4)) return []
    return other.node.podCidrs.map((prefix) => ({ prefix, endpoint: ip4, encryptKey }))
  })
}

/** `identity=4521 encryptkey=0 tunnelendpoint=192.168.5.12`, as `cilium bpf ipcache list` says it. */
export function describeIpcache({ identity, encryptKey, tunnelEndpoint }: IpcacheEntry): string {
  const endpoint = tunnelEndpoint === undefined ? '0.0.0.0' : formatIp(tunnelEndpoint)
  return `identity=${identity} encryptkey=${encryptKey} tunnelendpoint=${endpoint}`
}
