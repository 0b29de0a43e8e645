// What goes into the tunnel, in Cilium 1.10: the mark stays as it is, and there is no trace. bpf_overlay.c to_overlay()
import { type Ctx, isError } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { identity } from '../../datapath/identity.ts'
import { metricDirection } from '../../datapath/metrics.ts'
import type { ObjectProgram } from '../../datapath/object.ts'
import { edtSchedDeparture } from '../../datapath/throttle.ts'
import { validEtherType } from '../ethernet.ts'
import { handleNatFwd } from '../masquerade.ts'
import { count, sendDrop } from '../notify.ts'
import { isSnatDone } from '../slots.ts'
import { remapHostAddress } from './remap-host.ts'

/** Masquerading of what leaves through the tunnel: only packets of the router's own address are concerned. */
function translate(ctx: Ctx): number {
  return !ctx.node.ENABLE_NODEPORT || isSnatDone(ctx.mark) ? ctx.act.OK : handleNatFwd(ctx)
}

/** to_overlay(): egress of the tunnel device. A packet without a tunnel key will be dropped by the device. */
export const toOverlay: ObjectProgram = {
  symbol: 'to-overlay',
  run: (ctx) => {
    const remapped = remapHostAddress(ctx, 'egress')
    if (remapped === 0 && edtSchedDeparture(ctx, validEtherType(ctx) ?? 0) < 0) {
      // no event: the sender is slowed down, not cut off
      count(ctx, metricDirection.EGRESS, -drop.EDT_HORIZON)
      return ctx.act.DROP
    }
    const result = remapped < 0 ? remapped : translate(ctx)
    if (!isError(ctx, result)) return result
    return sendDrop(ctx, result, { source: identity.UNKNOWN_ID, direction: metricDirection.EGRESS })
  },
}
