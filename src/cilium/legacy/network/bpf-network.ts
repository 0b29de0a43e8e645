// bpf_network of Cilium 1.10: ingress of a device that IPsec packets come through without a tunnel; bpf_host is on none of them.
// bpf_network.c
import type { Ctx } from '../../datapath/ctx.ts'
import type { Defines } from '../../datapath/defines.ts'
import { identityOfMark, magicOf, mark } from '../../datapath/mark.ts'
import type { ObjectProgram, ObjectSource } from '../../datapath/object.ts'
import { tracePoint, traceReason } from '../../datapath/trace-point.ts'
import { validEtherType } from '../ethernet.ts'
import { doDecrypt } from '../ipsec.ts'
import { sendTrace } from '../notify.ts'
import { callsMax } from '../slots.ts'

function run(ctx: Ctx): number {
  const { ENABLE_IPSEC, trace_payload_len } = ctx.node
  const decrypted = ENABLE_IPSEC && magicOf(ctx.mark) === mark.DECRYPT
  sendTrace(ctx, {
    point: tracePoint.FROM_NETWORK,
    source: decrypted ? identityOfMark(ctx.mark) : 0,
    reason: decrypted ? traceReason.ENCRYPTED : 0,
    ifindex: ctx.ingressIfindex,
    monitor: trace_payload_len,
  })
  ctx.clearMeta()
  const etherType = ENABLE_IPSEC ? validEtherType(ctx) : undefined
  return etherType === undefined ? ctx.act.OK : doDecrypt(ctx, etherType)
}

/** from_network(): ingress of the device. */
const fromNetwork: ObjectProgram = { symbol: 'from-network', run }

/** bpf_network, which is the same for all settings. */
export function bpfNetwork(_node: Defines): ObjectSource {
  return { type: 'sched_cls', callsMax, entries: [fromNetwork], tails: new Map() }
}
