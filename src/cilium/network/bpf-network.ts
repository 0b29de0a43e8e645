// bpf_network: ingress of a device that IPsec packets come through and that has no bpf_host. bpf_network.c

import type { Ctx } from '../datapath/ctx.ts'
import type { Defines } from '../datapath/defines.ts'
import { where } from '../datapath/drop-reason.ts'
import { validEtherType } from '../datapath/ethernet.ts'
import { identity } from '../datapath/identity.ts'
import { doDecrypt } from '../datapath/ipsec.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { sendDrop, sendTrace } from '../datapath/notify.ts'
import type { ObjectSource } from '../datapath/object.ts'
import { isDecrypt } from '../datapath/overloadable.ts'
import { type TracePoint, tracePoint, traceReason } from '../datapath/trace-point.ts'
import { dropNotifyTail } from '../host/bpf-host.ts'

const decryptDrop = where('bpf_network.c', 53)
const fromTrace = where('bpf_network.c', 93)
const toTrace = where('bpf_network.c', 97)

/** cil_from_network(): encrypted packets of known nodes go to xfrm, decrypted ones to cilium_host. */
function fromNetwork(ctx: Ctx): number {
  let result: number = ctx.act.OK
  let reason: number = traceReason.UNKNOWN
  let from: TracePoint = tracePoint.FROM_NETWORK
  let to: TracePoint = tracePoint.TO_STACK
  const ifindex = ctx.ingressIfindex
  ctx.clearMeta()
  const etherType = validEtherType(ctx)
  if (ctx.node.ENABLE_IPSEC) {
    if (isDecrypt(ctx)) from = tracePoint.FROM_STACK
    if (etherType !== undefined) {
      result = doDecrypt(ctx, etherType)
      if (result < 0) {
        const event = { source: identity.UNKNOWN_ID, direction: metricDirection.INGRESS }
        return sendDrop(ctx, result, event, decryptDrop, false)
      }
      if (isDecrypt(ctx)) reason = traceReason.ENCRYPTED
      if (result === ctx.act.REDIRECT) to = tracePoint.TO_HOST
    }
  }
  const event = {
    source: identity.UNKNOWN_ID,
    destination: identity.UNKNOWN_ID,
    endpoint: 0,
    ifindex,
    reason,
    monitor: 0,
    etherType: etherType ?? 0,
  }
  sendTrace(ctx, { ...event, point: from }, fromTrace)
  sendTrace(ctx, { ...event, point: to }, toTrace)
  return result
}

/** bpf_network as it is compiled for a node. */
export function bpfNetwork(node: Defines): ObjectSource {
  return {
    type: 'sched_cls',
    entries: [{ symbol: 'cil_from_network', run: fromNetwork }],
    tails: new Map(node.DROP_NOTIFY ? [dropNotifyTail] : []),
  }
}
