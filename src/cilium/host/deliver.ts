// What arrives at cilium_host and cilium_net, on its way to the host's stack or its proxy (cil_to_host), and the host
// firewall as pods' programs call it (cil_host_policy). bpf_host.c
import { type Ctx, cb, isError, PACKET_HOST } from '../datapath/ctx.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import { validEtherType } from '../datapath/ethernet.ts'
import { enabledFamily, type Family } from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { hostPolicyEgress, hostPolicyIngress } from '../datapath/host-firewall.ts'
import { identity } from '../datapath/identity.ts'
import { fillDeliveryMeta, tailCallPolicy } from '../datapath/local-delivery.ts'
import { magicOf, mark } from '../datapath/mark.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { handleNatFwd } from '../datapath/nodeport-egress.ts'
import { sendDrop, sendTrace, type TraceContext } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { isEncrypt } from '../datapath/overloadable.ts'
import { proxyPortOf, redirectToProxyFirst } from '../datapath/proxy.ts'
import { call } from '../datapath/tail-calls.ts'
import { tracePoint, traceReason } from '../datapath/trace-point.ts'

const tailDrop = { 4: where('bpf_host.c', 1598), 6: where('bpf_host.c', 1570) } as const
const tailTrace = { 4: where('bpf_host.c', 1603), 6: where('bpf_host.c', 1575) } as const
const policyTrace = where('bpf_host.c', 1665)
const toHostDrop = where('bpf_host.c', 1796)
const toHostTrace = where('bpf_host.c', 1801)
const hostPolicyDrop = where('bpf_host.c', 1921)

const ETH_P_ARP = 0x0806

const policyOnly = { 4: call.IPV4_TO_HOST_POLICY_ONLY, 6: call.IPV6_TO_HOST_POLICY_ONLY } as const

function newTrace(): TraceContext {
  return { reason: traceReason.UNKNOWN, monitor: 0 }
}

function traceToStack(
  ctx: Ctx,
  source: number,
  trace: TraceContext,
  etherType: number,
  place: ReturnType<typeof where>,
): void {
  const event = {
    point: tracePoint.TO_STACK,
    source,
    destination: identity.UNKNOWN_ID,
    endpoint: 0,
    ifindex: ctx.node.CILIUM_HOST_IFINDEX,
    reason: trace.reason,
    monitor: trace.monitor,
    etherType,
  }
  sendTrace(ctx, event, place)
}

/** tail_ipv4_host_policy_ingress(), tail_ipv6_host_policy_ingress() */
function tailHostPolicyIngress(ctx: Ctx, family: Family): number {
  const { version } = family
  const trace = newTrace()
  const before = ctx.meta(cb.SRC_LABEL)
  const traced = ctx.meta(cb.TRACED) !== 0
  const { verdict, source } = hostPolicyIngress(ctx, family, before, trace)
  if (isError(ctx, verdict)) {
    return sendDrop(ctx, verdict, { source, direction: metricDirection.INGRESS }, tailDrop[version])
  }
  if (!traced) traceToStack(ctx, source, trace, family.etherType, tailTrace[version])
  return verdict
}

function passesArp(ctx: Ctx, etherType: number): boolean {
  return etherType === ETH_P_ARP && (ctx.node.ENABLE_ARP_PASSTHROUGH || ctx.node.ENABLE_ARP_RESPONDER)
}

/** What host_ingress_policy() is told. */
interface HostIngressOptions {
  readonly source: number
  /** The packet was traced before it came here. */
  readonly traced: boolean
  readonly tailCall: boolean
}

/** host_ingress_policy(): CTX_ACT_OK or a drop reason. */
function hostIngressPolicy(ctx: Ctx, etherType: number, options: HostIngressOptions): number {
  const { source, traced } = options
  const trace = newTrace()
  const family = enabledFamily(ctx, etherType)
  let found = source
  let verdict: number = ctx.act.OK
  if (family === undefined) {
    if (!passesArp(ctx, etherType)) return drop.UNKNOWN_L3
  } else if (options.tailCall) {
    ctx.setMeta(cb.SRC_LABEL, source)
    ctx.setMeta(cb.TRACED, traced ? 1 : 0)
    verdict = ctx.tailCall(policyOnly[family.version])
  } else {
    const answer = hostPolicyIngress(ctx, family, source, trace)
    verdict = answer.verdict
    found = answer.source
  }
  if (isError(ctx, verdict)) return verdict
  if (!traced) traceToStack(ctx, found, trace, etherType, policyTrace)
  return verdict
}

/** The magic that came with the packet: by its mark, else by the word that another program left in cb. */
function magicOfPacket(ctx: Ctx): number {
  if (magicOf(ctx.mark) === mark.TO_PROXY) return ctx.mark
  if (ctx.node.ENABLE_IPSEC && isEncrypt(ctx)) return ctx.mark
  return ctx.meta(cb.PROXY_MAGIC)
}

