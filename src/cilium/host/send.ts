// What leaves through a native device: host firewall, egress gateway, departure time, encryption, translation, in this
// order. bpf_host.c cil_to_netdev()
import { type Ctx, cb, isError } from '../datapath/ctx.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import { validEtherType } from '../datapath/ethernet.ts'
import { enabledFamily, type Family } from '../datapath/family.ts'
import { ethernetLength, pullHeader, walkHeaders } from '../datapath/headers.ts'
import { hostPolicyEgress } from '../datapath/host-firewall.ts'
import { identity } from '../datapath/identity.ts'
import { ipsecMaybeRedirectToEncrypt } from '../datapath/ipsec.ts'
import { tailCallEgressPolicy } from '../datapath/local-delivery.ts'
import { identityOfMark, magicOf, mark } from '../datapath/mark.ts'
import { metricDirection, updateMetrics } from '../datapath/metrics.ts'
import { handleNatFwd } from '../datapath/nodeport-egress.ts'
import { sendDrop, sendTrace, type TraceContext } from '../datapath/notify.ts'
import { egressGatewayDone, isEncrypt, isOverlay, snatDone } from '../datapath/overloadable.ts'
import { resolveSource } from '../datapath/source-identity.ts'
import { edtSchedDeparture } from '../datapath/throttle.ts'
import { tracePoint, traceReason } from '../datapath/trace-point.ts'
import { wgMaybeRedirectToEncrypt } from '../datapath/wireguard.ts'
import { egressGatewayHandleRequest } from './egress-gateway-request.ts'
import { icmp6HostHandle, SKIP_HOST_FIREWALL } from './icmp6.ts'
import { filterVlan } from './receive.ts'
import { strictAllow } from './strict-mode.ts'

const encryptedFromStack = where('bpf_host.c', 1351)
const departureDrop = where('bpf_host.c', 1460)
const toNetwork = where('bpf_host.c', 1543)
const toNetdevDrop = where('bpf_host.c', 1549)

const ETH_P_ARP = 0x0806

/** The identity that the mark tells. */
function sourceByMark(ctx: Ctx, magic: number): number {
  const { node } = ctx
  switch (magic) {
    case mark.HOST:
    case mark.OVERLAY:
    case mark.ENCRYPT:
      return identity.HOST_ID
    case mark.PROXY_EGRESS:
      return identityOfMark(ctx.mark)
    case mark.IDENTITY:
      return node.ENABLE_IDENTITY_MARK ? identityOfMark(ctx.mark) : identity.UNKNOWN_ID
    case mark.EGW_DONE:
      return node.ENABLE_EGRESS_GATEWAY_COMMON ? identityOfMark(ctx.mark) : identity.UNKNOWN_ID
    default:
      return identity.UNKNOWN_ID
  }
}

/** handle_to_netdev_ipv4(), handle_to_netdev_ipv6(): the firewall knows only host or not. */
function hostFirewallOf(
  ctx: Ctx,
  family: Family,
  sender: { readonly source: number; readonly isFromProxy: boolean },
  trace: TraceContext,
): number {
  const l3Offset = ethernetLength(ctx)
  if (!pullHeader(ctx, family, l3Offset)) return drop.INVALID
  if (family.version === 6) {
    const walk = walkHeaders(ctx, family, l3Offset)
    if (typeof walk === 'number') return walk
    if (walk.nexthdr === family.icmp) {
      const handled = icmp6HostHandle(ctx, l3Offset + walk.length, false)
      if (handled === SKIP_HOST_FIREWALL) return ctx.act.OK
      if (isError(ctx, handled)) return handled
    }
  }
  const before = sender.source === identity.HOST_ID ? identity.HOST_ID : 0
  const { source, ipcacheSource } = resolveSource(ctx, family, before)
  return hostPolicyEgress(ctx, family, { source, ipcacheSource, isFromProxy: sender.isFromProxy }, trace)
}

/** The host firewall by ethertype. CTX_ACT_OK to go on. */
function hostFirewall(
  ctx: Ctx,
  etherType: number | undefined,
  sender: { readonly source: number; readonly isFromProxy: boolean },
  trace: TraceContext,
): number {
  if (!ctx.node.ENABLE_HOST_FIREWALL || snatDone(ctx)) return ctx.act.OK
  if (etherType === undefined) return drop.UNSUPPORTED_L2
  const { ENABLE_ARP_PASSTHROUGH, ENABLE_ARP_RESPONDER } = ctx.node
  if (etherType === ETH_P_ARP && (ENABLE_ARP_PASSTHROUGH || ENABLE_ARP_RESPONDER)) return ctx.act.OK
  const family = enabledFamily(ctx, etherType)
  return family === undefined ? drop.UNKNOWN_L3 : hostFirewallOf(ctx, family, sender, trace)
}

