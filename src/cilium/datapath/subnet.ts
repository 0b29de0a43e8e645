// Hybrid routing: addresses of one subnet reach each other without the tunnel. lib/subnet.h
import { readLe32, writeLe32 } from '../../bpf/context/byte-order.ts'
import type { Ctx } from './ctx.ts'
import type { Address, Family } from './family.ts'

const keyBytes = 24
const familyAt = 7
const addressAt = 8
/** SUBNET_STATIC_PREFIX: bits of the key between the prefix length and the address. */
const staticPrefix = 32

/** lookup_ip4_subnet_id(), lookup_ip6_subnet_id(): 0 for an address of no known subnet. */
function subnetOf(ctx: Ctx, family: Family, address: Address): number {
  const key = new Uint8Array(keyBytes)
  writeLe32(key, 0, staticPrefix + family.addressBytes * 8)
  key[familyAt] = family.endpointKey
  key.set(address, addressAt)
  const value = ctx.lookup(ctx.maps.cilium_subnet_map, key)
  return value === undefined ? 0 : readLe32(value, 0)
}

/** Whether both addresses of the header at `l3Offset` lie in one subnet, where hybrid routing asks that. */
export function sameSubnet(ctx: Ctx, family: Family, l3Offset: number): boolean {
  if (!ctx.node.hybrid_routing_enabled) return false
  const { packet } = ctx
  const source = subnetOf(ctx, family, packet.copy(l3Offset + family.sourceAt, family.addressBytes))
  if (source === 0) return false
  return source === subnetOf(ctx, family, packet.copy(l3Offset + family.destinationAt, family.addressBytes))
}