/** The IPsec half of cil_to_host(): what is to be encrypted goes through the stack with the right mark. */
function prepareIpsec(ctx: Ctx, source: number, trace: TraceContext): number {
  const { node, object } = ctx
  ctx.changeType(PACKET_HOST)
  const fromCiliumHost = ctx.mark === 0 && object.interface_ifindex === node.CILIUM_NET_IFINDEX
  if (!node.TUNNEL_MODE && fromCiliumHost) ctx.mark = mark.SKIP_TPROXY
  if (!node.ENABLE_NODEPORT || !isEncrypt(ctx)) return ctx.act.OK
  const etherType = validEtherType(ctx)
  if (etherType === undefined) return ctx.act.OK
  return handleNatFwd(ctx, { source, etherType, revDnatOnly: true }, trace)
}

/** cil_to_host(): ingress of cilium_host and cilium_net. */
export function toHost(ctx: Ctx): number {
  const magic = magicOfPacket(ctx)
  const trace = newTrace()
  let source = 0
  const finish = (result: number, traced: boolean, etherType: number): number => {
    if (isError(ctx, result)) {
      return sendDrop(ctx, result, { source, direction: metricDirection.INGRESS }, toHostDrop)
    }
    if (!traced) traceToStack(ctx, source, trace, etherType, toHostTrace)
    return result
  }
  if ((magic & 0xffff) === mark.TO_PROXY) {
    ctx.setMeta(cb.PROXY_MAGIC, 0)
    return finish(redirectToProxyFirst(ctx, proxyPortOf(magic)), true, 0)
  }
  if (ctx.node.ENABLE_IPSEC) {
    if (magicOf(magic) === mark.ENCRYPT) {
      ctx.mark = magic
      source = ctx.meta(cb.ENCRYPT_IDENTITY)
    }
    const prepared = prepareIpsec(ctx, source, trace)
    if (isError(ctx, prepared)) return finish(prepared, false, 0)
  }
  if (!ctx.node.ENABLE_HOST_FIREWALL) return finish(ctx.act.OK, false, 0)
  const etherType = validEtherType(ctx)
  if (etherType === undefined) return finish(drop.UNSUPPORTED_L2, false, 0)
  return finish(
    hostIngressPolicy(ctx, etherType, { source, traced: false, tailCall: true }),
    false,
    etherType,
  )
}

/** from_host_to_lxc(): the host's egress policy for a packet to a pod of this node. CTX_ACT_OK or a drop reason. */
function fromHostToPod(ctx: Ctx, etherType: number): number {
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return passesArp(ctx, etherType) ? ctx.act.OK : drop.UNKNOWN_L3
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return drop.INVALID
  const sender = { source: identity.HOST_ID, ipcacheSource: 0, isFromProxy: false }
  return hostPolicyEgress(ctx, family, sender, newTrace())
}

/** cil_host_policy(): reached through cilium_call_policy, by pods' programs with per-endpoint routes. */
export function hostPolicy(ctx: Ctx): number {
  if (!ctx.node.ENABLE_HOST_FIREWALL) return 0
  const isFromHost = ctx.meta(cb.FROM_HOST) !== 0
  const source = isFromHost ? identity.HOST_ID : ctx.meta(cb.SRC_LABEL)
  const direction = isFromHost ? metricDirection.EGRESS : metricDirection.INGRESS
  const result = enforce(ctx, source, isFromHost)
  return isError(ctx, result) ? sendDrop(ctx, result, { source, direction }, hostPolicyDrop) : result
}

function enforce(ctx: Ctx, source: number, isFromHost: boolean): number {
  const etherType = validEtherType(ctx)
  if (etherType === undefined) return drop.UNSUPPORTED_L2
  if (!isFromHost) {
    const tailCall = ctx.node.ENABLE_IPV4 && ctx.node.ENABLE_IPV6
    return hostIngressPolicy(ctx, etherType, { source, traced: true, tailCall })
  }
  const endpointId = ctx.meta(cb.DST_ENDPOINT_ID)
  const allowed = fromHostToPod(ctx, etherType)
  if (isError(ctx, allowed)) return allowed
  fillDeliveryMeta(ctx, source, { redirect: false, fromHost: true, fromTunnel: false, clusterId: 0 })
  return tailCallPolicy(ctx, endpointId & 0xffff)
}

/** The tail calls of one family of the host firewall's ingress. */
export function hostDeliverTails(family: Family): [number, ObjectProgram][] {
  const symbol = `tail_ipv${family.version}_host_policy_ingress`
  return [[policyOnly[family.version], { symbol, run: (ctx) => tailHostPolicyIngress(ctx, family) }]]
}
