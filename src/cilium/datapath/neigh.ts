// The neighbours that a load balancer learns from requests, for a redirect without help of the kernel's neighbour
// tables. lib/neigh.h
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import type { Address, Family } from './family.ts'

const macBytes = 6
/** union macaddr: padded to a word. */
const valueBytes = 8
const sourceMacAt = 6

function mapOf(ctx: Ctx, family: Family) {
  return family.version === 4 ? ctx.maps.cilium_nodeport_neigh4 : ctx.maps.cilium_nodeport_neigh6
}

function isSameMac(a: Uint8Array, b: Uint8Array): boolean {
  for (let at = 0; at < macBytes; at += 1) if (a[at] !== b[at]) return false
  return true
}

/** neigh_record_ip4(), neigh_record_ip6(): remembers the source MAC of a packet for its source address. */
export function neighRecord(ctx: Ctx, family: Family): number {
  const l3 = ctx.object.eth_header_length
  if (!ctx.packet.has(0, l3 + family.headerBytes)) return drop.INVALID
  const source = ctx.packet.copy(l3 + family.sourceAt, family.addressBytes)
  const mac = new Uint8Array(valueBytes)
  mac.set(ctx.packet.copy(sourceMacAt, macBytes))
  const map = mapOf(ctx, family)
  const known = ctx.lookup(map, source)
  if (known !== undefined && isSameMac(known, mac)) return 0
  return Math.min(ctx.update(map, source, mac), 0)
}

/** Notes the MAC of an address, six bytes. */
export function neighStore(ctx: Ctx, family: Family, address: Address, mac: Uint8Array): void {
  const value = new Uint8Array(valueBytes)
  value.set(mac)
  ctx.update(mapOf(ctx, family), address, value)
}

/** neigh_lookup_ip4(), neigh_lookup_ip6(): the MAC of an address, 6 bytes. */
export function neighLookup(ctx: Ctx, family: Family, address: Address): Uint8Array | undefined {
  return ctx.lookup(mapOf(ctx, family), address)?.slice(0, macBytes)
}
