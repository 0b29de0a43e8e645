// Which packets of a connection with direct server return say the service that they were sent to.
import { tcpFlag } from './ct-update.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { protocolNumber } from './family.ts'
import { tcpFlagsAt } from './l4.ts'

/** Of TCP only the SYN, as conntrack knows the others. A drop reason where its flags cannot be read. */
export function saysService(ctx: Ctx, protocol: number, l4Offset: number): boolean | number {
  if (protocol !== protocolNumber.TCP) return true
  const flags = ctx.load(l4Offset + tcpFlagsAt, 1)?.[0]
  if (flags === undefined) return drop.CT_INVALID_HDR
  return (flags & tcpFlag.SYN) !== 0
}
