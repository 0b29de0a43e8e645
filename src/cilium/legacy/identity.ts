// Identities in Cilium 1.10: one world, whatever the families. bpf/lib/identity.h
import type { Ctx } from '../datapath/ctx.ts'
import type { Family } from '../datapath/family.ts'
import { ethernetLength } from '../datapath/headers.ts'
import { identity } from '../datapath/identity.ts'
import { inheritIdentity as inherit } from '../datapath/inherit-identity.ts'
import { mark } from '../datapath/mark.ts'
import { isReserved, lookupRemoteEndpoint } from './ipcache.ts'

/** inherit_identity_from_host(): the identity in the mark, which is then cleared, and whether a proxy sent the packet. */
export function inheritIdentity(ctx: Ctx): { readonly identity: number; readonly fromProxy: boolean } {
  const { identity: id, magic } = inherit(ctx, identity.WORLD_ID)
  return { identity: id, fromProxy: magic === mark.PROXY_INGRESS || magic === mark.PROXY_EGRESS }
}

/**
 * A reserved identity gives way to that of the packet's source address, but HOST is believed only to the mark. What
 * tail_ipv4_to_endpoint() and tail_ipv6_to_endpoint() do.
 */
export function resolveSource(ctx: Ctx, family: Family, real: number): number {
  if (!isReserved(real)) return real
  const at = ethernetLength(ctx) + family.sourceAt
  const found = lookupRemoteEndpoint(ctx, family, ctx.packet.copy(at, family.addressBytes))?.secIdentity ?? 0
  return found === 0 || found === identity.HOST_ID ? real : found
}
