// An agent's decisions as the bytes of its maps: endpoints, ipcache, policies (cilium pkg/maps).
import { assert } from '../base/assert.ts'
import { writeLe16, writeLe32, writeLe64 } from '../bpf/context/byte-order.ts'
import type { AnyMap } from '../bpf/maps/create.ts'
import { LpmTrie } from '../bpf/maps/lpm-trie.ts'
import type { BpfMap } from '../bpf/maps/map.ts'
import type { AgentState } from '../cilium/agent/agent.ts'
import { dropHorizon } from '../cilium/agent/bandwidth.ts'
import type { EgressRule } from '../cilium/agent/egress-gateway.ts'
import type { Endpoint } from '../cilium/agent/endpoint.ts'
import { type IpcacheEntry, keyOf } from '../cilium/agent/ipcache.ts'
import type { NodeId } from '../cilium/agent/node-ids.ts'
import { lpmLength, type PolicyMapEntry } from '../cilium/agent/policy/map-entry.ts'
import type { NodeMaps } from '../cilium/datapath/ctx.ts'
import { addressBytes } from '../cilium/maps/address-bytes.ts'
import { type IpAddress, isIpv4 } from '../net/address.ts'
import { writeU16, writeU48 } from '../net/bytes.ts'
import { type Prefix, parsePrefix } from '../net/prefix.ts'

/** An entry of a map as bytes. */
export interface MapEntry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** Writes entries into a map. */
export function fill(map: AnyMap | BpfMap, entries: Iterable<MapEntry>): void {
  for (const { key, value } of entries) {
    const done = (map as BpfMap).update(key, value, 0, 0)
    assert(done === 0, `map ${map.spec.name} takes an entry`)
  }
}

const familyOf = (address: IpAddress): number => (isIpv4(address) ? 1 : 2)

const endpointKeyBytes = 20
const endpointValueBytes = 48
/** ENDPOINT_F_HOST. */
const hostFlag = 1

/** struct endpoint_key: an address with its family. */
export function endpointKey(address: IpAddress): Uint8Array {
  const key = new Uint8Array(endpointKeyBytes)
  key.set(addressBytes(address), 0)
  key[16] = familyOf(address)
  return key
}

/** The numbers of devices by name. */
export type IfindexOf = (device: string) => number

/**
 * cilium_lxc: every address of the node with the host's flag, every endpoint with its device (pkg/maps/lxcmap). An endpoint has
 * its identity there since 1.14.
 */
export function endpointEntries(
  endpoints: readonly Endpoint[],
  ifindexOf: IfindexOf,
  hasIdentity = true,
): readonly MapEntry[] {
  return endpoints.flatMap(({ kind, addresses, device, mac, id, identity }) =>
    addresses.map((address): MapEntry => {
      const value = new Uint8Array(endpointValueBytes)
      if (kind === 'host') writeLe32(value, 8, hostFlag)
      else {
        writeLe32(value, 0, device === undefined ? 0 : ifindexOf(device.name))
        writeLe16(value, 6, id)
        if (mac !== undefined) writeU48(value, 16, mac)
        if (device !== undefined) writeU48(value, 24, device.mac)
        if (hasIdentity) writeLe32(value, 32, identity.id)
      }
      return { key: endpointKey(address), value }
    }),
  )
}

const ipcacheBytes = 24
/** Bits of the key in front of the address: cluster id, padding, family. */
const ipcacheStaticBits = 32
const flagSkipTunnel = 1
const flagHasTunnelEndpoint = 2
const flagIpv6TunnelEndpoint = 4

/** struct ipcache_key */
export function ipcacheKey({ address, length }: Prefix): Uint8Array {
  const key = new Uint8Array(ipcacheBytes)
  writeLe32(key, 0, ipcacheStaticBits + length)
  key[7] = familyOf(address)
  key.set(addressBytes(address), 8)
  return key
}

/** cilium_ipcache_v2 (pkg/maps/ipcache). */
export function ipcacheEntries(entries: readonly IpcacheEntry[]): readonly MapEntry[] {
  return entries.map(({ prefix, identity, tunnelEndpoint, encryptKey, skipTunnel }) => {
    const key = ipcacheKey(prefix)
    const value = new Uint8Array(ipcacheBytes)
    writeLe32(value, 0, identity)
    if (tunnelEndpoint !== undefined) value.set(addressBytes(tunnelEndpoint), 4)
    value[22] = encryptKey
    const isSix = tunnelEndpoint !== undefined && !isIpv4(tunnelEndpoint)
    value[23] =
      (skipTunnel ? flagSkipTunnel : 0) |
      (tunnelEndpoint === undefined ? 0 : flagHasTunnelEndpoint) |
      (isSix ? flagIpv6TunnelEndpoint : 0)
    return { key, value }
  })
}

const sharedTries = new WeakMap<readonly IpcacheEntry[], LpmTrie>()

/** A trie of entries that many nodes have; nobody writes to it. */
function sharedTrie(entries: readonly IpcacheEntry[], like: BpfMap): LpmTrie {
  const known = sharedTries.get(entries)
  if (known !== undefined) return known
  const trie = new LpmTrie(like.spec)
  fill(trie, ipcacheEntries(entries))
  sharedTries.set(entries, trie)
  return trie
}

/** Fills a node's empty cilium_ipcache_v2; what it shares with other nodes is there once. */
export function fillIpcache({ cilium_ipcache_v2: map }: NodeMaps, { ipcacheParts }: AgentState): void {
  const { shared, own } = ipcacheParts
  assert(map instanceof LpmTrie, 'the ipcache is a trie')
  map.adopt(sharedTrie(shared, map))
  fill(map, ipcacheEntries(own))
}

