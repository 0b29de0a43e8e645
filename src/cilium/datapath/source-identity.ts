// The identity of a packet's source address, where the packet itself carries none worth keeping.
import type { Ctx } from './ctx.ts'
import type { Family } from './family.ts'
import { ethernetLength } from './headers.ts'
import { identity, isReserved } from './identity.ts'
import { lookupRemoteEndpoint } from './ipcache.ts'

/** The identity of a packet's source, with what the ipcache says about the address (0 where it was not asked). */
export interface ResolvedSource {
  readonly source: number
  readonly ipcacheSource: number
}

/**
 * A reserved identity gives way to that of the address, but HOST is believed only to the mark: what is masqueraded to this
 * node has the host's address too. bpf_host.c resolve_srcid_ipv4(), resolve_srcid_ipv6(); bpf_lxc.c tail_ipv4_to_endpoint()
 */
export function resolveSource(ctx: Ctx, family: Family, real: number): ResolvedSource {
  if (!isReserved(ctx.node, real)) return { source: real, ipcacheSource: 0 }
  const at = ethernetLength(ctx) + family.sourceAt
  const found = lookupRemoteEndpoint(ctx, family, ctx.packet.copy(at, family.addressBytes))
  if (found === undefined) return { source: real, ipcacheSource: 0 }
  const ipcacheSource = found.secIdentity
  return { source: ipcacheSource === identity.HOST_ID ? real : ipcacheSource, ipcacheSource }
}
