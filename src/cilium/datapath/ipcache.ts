// cilium_ipcache_v2: which identity an address has and through which tunnel it is reached. lib/eps.h
import { readLe32, writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import type { Ctx } from './ctx.ts'
import { type Address, type Family, ipv4, ipv6 } from './family.ts'

const keyBytes = 24
const clusterAt = 4
const familyAt = 7
const addressAt = 8
/** IPCACHE_STATIC_PREFIX: bits of the key between the prefix length and the address. */
const staticPrefix = 32
const clusterLimit = 0xffff

/** struct remote_endpoint_info */
export interface RemoteEndpoint {
  readonly secIdentity: number
  /** 16 bytes; an IPv4 address stands in the first four. */
  readonly tunnelEndpoint: Uint8Array
  readonly key: number
  readonly skipTunnel: boolean
  readonly hasTunnelEndpoint: boolean
  readonly ipv6TunnelEndpoint: boolean
  readonly remoteCluster: boolean
}

export function remoteEndpointOf(value: Uint8Array): RemoteEndpoint {
  const flags = value[23] as number
  return {
    secIdentity: readLe32(value, 0),
    tunnelEndpoint: value.subarray(4, 20),
    key: value[22] as number,
    skipTunnel: (flags & 1) !== 0,
    hasTunnelEndpoint: (flags & 2) !== 0,
    ipv6TunnelEndpoint: (flags & 4) !== 0,
    remoteCluster: (flags & 8) !== 0,
  }
}

/** struct ipcache_key for one address of the own cluster. */
export function ipcacheKey(family: Family, address: Address): Uint8Array {
  const key = new Uint8Array(keyBytes)
  writeLe32(key, 0, staticPrefix + family.addressBytes * 8)
  key[familyAt] = family.endpointKey
  key.set(address, addressAt)
  return key
}

/** The prefix that a struct ipcache_key stands for. */
export function ipcachePrefixOf(key: Uint8Array): { readonly address: Address; readonly length: number } {
  const size = key[familyAt] === ipv4.endpointKey ? ipv4.addressBytes : ipv6.addressBytes
  return { address: key.subarray(addressAt, addressAt + size), length: readLe32(key, 0) - staticPrefix }
}

/** lookup_ip4_remote_endpoint(), lookup_ip6_remote_endpoint(): by the longest prefix. */
export function lookupRemoteEndpoint(
  ctx: Ctx,
  family: Family,
  address: Address,
  clusterId = 0,
): RemoteEndpoint | undefined {
  if (clusterId > clusterLimit) return undefined
  const key = ipcacheKey(family, address)
  writeLe16(key, clusterAt, clusterId)
  const value = ctx.lookup(ctx.maps.cilium_ipcache_v2, key)
  return value === undefined ? undefined : remoteEndpointOf(value)
}