const throttleValueBytes = 56

/** cilium_throttle (pkg/maps/bwmap Edt.BinaryValue()): the bucket of a pod that receives starts empty. */
export function throttleEntries({ throttles }: Pick<AgentState, 'throttles'>): readonly MapEntry[] {
  return throttles.map(({ endpoint, direction, bytesPerSecond, priority }) => {
    const key = new Uint8Array(8)
    writeLe32(key, 0, endpoint)
    key[4] = direction === 'egress' ? 0 : 1
    const value = new Uint8Array(throttleValueBytes)
    writeLe64(value, 0, bytesPerSecond)
    if (direction === 'egress') {
      writeLe64(value, 16, dropHorizon)
      writeLe32(value, 24, priority)
    }
    return { key, value }
  })
}

const nodeKeyBytes = 20

/** cilium_node_map_v2 (pkg/maps/nodemap). */
export function nodeEntries(ids: readonly NodeId[]): readonly MapEntry[] {
  return ids.map(({ address, id, spi }) => {
    const key = new Uint8Array(nodeKeyBytes)
    key[3] = familyOf(address)
    key.set(addressBytes(address), 4)
    const value = new Uint8Array(4)
    writeLe16(value, 0, id)
    value[2] = spi
    return { key, value }
  })
}

/** cilium_encrypt_state (pkg/maps/encrypt): the index of the key that this node encrypts with. */
export function encryptEntries({ addresses }: Pick<AgentState, 'addresses'>): readonly MapEntry[] {
  if (addresses.node.config.encryption !== 'ipsec') return []
  return [{ key: new Uint8Array(4), value: Uint8Array.of(keyOf(addresses.node)) }]
}

const policyBytes = 12
/** Bits of the key in front of protocol and port: identity and direction. */
const policyStaticBits = 40
const denyFlag = 1
const explicitAuth = 0x80

/** cilium_policy_v2_<id> (pkg/maps/policymap). */
export function policyEntries(entries: readonly PolicyMapEntry[]): readonly MapEntry[] {
  return entries.map((entry) => {
    const length = lpmLength(entry)
    const key = new Uint8Array(policyBytes)
    writeLe32(key, 0, policyStaticBits + length)
    writeLe32(key, 4, entry.identity)
    key[8] = entry.egress ? 1 : 0
    key[9] = entry.protocol
    writeU16(key, 10, entry.port)
    const value = new Uint8Array(policyBytes)
    writeU16(value, 0, entry.proxyPort)
    value[2] = (entry.deny ? denyFlag : 0) | (length << 3)
    value[3] = entry.authType | (entry.hasExplicitAuth ? explicitAuth : 0)
    writeLe32(value, 4, entry.precedence)
    writeLe32(value, 8, entry.cookie)
    return { key, value }
  })
}

/** egress_gw_policy_key: bits of the source in front of the destination's. */
const gatewayAt = { 4: 4, 6: 16 } as const
const egressIfindexAt6 = 32

/** GatewayNotFoundIPv4, ExcludedCIDRIPv4 (pkg/egressgateway). */
function gatewayBytes(gateway: EgressRule['gateway']): Uint8Array {
  if (gateway === 'not-found') return Uint8Array.of(0, 0, 0, 0)
  return gateway === 'excluded' ? Uint8Array.of(0, 0, 0, 1) : addressBytes(gateway)
}

/** cilium_egress_gw_policy_v4 or _v6 (pkg/maps/egressmap). */
export function egressEntries(
  rules: readonly EgressRule[],
  version: 4 | 6,
  ifindexOf: IfindexOf,
): readonly MapEntry[] {
  const size = version === 4 ? 4 : 16
  const own = rules.filter(({ source }) => isIpv4(source) === (version === 4))
  return own.map(({ source, destination, egressAddress, gateway, device }) => {
    const key = new Uint8Array(4 + size * 2)
    writeLe32(key, 0, size * 8 + destination.length)
    key.set(addressBytes(source), 4)
    key.set(addressBytes(destination.address), 4 + size)
    const value = new Uint8Array(version === 4 ? 8 : 40)
    if (egressAddress !== undefined) value.set(addressBytes(egressAddress), 0)
    value.set(gatewayBytes(gateway), gatewayAt[version])
    if (version === 6 && device !== undefined) writeLe32(value, egressIfindexAt6, ifindexOf(device))
    return { key, value }
  })
}

/** What ip-masq-agent spares unless it is told otherwise (pkg/ipmasq defaultNonMasqCIDRs). */
const masqAgentDefaults = [
  ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '192.0.0.0/24', '192.0.2.0/24'],
  ...[
    '192.88.99.0/24',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '240.0.0.0/4',
    '169.254.0.0/16',
  ],
]

/** cilium_ipmasq_v4. */
export function fillMasqAgent(maps: NodeMaps, { node }: AgentState): void {
  if (!node.config.ipMasqAgent) return
  const prefixes = masqAgentDefaults
    .map(parsePrefix)
    .filter((prefix): prefix is Prefix => prefix !== undefined)
  for (const { address, length } of prefixes) {
    const key = new Uint8Array(8)
    writeLe32(key, 0, length)
    key.set(addressBytes(address), 4)
    fill(maps.cilium_ipmasq_v4, [{ key, value: new Uint8Array(1) }])
  }
}
