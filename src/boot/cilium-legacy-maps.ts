// An agent's decisions as the bytes of the maps of Cilium 1.10: ipcache, tunnel map, policies (cilium v1.10 pkg/maps).
import { writeLe32 } from '../bpf/context/byte-order.ts'
import type { AgentState } from '../cilium/agent/agent.ts'
import type { PolicyMapEntry } from '../cilium/agent/policy/map-entry.ts'
import { addressBytes } from '../cilium/maps/address-bytes.ts'
import { writeU16 } from '../net/bytes.ts'
import { networkOf } from '../net/prefix.ts'
import { endpointKey, ipcacheKey, type MapEntry } from './cilium-maps.ts'

const ipcacheBytes = 12
const tunnelKeyAt = 17

/** cilium_ipcache: a tunnel's end is an IPv4 address. */
export function legacyIpcacheEntries({ ipcache }: AgentState): readonly MapEntry[] {
  return ipcache.map(({ prefix, identity, tunnelEndpoint, encryptKey }) => {
    const value = new Uint8Array(ipcacheBytes)
    writeLe32(value, 0, identity)
    if (typeof tunnelEndpoint === 'number') value.set(addressBytes(tunnelEndpoint), 4)
    value[8] = encryptKey
    return { key: ipcacheKey(prefix), value }
  })
}

/** cilium_tunnel_map: struct endpoint_key for both sides. */
export function tunnelEntries({ tunnelMap }: AgentState): readonly MapEntry[] {
  return tunnelMap.map(({ prefix, endpoint, encryptKey }) => {
    const value = endpointKey(endpoint)
    value[tunnelKeyAt] = encryptKey
    return { key: endpointKey(networkOf(prefix).address), value }
  })
}

const policyKeyBytes = 8
const policyValueBytes = 24

/** cilium_policy_<id>: exact entries. */
export function legacyPolicyEntries(entries: readonly PolicyMapEntry[]): readonly MapEntry[] {
  return entries.map(({ identity, port, protocol, egress, proxyPort, deny }) => {
    const key = new Uint8Array(policyKeyBytes)
    writeLe32(key, 0, identity)
    writeU16(key, 4, port)
    key[6] = protocol
    key[7] = egress ? 1 : 0
    const value = new Uint8Array(policyValueBytes)
    writeU16(value, 0, proxyPort)
    value[2] = deny ? 1 : 0
    return { key, value }
  })
}
