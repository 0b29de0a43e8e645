// cilium_lxc: the endpoints of this node and the addresses of the host itself. lib/eps.h
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import type { Ctx } from './ctx.ts'
import type { Address, Family } from './family.ts'

const keyBytes = 20
const familyAt = 16

/** ENDPOINT_F_* and what they make together. */
export const endpointFlag = { HOST: 1, ATHOSTNS: 2, NO_SNAT_V4: 4, NO_SNAT_V6: 8 } as const
export const endpointMask = { HOST_DELIVERY: 3, SKIP_MASQ_V4: 5, SKIP_MASQ_V6: 9 } as const

/** struct endpoint_info */
export interface EndpointInfo {
  readonly ifindex: number
  readonly lxcId: number
  readonly flags: number
  /** Six bytes. */
  readonly mac: Uint8Array
  readonly nodeMac: Uint8Array
  readonly secId: number
  readonly parentIfindex: number
}

function parse(value: Uint8Array): EndpointInfo {
  return {
    ifindex: readLe32(value, 0),
    lxcId: readLe16(value, 6),
    flags: readLe32(value, 8),
    // mac_t is a u64 whose first six bytes are the address
    mac: value.subarray(16, 22),
    nodeMac: value.subarray(24, 30),
    secId: readLe32(value, 32),
    parentIfindex: readLe32(value, 36),
  }
}

/** struct endpoint_key: address and family. */
export function endpointKey(family: Family, address: Address): Uint8Array {
  const key = new Uint8Array(keyBytes)
  key.set(address, 0)
  key[familyAt] = family.endpointKey
  return key
}

/** lookup_ip4_endpoint(), lookup_ip6_endpoint() */
export function lookupEndpoint(ctx: Ctx, family: Family, address: Address): EndpointInfo | undefined {
  const value = ctx.lookup(ctx.maps.cilium_lxc, endpointKey(family, address))
  return value === undefined ? undefined : parse(value)
}

/** Whether packets for this endpoint go to the host's stack: a host address, or a pod in the host's namespace. */
export function isHostDelivery(endpoint: EndpointInfo): boolean {
  return (endpoint.flags & endpointMask.HOST_DELIVERY) !== 0
}
