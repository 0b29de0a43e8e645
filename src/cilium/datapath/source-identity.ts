// The identity of a packet's source address, where the packet itself carries none worth keeping.
import type { Ctx } from './ctx.ts'
import type { Family } from './family.ts'
import { identity, isReserved } from './identity.ts'
import { lookupRemoteEndpoint } from './ipcache.ts'

/**
 * A reserved identity gives way to that of the ipcache. HOST does not come from there: what is masqueraded to this node's
 * address is not from this host. bpf_lxc.c tail_ipv4_to_endpoint(), bpf_host.c resolve_srcid_ipv4()
 */
export function refineSource(ctx: Ctx, family: Family, l3Offset: number, source: number): number {
  if (!isReserved(source)) return source
  const address = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const remote = lookupRemoteEndpoint(ctx, family, address)
  if (remote === undefined || remote.secIdentity === identity.HOST_ID) return source
  return remote.secIdentity
}
