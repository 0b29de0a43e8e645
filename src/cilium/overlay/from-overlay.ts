// What comes out of the tunnel. bpf_overlay.c cil_from_overlay(), handle_ipv4(), handle_ipv6()
import { redirectFlag } from '../../bpf/helpers/redirect.ts'
import { type Ctx, cb, isError } from '../datapath/ctx.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import {
  egressGatewayFibRedirect,
  egressGatewayIsUnset,
  egressGatewaySnatNeeded,
} from '../datapath/egress-gateway.ts'
import { tunnelIdOfPacket } from '../datapath/encap.ts'
import { isHostDelivery, lookupEndpoint } from '../datapath/endpoints.ts'
import { macBytesOf, validEtherType } from '../datapath/ethernet.ts'
import { type Family, ipv4, ipv6 } from '../datapath/family.ts'
import { ethernetLength, fragmentInfo, hasHeader, pullHeader } from '../datapath/headers.ts'
import { identity, identityOfTunnelId, isRemoteNode, isWorldOf } from '../datapath/identity.ts'
import { lookupRemoteEndpoint } from '../datapath/ipcache.ts'
import { l3 } from '../datapath/l3.ts'
import { localDelivery } from '../datapath/local-delivery.ts'
import { identityMark, mark, markMask } from '../datapath/mark.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { nodeportLb } from '../datapath/nodeport.ts'
import { sendDrop, sendTrace } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { isDecrypt, skipNodeport, skipNodeportClear } from '../datapath/overloadable.ts'
import { call } from '../datapath/tail-calls.ts'
import { tracePoint, traceReason } from '../datapath/trace-point.ts'
import { hasTunnelEndpoint, lookupVtep } from '../datapath/vtep.ts'

const fromOverlayTrace = where('bpf_overlay.c', 587)
const droppedByEntry = where('bpf_overlay.c', 619)
const droppedBy = { 4: where('bpf_overlay.c', 445), 6: where('bpf_overlay.c', 189) } as const

const arpType = 0x0806

/** ipv4_host_delivery(), ipv6_host_delivery(): to the host by way of cilium_host. */
function hostDelivery(ctx: Ctx, family: Family): number {
  const { CILIUM_HOST_MAC, CILIUM_HOST_IFINDEX } = ctx.node
  const macs = { source: macBytesOf(ctx.object.interface_mac), destination: macBytesOf(CILIUM_HOST_MAC) }
  const result = l3(ctx, family, ethernetLength(ctx), macs, metricDirection.INGRESS)
  return result === ctx.act.OK ? ctx.redirect(CILIUM_HOST_IFINDEX, redirectFlag.BPF_F_INGRESS) : result
}

/** A fragment where fragments are not tracked, or a bad chain of headers: a drop reason; else 0. */
function fragmentFailure(ctx: Ctx, family: Family, l3Offset: number): number {
  const { ENABLE_IPV4_FRAGMENTS, ENABLE_IPV6_FRAGMENTS } = ctx.node
  if (family.version === 4 ? ENABLE_IPV4_FRAGMENTS : ENABLE_IPV6_FRAGMENTS) return 0
  const fragment = fragmentInfo(ctx, family, l3Offset)
  if (typeof fragment === 'number') return fragment
  return fragment.isFragment ? drop.FRAG_NOSUPPORT : 0
}

/** Services and replies to what this node has translated: an ending, or undefined; and whether DSR has brought it. */
function nodeportStage(
  ctx: Ctx,
  family: Family,
  source: number,
): { readonly ending: number | undefined; readonly isDsr: boolean } {
  if (!ctx.node.ENABLE_NODEPORT || skipNodeport(ctx)) return { ending: undefined, isDsr: false }
  const { result, puntToStack, isDsr } = nodeportLb(ctx, family, source)
  const ends = result < 0 || result === ctx.act.REDIRECT || puntToStack
  return { ending: ends ? result : undefined, isDsr }
}

/** Only the world may be behind a foreign tunnel endpoint. */
function isForgedVtep(ctx: Ctx, family: Family, l3Offset: number, source: number): boolean {
  if (!ctx.node.ENABLE_VTEP || family !== ipv4) return false
  const vtep = lookupVtep(ctx, ctx.packet.copy(l3Offset + ipv4.sourceAt, ipv4.addressBytes))
  return vtep !== undefined && hasTunnelEndpoint(vtep) && !isWorldOf(ctx.node, ipv4, source)
}

/** A packet of a pod of another node whose traffic leaves the cluster here: towards its egress device, or undefined. */
function egressGateway(ctx: Ctx, family: Family, l3Offset: number, source: number): number | undefined {
  if (!ctx.node.ENABLE_EGRESS_GATEWAY_COMMON) return undefined
  const { packet } = ctx
  const sender = packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const target = packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const policy = egressGatewaySnatNeeded(ctx, family, sender, target)
  if (policy === undefined) return undefined
  if (egressGatewayIsUnset(policy.egressAddress)) return drop.NO_EGRESS_IP
  const macs = { source: undefined, destination: undefined }
  const result = l3(ctx, family, l3Offset, macs, metricDirection.INGRESS)
  if (result !== ctx.act.OK) return result
  ctx.mark = identityMark(source, mark.EGW_DONE)
  return egressGatewayFibRedirect(ctx, family, policy.egressAddress, target, policy.egressIfindex)
}

