// The answer to a packet that egress policy denies: an ICMP error. bpf_lxc.c tail_policy_denied_ipv4()
import { cb, isError } from '../datapath/ctx.ts'
import { where } from '../datapath/drop-reason.ts'
import { generateIcmp4Reply } from '../datapath/icmp4-reply.ts'
import { redirectSelf } from '../datapath/icmp6-reply.ts'
import { metricDirection, updateMetrics } from '../datapath/metrics.ts'
import { sendDrop } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'

const answered = where('bpf_lxc.c', 2685)
const dropped = where('bpf_lxc.c', 2690)

const destinationUnreachable = 3
const packetFiltered = 13

/**
 * tail_policy_denied_ipv4(): slot POLICY_DENIED. The drop is counted, but there is no event. The reason is read as an unsigned
 * number, so that its low byte is what is counted: 123 for DROP_POLICY (-133), 75 for DROP_POLICY_DENY (-181).
 */
export const tailPolicyDenied4: ObjectProgram = {
  symbol: 'tail_policy_denied_ipv4',
  run: (ctx) => {
    const verdict = ctx.meta(cb.VERDICT)
    const failed = generateIcmp4Reply(ctx, destinationUnreachable, packetFiltered)
    const result = failed === 0 ? redirectSelf(ctx) : failed
    if (failed === 0 && !isError(ctx, result)) {
      updateMetrics(ctx, ctx.length, metricDirection.EGRESS, verdict & 0xff, answered)
      return result
    }
    const event = { source: ctx.object.security_label, direction: metricDirection.EGRESS }
    return sendDrop(ctx, result, event, dropped, false)
  },
}
