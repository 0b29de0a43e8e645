// What goes into the tunnel. bpf_overlay.c cil_to_overlay()
import { type Ctx, isError } from '../datapath/ctx.ts'
import { where } from '../datapath/drop-reason.ts'
import { tunnelId4 } from '../datapath/encap.ts'
import { validEtherType } from '../datapath/ethernet.ts'
import { identity, identityOfTunnelId } from '../datapath/identity.ts'
import { identityMark, mark } from '../datapath/mark.ts'
import { metricDirection, updateMetrics } from '../datapath/metrics.ts'
import { handleNatFwd } from '../datapath/nodeport-egress.ts'
import { sendDrop } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { snatDone } from '../datapath/overloadable.ts'
import { edtSchedDeparture } from '../datapath/throttle.ts'
import { traceReason } from '../datapath/trace-point.ts'

const throttled = where('bpf_overlay.c', 654)
const dropped = where('bpf_overlay.c', 687)

/** Masquerading of what leaves through the tunnel: only packets of the router's own address are concerned. */
function translate(ctx: Ctx, source: number, etherType: number, done: boolean): number {
  if (!ctx.node.ENABLE_NODEPORT || done) return ctx.act.OK
  const trace = { reason: traceReason.UNKNOWN, monitor: 0 }
  return handleNatFwd(ctx, { source, etherType, revDnatOnly: false }, trace)
}

/** cil_to_overlay(): egress of the tunnel device. A packet without a tunnel key will be dropped by the device. */
export const toOverlay: ObjectProgram = {
  symbol: 'cil_to_overlay',
  run: (ctx) => {
    const done = snatDone(ctx)
    ctx.clearMeta()
    const etherType = validEtherType(ctx) ?? 0
    const departure = edtSchedDeparture(ctx, etherType)
    if (departure < 0) {
      // no event: the sender is slowed down, not cut off
      updateMetrics(ctx, ctx.length, metricDirection.EGRESS, -departure & 0xff, throttled)
      return ctx.act.DROP
    }
    const tunnelId = tunnelId4(ctx)
    const source =
      tunnelId === undefined ? identity.UNKNOWN_ID : identityOfTunnelId(ctx.node, tunnelId, ctx.protocol)
    ctx.mark = identityMark(source, mark.OVERLAY)
    const result = translate(ctx, source, etherType, done)
    if (!isError(ctx, result)) return result
    return sendDrop(ctx, result, { source, direction: metricDirection.EGRESS }, dropped)
  },
}
