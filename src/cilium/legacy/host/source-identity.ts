// The identity of a packet's source, as bpf_host of 1.10 finds it. bpf_host.c resolve_srcid_ipv4(), resolve_srcid_ipv6()
import { routerAddress } from '../../datapath/config.ts'
import type { Ctx } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { type Address, type Family, ipv4 } from '../../datapath/family.ts'
import { ethernetLength, hasHeader, pullHeader } from '../../datapath/headers.ts'
import { identity } from '../../datapath/identity.ts'
import { isReserved, lookupRemoteEndpoint } from '../ipcache.ts'

/** What is known about the source: an identity, or a drop reason as an unsigned number, which travels on as an identity. */
export interface ResolvedSource {
  readonly source: number
  /** Of the source address; 0 where the ipcache was not asked or did not know. IPv4 only. */
  readonly ipcacheSource: number
}

const prefixBytes = 8
const flowLabelMask = 0x000f_ffff

/**
 * derive_src_id(): in the /64 of this node's router the flow label is an identity. Undefined for other sources, a drop reason
 * for the host's.
 */
function identityOfFlowLabel(ctx: Ctx, l3Offset: number, source: Address): number | undefined {
  const router = routerAddress(ctx.node, 6)
  for (let at = 0; at < prefixBytes; at += 1) if (source[at] !== router[at]) return undefined
  const label = ctx.packet.u32(l3Offset) & flowLabelMask
  return label === identity.HOST_ID ? drop.INVALID_IDENTITY : label
}

/**
 * A reserved identity gives way to that of the address; in IPv4 HOST is believed only to the mark: what is masqueraded to this
 * node has the host's address, too. What a device receives is of the world; only with routing in BPF, where no later program
 * asks again, it is the pod's whose address it has (SECCTX_FROM_IPCACHE).
 */
export function resolveSource(ctx: Ctx, family: Family, real: number, fromHost: boolean): ResolvedSource {
  const l3Offset = ethernetLength(ctx)
  const readable = fromHost ? hasHeader(ctx, family, l3Offset) : pullHeader(ctx, family, l3Offset)
  if (!readable) return { source: drop.INVALID >>> 0, ipcacheSource: 0 }
  const address = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const derived = family === ipv4 || fromHost ? undefined : identityOfFlowLabel(ctx, l3Offset, address)
  if (derived !== undefined && derived < 0) return { source: derived >>> 0, ipcacheSource: 0 }
  let known = real
  let ipcacheSource = 0
  if (isReserved(real)) {
    const label = lookupRemoteEndpoint(ctx, family, address)?.secIdentity ?? 0
    if (family === ipv4) ipcacheSource = label
    if (label !== 0 && (family !== ipv4 || label !== identity.HOST_ID)) known = label
  }
  if (fromHost) return { source: known, ipcacheSource }
  const found = derived ?? identity.WORLD_ID
  const believed = ctx.node.ENABLE_HOST_ROUTING && found === identity.WORLD_ID && !isReserved(known)
  return { source: believed ? known : found, ipcacheSource }
}
