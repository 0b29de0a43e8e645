// A pod's policy program, which the programs that deliver to it reach by a tail call. bpf_lxc.c cil_lxc_policy(),
// tail_ipv4_policy()
import { ctDirection } from '../datapath/ct-state.ts'
import { type Ctx, cb, isError, PACKET_HOST } from '../datapath/ctx.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import { validEtherType } from '../datapath/ethernet.ts'
import { enabledFamily, type Family, ipv4, ipv6 } from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { redirectEndpoint, shouldFastRedirect } from '../datapath/local-delivery.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { sendDrop } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { redirectToProxy } from '../datapath/proxy.ts'
import { call } from '../datapath/tail-calls.ts'
import { ctLookupTail } from './ct-lookup-tail.ts'
import { ingressPolicy, proxyRedirect } from './ingress.ts'
import { isDualStack } from './settings.ts'

const droppedBy = { 4: where('bpf_lxc.c', 2381), 6: where('bpf_lxc.c', 2057) } as const
const droppedByEntry = where('bpf_lxc.c', 2516)

/** A drop on the way to this pod. */
function dropIngress(ctx: Ctx, source: number, reason: number, place: ReturnType<typeof where>): number {
  const { security_label, endpoint_id } = ctx.object
  const event = {
    source,
    destination: security_label,
    endpoint: endpoint_id,
    direction: metricDirection.INGRESS,
  }
  return sendDrop(ctx, reason, event, place)
}

/** How the packet got here: the calling convention of local_delivery_fill_meta(). */
interface Arrival {
  readonly redirect: boolean
  readonly source: number
  readonly fromHost: boolean
  readonly fromTunnel: boolean
}

function takeArrival(ctx: Ctx, family: Family): Arrival {
  const redirect = ctx.meta(cb.DELIVERY_REDIRECT) !== 0
  const source = ctx.takeMeta(cb.SRC_LABEL)
  const fromHost = ctx.takeMeta(cb.FROM_HOST) !== 0
  if (family.version === 4) ctx.setMeta(cb.CLUSTER_ID_INGRESS, 0)
  const fromTunnel = ctx.node.HAVE_ENCAP && ctx.takeMeta(cb.FROM_TUNNEL) !== 0
  return { redirect, source, fromHost, fromTunnel }
}

/** An allowed packet goes into the pod, or on through the stack. */
function deliver(ctx: Ctx, arrival: Arrival): number {
  const { fromTunnel, fromHost } = arrival
  const { ENABLE_ROUTING, ENABLE_NODEPORT } = ctx.node
  if (!ENABLE_ROUTING && !ENABLE_NODEPORT && fromTunnel) {
    ctx.changeType(PACKET_HOST)
    return ctx.act.OK
  }
  if (!arrival.redirect) return ctx.act.OK
  const fast = shouldFastRedirect(ctx, fromHost)
  return redirectEndpoint(ctx, ctx.object.interface_ifindex, fast, fromTunnel)
}

function policyAndDelivery(ctx: Ctx, family: Family, arrival: Arrival): number {
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return drop.INVALID
  const { result, proxyPort, buffer } = ingressPolicy(ctx, family, arrival.source, arrival.fromTunnel)
  if (result === ctx.act.OK) return deliver(ctx, arrival)
  if (result !== proxyRedirect || buffer === undefined) return result
  if (arrival.fromTunnel) ctx.changeType(PACKET_HOST)
  const redirected = redirectToProxy(ctx, buffer.tuple.copy(), proxyPort, arrival.fromHost)
  ctx.setMeta(cb.PROXY_MAGIC, ctx.mark)
  return redirected
}

/** tail_ipv4_policy(), tail_ipv6_policy(): slot TO_LXC_POLICY_ONLY. */
export function tailPolicy(family: Family): ObjectProgram {
  return {
    symbol: `tail_ipv${family.version}_policy`,
    run: (ctx) => {
      const arrival = takeArrival(ctx, family)
      const result = policyAndDelivery(ctx, family, arrival)
      if (!isError(ctx, result)) return result
      return dropIngress(ctx, arrival.source, result, droppedBy[family.version])
    },
  }
}

/** tail_ipv4_ct_ingress_policy_only(): slot CT_INGRESS_POLICY_ONLY. */
export function tailCtIngressPolicyOnly(family: Family): ObjectProgram {
  return ctLookupTail({
    symbol: `tail_ipv${family.version}_ct_ingress_policy_only`,
    family,
    direction: ctDirection.INGRESS,
    next: {
      slot: family.version === 4 ? call.IPV4_TO_LXC_POLICY_ONLY : call.IPV6_TO_LXC_POLICY_ONLY,
      program: tailPolicy(family),
      isTailCall: isDualStack,
    },
  })
}

const policyOnly = {
  4: { slot: call.IPV4_CT_INGRESS_POLICY_ONLY, program: tailCtIngressPolicyOnly(ipv4) },
  6: { slot: call.IPV6_CT_INGRESS_POLICY_ONLY, program: tailCtIngressPolicyOnly(ipv6) },
} as const

/** cil_lxc_policy(): in cilium_call_policy under the endpoint's id. */
export const lxcPolicy: ObjectProgram = {
  symbol: 'cil_lxc_policy',
  run: (ctx) => {
    const source = ctx.meta(cb.SRC_LABEL)
    const etherType = validEtherType(ctx)
    const family = etherType === undefined ? undefined : enabledFamily(ctx, etherType)
    let result: number = etherType === undefined ? drop.UNSUPPORTED_L2 : drop.UNKNOWN_L3
    if (family !== undefined) {
      const { slot, program } = policyOnly[family.version]
      result = isDualStack(ctx.node) ? ctx.tailCall(slot) : program.run(ctx)
    }
    return isError(ctx, result) ? dropIngress(ctx, source, result, droppedByEntry) : result
  },
}
