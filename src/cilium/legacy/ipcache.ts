// cilium_ipcache and cilium_tunnel_map of Cilium 1.10: the identity of an address with the tunnel that leads to it, and, apart,
// the tunnel of each prefix of pods. Underlays are IPv4. bpf/lib/eps.h, bpf/lib/maps.h
import { present } from '../../base/assert.ts'
import { readLe32 } from '../../bpf/context/byte-order.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { endpointKey } from '../datapath/endpoints.ts'
import type { Address, Family } from '../datapath/family.ts'
import { identity } from '../datapath/identity.ts'
import { ipcacheKey } from '../datapath/ipcache.ts'

/** struct remote_endpoint_info */
export interface RemoteEndpoint {
  readonly secIdentity: number
  /** Four bytes; zeros: not through a tunnel. */
  readonly tunnelEndpoint: Uint8Array
  readonly key: number
}

/** lookup_ip4_remote_endpoint(), lookup_ip6_remote_endpoint(): by the longest prefix. */
export function lookupRemoteEndpoint(ctx: Ctx, family: Family, address: Address): RemoteEndpoint | undefined {
  const map = present(ctx.maps.cilium_ipcache, 'a node with Cilium 1.10 has cilium_ipcache')
  const value = ctx.lookup(map, ipcacheKey(family, address))
  if (value === undefined) return undefined
  return {
    secIdentity: readLe32(value, 0),
    tunnelEndpoint: value.subarray(4, 8),
    key: value[8] as number,
  }
}

/** struct endpoint_key as a value: where a tunnel leads, in four bytes, and the key that encrypts what goes there. */
export interface Tunnel {
  readonly endpoint: Uint8Array
  readonly key: number
}

const tunnelKeyAt = 17

/** What lies behind cilium_tunnel_map for the prefix of an address. */
export function lookupTunnel(ctx: Ctx, family: Family, prefix: Address): Tunnel | undefined {
  const map = present(ctx.maps.cilium_tunnel_map, 'a node with Cilium 1.10 has cilium_tunnel_map')
  const value = ctx.lookup(map, endpointKey(family, prefix))
  return value === undefined
    ? undefined
    : { endpoint: value.subarray(0, 4), key: value[tunnelKeyAt] as number }
}

/** identity_is_reserved(): not of an endpoint; what the ipcache may refine. */
export function isReserved(id: number): boolean {
  return id < identity.UNMANAGED_ID || id === identity.REMOTE_NODE_ID
}

/** Whether an address in a map's value is set. */
export function isSet(address: Uint8Array): boolean {
  return address.some((byte) => byte !== 0)
}