/** To a pod of this node; everything else that comes through the tunnel is for the host. */
function deliver(ctx: Ctx, family: Family, l3Offset: number, source: number): number {
  const target = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const endpoint = lookupEndpoint(ctx, family, target)
  if (endpoint !== undefined && !isHostDelivery(endpoint)) {
    return localDelivery(ctx, family, {
      l3Offset,
      source,
      magic: mark.IDENTITY,
      endpoint,
      direction: metricDirection.INGRESS,
      fromHost: false,
      fromTunnel: true,
      clusterId: 0,
    })
  }
  ctx.mark = identityMark(source, mark.IDENTITY)
  return hostDelivery(ctx, family)
}

/** handle_ipv4(), handle_ipv6(): `from.identity` is refined on the way, for the drop event. */
function handle(ctx: Ctx, family: Family, from: { identity: number }): number {
  const l3Offset = ethernetLength(ctx)
  if (!pullHeader(ctx, family, l3Offset)) return drop.INVALID
  const failed = fragmentFailure(ctx, family, l3Offset)
  if (failed !== 0) return failed
  const { ending, isDsr } = nodeportStage(ctx, family, from.identity)
  if (ending !== undefined) return ending
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  if (isForgedVtep(ctx, family, l3Offset, from.identity)) return drop.INVALID_VNI
  if (isRemoteNode(from.identity) || (isDsr && isWorldOf(ctx.node, family, from.identity))) {
    const sender = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
    from.identity = lookupRemoteEndpoint(ctx, family, sender)?.secIdentity ?? from.identity
  }
  return egressGateway(ctx, family, l3Offset, from.identity) ?? deliver(ctx, family, l3Offset, from.identity)
}

/** tail_handle_ipv4(), tail_handle_ipv6(): slot FROM_OVERLAY. */
export function tailHandle(family: Family): ObjectProgram {
  return {
    symbol: `tail_handle_ipv${family.version}`,
    run: (ctx) => {
      const from = { identity: ctx.takeMeta(cb.SRC_LABEL) }
      const result = handle(ctx, family, from)
      if (!isError(ctx, result)) return result
      const event = { source: from.identity, direction: metricDirection.INGRESS }
      return sendDrop(ctx, result, event, droppedBy[family.version])
    },
  }
}

/** Where encryption is strict, nothing may come through the tunnel in clear. False: it did. */
function isEncryptedEnough(ctx: Ctx): boolean {
  const { ENABLE_WIREGUARD, ENABLE_IDENTITY_MARK } = ctx.node
  if (!ENABLE_WIREGUARD || !ENABLE_IDENTITY_MARK) return true
  if (ctx.object.encryption_strict_ingress && !isDecrypt(ctx)) return false
  ctx.mark = (ctx.mark & ~markMask) >>> 0
  return true
}

function isIp(ctx: Ctx, etherType: number): boolean {
  const { ENABLE_IPV4, ENABLE_IPV6 } = ctx.node
  return (ENABLE_IPV4 && etherType === ipv4.etherType) || (ENABLE_IPV6 && etherType === ipv6.etherType)
}

/** The sender's identity by the tunnel id, or a drop reason. Nobody but this host may be this host. */
function tunnelIdentity(ctx: Ctx, etherType: number, from: { identity: number }): number {
  const tunnelId = tunnelIdOfPacket(ctx)
  if (tunnelId === undefined) return drop.NO_TUNNEL_KEY
  from.identity = identityOfTunnelId(ctx.node, tunnelId, etherType)
  if (from.identity === identity.HOST_ID) return drop.INVALID_IDENTITY
  ctx.setMeta(cb.SRC_LABEL, from.identity)
  return 0
}

function dispatch(ctx: Ctx, etherType: number): number {
  const { ENABLE_IPV4, ENABLE_IPV6, ENABLE_VTEP } = ctx.node
  if (etherType === ipv4.etherType) {
    return ENABLE_IPV4 ? ctx.tailCall(call.IPV4_FROM_OVERLAY) : drop.UNKNOWN_L3
  }
  if (etherType === ipv6.etherType) {
    return ENABLE_IPV6 ? ctx.tailCall(call.IPV6_FROM_OVERLAY) : drop.UNKNOWN_L3
  }
  return etherType === arpType && ENABLE_VTEP ? ctx.tailCall(call.ARP) : ctx.act.OK
}

function receive(ctx: Ctx, etherType: number, from: { identity: number }): number {
  if (!isEncryptedEnough(ctx)) return drop.UNENCRYPTED_TRAFFIC
  const failed = isIp(ctx, etherType) ? tunnelIdentity(ctx, etherType, from) : 0
  if (failed !== 0) return failed
  const event = {
    point: tracePoint.FROM_OVERLAY,
    source: from.identity,
    destination: 0,
    endpoint: 0,
    ifindex: ctx.ingressIfindex,
    reason: traceReason.UNKNOWN,
    monitor: ctx.node.trace_payload_len,
    etherType,
  }
  sendTrace(ctx, event, fromOverlayTrace)
  return dispatch(ctx, etherType)
}

/** cil_from_overlay(): ingress of the tunnel device. What is no Ethernet II goes to the stack. */
export const fromOverlay: ObjectProgram = {
  symbol: 'cil_from_overlay',
  run: (ctx) => {
    ctx.clearMeta()
    skipNodeportClear(ctx)
    const etherType = validEtherType(ctx)
    const from = { identity: 0 }
    const result = etherType === undefined ? ctx.act.OK : receive(ctx, etherType, from)
    if (!isError(ctx, result)) return result
    const event = { source: from.identity, direction: metricDirection.INGRESS }
    return sendDrop(ctx, result, event, droppedByEntry)
  },
}
