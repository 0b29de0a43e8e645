// WireGuard seen from the native device: what goes to cilium_wg0 to be encrypted, and what comes encrypted.
// lib/wireguard.h
import { readU16 } from '../../net/bytes.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { enabledFamily, type Family, ipv6, protocolNumber } from './family.ts'
import { ethernetLength, hasHeader } from './headers.ts'
import { identity, isClusterIdentity, isRemoteNode } from './identity.ts'
import { lookupRemoteEndpoint } from './ipcache.ts'
import { identityMark, magicOf, mark } from './mark.ts'
import { isOverlay } from './overloadable.ts'
import { isFromEgressProxy, isFromIngressProxy } from './proxy.ts'

const advertisement = 136

/** ctx_is_wireguard(): UDP between the WireGuard ports of two nodes of the cluster. */
export function isWireguardPacket(ctx: Ctx, l4Offset: number, protocol: number, source: number): boolean {
  if (protocol !== protocolNumber.UDP) return false
  const ports = ctx.load(l4Offset, 4)
  if (ports === undefined) return false
  const destination = readU16(ports, 2)
  if (destination !== ctx.node.wg_port || readU16(ports, 0) !== destination) return false
  return isClusterIdentity(ctx.node, source)
}

/** An answer of neighbour discovery cannot go through a device without addresses. A drop reason where it is cut off. */
function isAdvertisement(ctx: Ctx, family: Family, l3Offset: number): boolean | number {
  if (family !== ipv6 || ctx.packet.u8(l3Offset + ipv6.protocolAt) !== protocolNumber.ICMPV6) return false
  const at = l3Offset + ipv6.headerBytes
  if (!ctx.packet.has(at, 8)) return drop.INVALID
  return ctx.packet.u8(at) === advertisement
}

/** Whether packets of this sender are encrypted at all. */
function isEncryptedSender(ctx: Ctx, source: number): boolean {
  const { node } = ctx
  if (!node.ENABLE_NODE_ENCRYPTION) {
    const magic = magicOf(ctx.mark)
    if (magic === mark.PROXY_INGRESS || magic === mark.SKIP_TPROXY) return true
    if (node.TUNNEL_MODE && (isFromIngressProxy(ctx) || isFromEgressProxy(ctx))) return true
    if (source === identity.HOST_ID) return false
  }
  return isClusterIdentity(node, source) && !isRemoteNode(source)
}

/** wg_maybe_redirect_to_encrypt(): CTX_ACT_OK, a redirect to cilium_wg0, or a drop reason. */
export function wgMaybeRedirectToEncrypt(ctx: Ctx, etherType: number | undefined, before: number): number {
  if (isOverlay(ctx)) return ctx.redirect(ctx.node.wg_ifindex, 0)
  if (etherType === undefined) return drop.UNSUPPORTED_L2
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return ctx.act.OK
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  if (ctx.node.ENABLE_NODE_ENCRYPTION) {
    const answer = isAdvertisement(ctx, family, l3Offset)
    if (typeof answer === 'number') return answer
    if (answer) return ctx.act.OK
  }
  const { packet } = ctx
  const remote = lookupRemoteEndpoint(
    ctx,
    family,
    packet.copy(l3Offset + family.destinationAt, family.addressBytes),
  )
  let source = before
  if (source === identity.UNKNOWN_ID) {
    const address = packet.copy(l3Offset + family.sourceAt, family.addressBytes)
    const found = lookupRemoteEndpoint(ctx, family, address)
    if (found === undefined) return ctx.act.OK
    source = found.secIdentity
  }
  if (!isEncryptedSender(ctx, source) || remote === undefined || remote.key === 0) return ctx.act.OK
  ctx.mark = identityMark(source, mark.IDENTITY)
  return ctx.redirect(ctx.node.wg_ifindex, 0)
}
