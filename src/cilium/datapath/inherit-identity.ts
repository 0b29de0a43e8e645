// Which identity a packet from the host's stack carries in its mark. lib/identity.h inherit_identity_from_host()
import { type Ctx, tcIndexFlag } from './ctx.ts'
import { ipv4, ipv6 } from './family.ts'
import { identity, worldId } from './identity.ts'
import { identityOfMark, magicOf, mark } from './mark.ts'

/** The world of the packet's family. */
function world(ctx: Ctx): number {
  if (ctx.protocol === ipv4.etherType) return worldId(ctx.node, ipv4)
  return ctx.protocol === ipv6.etherType ? worldId(ctx.node, ipv6) : identity.WORLD_ID
}

function identityBy(ctx: Ctx, magic: number, outside: number | undefined): number {
  if (magic === mark.PROXY_INGRESS) {
    ctx.tcIndex |= tcIndexFlag.FROM_INGRESS_PROXY
    return identityOfMark(ctx.mark)
  }
  if (magic === mark.PROXY_EGRESS) {
    ctx.tcIndex |= tcIndexFlag.FROM_EGRESS_PROXY
    return identityOfMark(ctx.mark)
  }
  if (magic === mark.IDENTITY) return identityOfMark(ctx.mark)
  return magic === mark.HOST ? identity.HOST_ID : (outside ?? world(ctx))
}

/**
 * Reads identity and magic from the mark, notes in tc_index which proxy the packet is from, and clears the mark. `outside` is
 * the identity of a packet without a mark, by default the world of its family.
 */
export function inheritIdentity(
  ctx: Ctx,
  outside?: number,
): { readonly identity: number; readonly magic: number } {
  const magic = magicOf(ctx.mark)
  const found = identityBy(ctx, magic, outside)
  ctx.mark = 0
  return { identity: found, magic }
}