/** Encryption, where it is on: CTX_ACT_OK to go on, a redirect, or a drop reason. */
function encrypt(ctx: Ctx, etherType: number | undefined, source: number, trace: TraceContext): number {
  const { ENABLE_IPSEC, ENABLE_WIREGUARD, ENCRYPTION_STRICT_MODE_EGRESS } = ctx.node
  if (!ENABLE_IPSEC && !ENABLE_WIREGUARD) return ctx.act.OK
  if (isEncrypt(ctx)) trace.reason |= traceReason.ENCRYPTED
  if (ENABLE_IPSEC && !isEncrypt(ctx)) {
    const result = ipsecMaybeRedirectToEncrypt(ctx, etherType, source)
    if (result !== ctx.act.OK) return result
  }
  if (ENABLE_WIREGUARD && !isEncrypt(ctx)) {
    const result = wgMaybeRedirectToEncrypt(ctx, etherType, source)
    if (result !== ctx.act.OK) return result
  }
  const refused = ENCRYPTION_STRICT_MODE_EGRESS && !strictAllow(ctx, etherType ?? 0)
  return refused ? drop.UNENCRYPTED_TRAFFIC : ctx.act.OK
}

/** A code that ends the program silently: the packet was redirected, or is too late to send. */
interface Ended {
  readonly code: number
}

/** All steps that may end the program. CTX_ACT_OK, a drop reason, or the code of a silent end. */
function process(
  ctx: Ctx,
  etherType: number | undefined,
  source: number,
  magic: number,
  trace: TraceContext,
): number | Ended {
  const { node, act } = ctx
  const isFromProxy = magic === mark.PROXY_EGRESS
  const firewall = hostFirewall(ctx, etherType, { source, isFromProxy }, trace)
  if (firewall !== act.OK) return ended(ctx, firewall)
  if (node.ENABLE_EGRESS_GATEWAY_COMMON && !egressGatewayDone(ctx)) {
    const ids = { source, destination: identity.UNKNOWN_ID }
    const gateway = egressGatewayHandleRequest(ctx, etherType ?? 0, ids, trace)
    if (gateway !== act.OK) return ended(ctx, gateway)
  }
  const departure = edtSchedDeparture(ctx, etherType ?? 0)
  if (departure < 0) {
    updateMetrics(ctx, ctx.length, metricDirection.EGRESS, -departure & 0xff, departureDrop)
    return { code: act.DROP }
  }
  const encrypted = encrypt(ctx, etherType, source, trace)
  if (encrypted !== act.OK) return ended(ctx, encrypted)
  if (!node.ENABLE_NODEPORT || snatDone(ctx) || isOverlay(ctx) || isEncrypt(ctx)) return act.OK
  const options = { source, etherType: etherType ?? 0, revDnatOnly: false }
  return ended(ctx, handleNatFwd(ctx, options, trace))
}

function ended(ctx: Ctx, code: number): number | Ended {
  return isError(ctx, code) || code === ctx.act.OK ? code : { code }
}

/** cil_to_netdev(): egress of a native device. Health checks of IPIP load balancers are not modelled. */
export function toNetdev(ctx: Ctx): number {
  const magic = magicOf(ctx.mark)
  const trace: TraceContext = { reason: traceReason.UNKNOWN, monitor: 0 }
  const etherType = validEtherType(ctx)
  const point = {
    destination: identity.UNKNOWN_ID,
    endpoint: 0,
    etherType: etherType ?? 0,
  }
  if (ctx.node.ENABLE_IPSEC && magic === mark.ENCRYPT) {
    const source = ctx.meta(cb.ENCRYPT_IDENTITY)
    const reason = traceReason.ENCRYPTED
    const event = { point: tracePoint.FROM_STACK, source, ifindex: ctx.ingressIfindex, reason, monitor: 0 }
    sendTrace(ctx, { ...point, ...event }, encryptedFromStack)
  }
  ctx.clearMeta()
  const source = sourceByMark(ctx, magic)
  const dropped = (reason: number): number =>
    sendDrop(ctx, reason, { source, direction: metricDirection.EGRESS }, toNetdevDrop)
  const vlan = filterVlan(ctx)
  if (vlan !== undefined) return vlan < 0 ? dropped(vlan) : vlan
  if (ctx.node.ENABLE_L7_LB && magic === mark.PROXY_EGRESS_EPID) {
    const endpointId = ctx.mark >>> 16
    ctx.mark = 0
    return dropped(tailCallEgressPolicy(ctx, endpointId))
  }
  const result = process(ctx, etherType, source, magic, trace)
  if (typeof result !== 'number') return result.code
  if (isError(ctx, result)) return dropped(result)
  const { reason, monitor } = trace
  const ifindex = ctx.object.interface_ifindex
  sendTrace(ctx, { ...point, point: tracePoint.TO_NETWORK, source, ifindex, reason, monitor }, toNetwork)
  return result
}
