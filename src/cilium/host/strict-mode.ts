// Strict encryption: what lies between two addresses of the given network must not leave unencrypted. lib/encrypt.h
// strict_allow()
import type { Ctx } from '../datapath/ctx.ts'
import { enabledFamily, ipv4, sameAddress } from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { isRemoteNode } from '../datapath/identity.ts'
import { lookupRemoteEndpoint } from '../datapath/ipcache.ts'
import { isInSubnet } from '../datapath/masquerade.ts'

/** strict_allow(): whether a plain packet may leave. IPv4 only. */
export function strictAllow(ctx: Ctx, etherType: number): boolean {
  const { node, packet } = ctx
  const l3Offset = ethernetLength(ctx)
  if (enabledFamily(ctx, etherType) !== ipv4 || !hasHeader(ctx, ipv4, l3Offset)) return true
  const source = packet.copy(l3Offset + ipv4.sourceAt, ipv4.addressBytes)
  const destination = packet.copy(l3Offset + ipv4.destinationAt, ipv4.addressBytes)
  for (const own of [node.IPV4_GATEWAY, node.IPV4_ENCRYPT_IFACE]) {
    if (own !== undefined && sameAddress(source, own)) return true
  }
  const network = node.STRICT_IPV4_NET
  if (network === undefined || !isInSubnet(source, network) || !isInSubnet(destination, network)) return true
  if (!node.TUNNEL_MODE && !node.STRICT_IPV4_OVERLAPPING_CIDR) return false
  const remote = lookupRemoteEndpoint(ctx, ipv4, destination)
  return remote !== undefined && isRemoteNode(remote.secIdentity)
}
