// What a pod sends, in Cilium 1.10: the program on its device and the first one of each family. bpf_lxc.c handle_xgress(),
// tail_handle_ipv4(), tail_handle_ipv6(), tail_handle_arp()
import { type Ctx, isError } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { enabledFamily, type Family, ipv4, ipv6, protocolNumber } from '../../datapath/family.ts'
import { fragmentInfo4 } from '../../datapath/fragments.ts'
import { ethernetLength, hasHeader } from '../../datapath/headers.ts'
import { identity } from '../../datapath/identity.ts'
import { metricDirection } from '../../datapath/metrics.ts'
import type { ObjectProgram } from '../../datapath/object.ts'
import { edtSetAggregate } from '../../datapath/throttle.ts'
import { tracePoint } from '../../datapath/trace-point.ts'
import { answerPodArp } from '../../lxc/arp.ts'
import { hasOwnSource } from '../../lxc/from-container.ts'
import { isDualStack } from '../../lxc/settings.ts'
import { validEtherType } from '../ethernet.ts'
import { handleIcmp6 } from '../icmp6.ts'
import { sendDrop, sendTrace } from '../notify.ts'
import { call } from '../slots.ts'
import { type EgressOutcome, handleFromLxc } from './egress.ts'

const arpType = 0x0806
const icmpHeaderBytes = 8

/** ICMPv6 that the object answers itself: an ending, or undefined. */
function answerIcmp6(ctx: Ctx, l3Offset: number): number | undefined {
  if (ctx.packet.u8(l3Offset + ipv6.protocolAt) !== protocolNumber.ICMPV6) return undefined
  if (!ctx.packet.has(l3Offset, ipv6.headerBytes + icmpHeaderBytes)) return drop.INVALID
  const answered = handleIcmp6(ctx, l3Offset, metricDirection.EGRESS)
  return isError(ctx, answered) ? answered : undefined
}

/** What ends a packet before anything is known about it: a drop reason, or undefined. */
function refuse(ctx: Ctx, family: Family): number | undefined {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  if (family === ipv6) {
    const answered = answerIcmp6(ctx, l3Offset)
    if (answered !== undefined) return answered
  } else if (!ctx.node.ENABLE_IPV4_FRAGMENTS && fragmentInfo4(ctx, l3Offset).isFragment) {
    return drop.FRAG_NOSUPPORT
  }
  return hasOwnSource(ctx, family, l3Offset) ? undefined : drop.INVALID_SIP
}

function handle(ctx: Ctx, family: Family): EgressOutcome {
  const refused = refuse(ctx, family)
  return refused === undefined ? handleFromLxc(ctx, family) : { result: refused, destination: 0 }
}

/** tail_handle_ipv4(), tail_handle_ipv6(): slot FROM_LXC in dual stack, inline otherwise. */
export function tailHandle(family: Family): ObjectProgram {
  return {
    symbol: `tail_handle_ipv${family.version}`,
    run: (ctx) => {
      const { result, destination } = handle(ctx, family)
      if (!isError(ctx, result)) return result
      const source = ctx.object.security_label
      return sendDrop(ctx, result, { source, destination, direction: metricDirection.EGRESS })
    },
  }
}

const fromLxc = {
  4: { slot: call.IPV4_FROM_LXC, program: tailHandle(ipv4) },
  6: { slot: call.IPV6_FROM_LXC, program: tailHandle(ipv6) },
} as const

/** tail_handle_arp(): slot ARP. Every address but the pod's own is at this device; what is no such request goes to the stack. */
export const tailHandleArp: ObjectProgram = {
  symbol: 'tail_handle_arp',
  run: (ctx) => {
    const result = answerPodArp(ctx)
    if (!isError(ctx, result)) return result
    return sendDrop(ctx, result, { source: identity.UNKNOWN_ID, direction: metricDirection.EGRESS })
  },
}

/** ARP and what is no IP. */
function notIp(ctx: Ctx, etherType: number): number {
  const { ENABLE_IPV4, ENABLE_ARP_PASSTHROUGH, ENABLE_ARP_RESPONDER } = ctx.node
  if (!ENABLE_IPV4 || etherType !== arpType) return drop.UNKNOWN_L3
  if (ENABLE_ARP_PASSTHROUGH) return ctx.act.OK
  return ENABLE_ARP_RESPONDER ? ctx.tailCall(call.ARP) : drop.UNKNOWN_L3
}

/** By ethertype: a code, or a drop reason that has not been told yet. */
function dispatch(ctx: Ctx): number {
  const etherType = validEtherType(ctx)
  if (etherType === undefined) return drop.UNSUPPORTED_L2
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return notIp(ctx, etherType)
  edtSetAggregate(ctx, ctx.object.endpoint_id)
  const { slot, program } = fromLxc[family.version]
  return isDualStack(ctx.node) ? ctx.tailCall(slot) : program.run(ctx)
}

/** handle_xgress(): ingress of the pod's device on the host's side. */
export const fromContainer: ObjectProgram = {
  symbol: 'from-container',
  run: (ctx) => {
    const source = ctx.object.security_label
    ctx.clearMeta()
    sendTrace(ctx, { point: tracePoint.FROM_LXC, source, monitor: ctx.node.trace_payload_len })
    const result = dispatch(ctx)
    // what was dropped inline was told there
    const told = result === ctx.act.DROP
    if (told || !isError(ctx, result)) return result
    return sendDrop(ctx, result, { source, direction: metricDirection.EGRESS })
  },
}
