// ARP from a pod: every address but its own is at the device on the host's side. bpf_lxc.c tail_handle_arp()
import { arpRequest, prepareArpReply } from '../datapath/arp.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { where } from '../datapath/drop-reason.ts'
import { macBytesOf } from '../datapath/ethernet.ts'
import { sameAddress } from '../datapath/family.ts'
import { identity } from '../datapath/identity.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { sendDrop } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'

const dropped = where('bpf_lxc.c', 1758)

/** Answers a pod's request. CTX_ACT_OK: it is none, and goes to the stack; or a drop reason. */
export function answerPodArp(ctx: Ctx): number {
  const { interface_mac, endpoint_ipv4 } = ctx.object
  const asked = arpRequest(ctx, interface_mac)
  if (asked === undefined) return ctx.act.OK
  if (endpoint_ipv4 !== undefined && sameAddress(asked.target, endpoint_ipv4)) return ctx.act.OK
  const failed = prepareArpReply(ctx, asked, macBytesOf(interface_mac))
  return failed === 0 ? ctx.redirect(ctx.ifindex, 0) : failed
}

/** tail_handle_arp(): slot ARP. What is no request for it goes to the stack. */
export const tailHandleArp: ObjectProgram = {
  symbol: 'tail_handle_arp',
  run: (ctx) => {
    const result = answerPodArp(ctx)
    if (!isError(ctx, result)) return result
    const event = { source: identity.UNKNOWN_ID, direction: metricDirection.EGRESS }
    return sendDrop(ctx, result, event, dropped, false)
  },
}
