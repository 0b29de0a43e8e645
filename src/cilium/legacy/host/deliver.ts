// What arrives at cilium_host and cilium_net of 1.10, on its way to the host's stack or its proxy (to-host), and the host
// firewall as pods' programs call it. bpf_host.c to_host(), handle_lxc_traffic()
import { type Ctx, isError, PACKET_HOST } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { enabledFamily, type Family, ipv6 } from '../../datapath/family.ts'
import { identity } from '../../datapath/identity.ts'
import { magicOf, mark } from '../../datapath/mark.ts'
import { metricDirection } from '../../datapath/metrics.ts'
import type { ObjectProgram } from '../../datapath/object.ts'
import { tracePoint } from '../../datapath/trace-point.ts'
import { validEtherType } from '../ethernet.ts'
import { hostPolicyEgress, hostPolicyIngress } from '../host-firewall.ts'
import { sendDrop, sendTrace } from '../notify.ts'
import { policyClearMark } from '../policy.ts'
import { redirectToProxyFirst } from '../proxy.ts'
import { call, cb, withIdentity } from '../slots.ts'
import { passesArp } from './receive.ts'

const policyOnly = { 4: call.IPV4_TO_HOST_POLICY_ONLY, 6: call.IPV6_TO_HOST_POLICY_ONLY } as const

const { INGRESS, EGRESS } = metricDirection

/** The host firewall of to-host: the verdict, and the sender's identity as far as it is known. */
function firewall(ctx: Ctx, source: number): { readonly verdict: number; readonly source: number } {
  const etherType = validEtherType(ctx)
  if (etherType === undefined) return { verdict: drop.UNSUPPORTED_L2, source }
  policyClearMark(ctx)
  if (passesArp(ctx, etherType)) return { verdict: ctx.act.OK, source }
  const family = enabledFamily(ctx, etherType)
  return family === undefined ? { verdict: drop.UNKNOWN_L3, source } : hostPolicyIngress(ctx, family, source)
}

/** to-host: ingress of cilium_host and cilium_net. */
export function toHost(ctx: Ctx): number {
  const magic = ctx.meta(cb.PROXY_MAGIC)
  let source = 0
  let traced = false
  if (magicOf(magic) === mark.ENCRYPT) {
    source = ctx.meta(cb.ENCRYPT_IDENTITY)
    ctx.mark = withIdentity(magic, source)
  } else if ((magic & 0xffff) === mark.TO_PROXY) {
    ctx.setMeta(cb.PROXY_MAGIC, 0)
    const redirected = redirectToProxyFirst(ctx, magic >>> 16)
    if (isError(ctx, redirected)) return sendDrop(ctx, redirected, { source, direction: INGRESS })
    traced = true
  }
  // with ESP around it a packet may have the MAC address of another device
  if (ctx.node.ENABLE_IPSEC) ctx.changeType(PACKET_HOST)
  if (!traced) {
    const ifindex = ctx.node.CILIUM_HOST_IFINDEX
    sendTrace(ctx, { point: tracePoint.TO_STACK, source, ifindex, monitor: 0 })
  }
  if (!ctx.node.ENABLE_HOST_FIREWALL) return ctx.act.OK
  const answer = firewall(ctx, source)
  if (!isError(ctx, answer.verdict)) return answer.verdict
  return sendDrop(ctx, answer.verdict, { source: answer.source, direction: INGRESS })
}

/** tail_ipv4_host_policy_ingress(), tail_ipv6_host_policy_ingress() */
function tailHostPolicyIngress(ctx: Ctx, family: Family): number {
  const { verdict, source } = hostPolicyIngress(ctx, family, 0)
  return isError(ctx, verdict) ? sendDrop(ctx, verdict, { source, direction: INGRESS }) : verdict
}

/**
 * to_host_from_lxc(): a pod's packet enters the host. In dual stack IPv4, too, takes the tail call of IPv6, as Cilium has it, and
 * is no packet for the host there.
 */
function toHostFromLxc(ctx: Ctx, etherType: number): number {
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return passesArp(ctx, etherType) ? ctx.act.OK : drop.UNKNOWN_L3
  const { ENABLE_IPV4, ENABLE_IPV6 } = ctx.node
  return ENABLE_IPV4 && ENABLE_IPV6
    ? ctx.tailCall(policyOnly[ipv6.version])
    : tailHostPolicyIngress(ctx, family)
}

/** from_host_to_lxc(): CTX_ACT_OK or a drop reason. */
function fromHostToLxc(ctx: Ctx, etherType: number): number {
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return passesArp(ctx, etherType) ? ctx.act.OK : drop.UNKNOWN_L3
  return hostPolicyEgress(ctx, family, identity.HOST_ID, 0)
}

/** handle_lxc_traffic(): reached through the map of policy programs, by pods' programs with per-endpoint routes. */
export function handleLxcTraffic(ctx: Ctx): number {
  const fromHost = ctx.meta(cb.FROM_HOST) !== 0
  const etherType = validEtherType(ctx)
  if (fromHost) {
    const allowed = etherType === undefined ? drop.UNSUPPORTED_L2 : fromHostToLxc(ctx, etherType)
    if (isError(ctx, allowed)) return sendDrop(ctx, allowed, { source: identity.HOST_ID, direction: EGRESS })
    const endpointId = ctx.meta(cb.DST_ENDPOINT_ID)
    ctx.setMeta(cb.SRC_LABEL, identity.HOST_ID)
    ctx.tailCallInto(ctx.maps.cilium_call_policy, endpointId)
    return drop.MISSED_TAIL_CALL
  }
  const allowed = etherType === undefined ? drop.UNSUPPORTED_L2 : toHostFromLxc(ctx, etherType)
  return isError(ctx, allowed) ? sendDrop(ctx, allowed, { source: 0, direction: INGRESS }) : allowed
}

/** The tail calls of one family of the host firewall's ingress. */
export function hostDeliverTails(family: Family): [number, ObjectProgram][] {
  const symbol = `tail_ipv${family.version}_host_policy_ingress`
  return [[policyOnly[family.version], { symbol, run: (ctx) => tailHostPolicyIngress(ctx, family) }]]
}
