// Entry of what arrives at bpf_host of 1.10: from a native device (from-netdev) and from the host's stack through cilium_host
// (from-host). The trace comes before the source is known, so that it says nothing of what a device received.
// bpf_host.c handle_netdev(), do_netdev()
import type { Ctx } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { enabledFamily, type Family } from '../../datapath/family.ts'
import { identity } from '../../datapath/identity.ts'
import { magicOf, mark } from '../../datapath/mark.ts'
import { metricDirection } from '../../datapath/metrics.ts'
import { skipNodeportClear } from '../../datapath/overloadable.ts'
import { edtSetAggregate } from '../../datapath/throttle.ts'
import { tracePoint } from '../../datapath/trace-point.ts'
import { validEtherType } from '../ethernet.ts'
import { inheritIdentity } from '../identity.ts'
import { doDecrypt } from '../ipsec.ts'
import { sendDrop, sendTrace } from '../notify.ts'
import { cb } from '../slots.ts'
import { sendEncrypted } from './encrypted.ts'
import { hostCalls } from './forward.ts'
import { resolveSource } from './source-identity.ts'

const ETH_P_ARP = 0x0806

/** Whether ARP is left to the stack, or to the programs of pods. */
export function passesArp(ctx: Ctx, etherType: number): boolean {
  return etherType === ETH_P_ARP && (ctx.node.ENABLE_ARP_PASSTHROUGH || ctx.node.ENABLE_ARP_RESPONDER)
}

/** The IP half of do_netdev(): on to the main path. A missing program lets the packet through. */
function receiveIp(ctx: Ctx, family: Family, real: number, fromHost: boolean): number {
  const { source, ipcacheSource } = resolveSource(ctx, family, real, fromHost)
  ctx.setMeta(cb.SRC_LABEL, source)
  const { ENABLE_HOST_FIREWALL, ENABLE_MASQUERADE_IPV4 } = ctx.node
  if (fromHost && family.version === 4 && ENABLE_HOST_FIREWALL && !ENABLE_MASQUERADE_IPV4) {
    ctx.setMeta(cb.IPCACHE_SRC_LABEL, ipcacheSource)
  }
  const calls = hostCalls[family.version]
  const missed = ctx.tailCall(fromHost ? calls.fromHost : calls.fromNetdev)
  return sendDrop(ctx, missed, { source, direction: metricDirection.INGRESS, exitCode: ctx.act.OK })
}

/** do_netdev() */
function doNetdev(ctx: Ctx, etherType: number, fromHost: boolean): number {
  if (ctx.node.ENABLE_IPSEC) {
    if (fromHost && magicOf(ctx.mark) === mark.ENCRYPT) return sendEncrypted(ctx, etherType)
    // only what was just decrypted goes on, and is redirected only if nobody decides otherwise
    if (!fromHost && doDecrypt(ctx, etherType) === ctx.act.OK) return ctx.act.OK
  }
  ctx.clearMeta()
  const { ingressIfindex: ifindex, node } = ctx
  const monitor = node.trace_payload_len
  let source = 0
  if (fromHost) {
    const inherited = inheritIdentity(ctx)
    source = inherited.identity
    const point = inherited.fromProxy ? tracePoint.FROM_PROXY : tracePoint.FROM_HOST
    sendTrace(ctx, { point, source, ifindex, monitor })
  } else {
    skipNodeportClear(ctx)
    sendTrace(ctx, { point: tracePoint.FROM_NETWORK, source, ifindex, monitor })
  }
  if (passesArp(ctx, etherType)) return ctx.act.OK
  const family = enabledFamily(ctx, etherType)
  if (family !== undefined) return receiveIp(ctx, family, source, fromHost)
  if (!node.ENABLE_HOST_FIREWALL) return ctx.act.OK
  return sendDrop(ctx, drop.UNKNOWN_L3, { source, direction: metricDirection.INGRESS })
}

/** handle_netdev() */
function handleNetdev(ctx: Ctx, fromHost: boolean): number {
  const etherType = validEtherType(ctx)
  if (etherType !== undefined) return doNetdev(ctx, etherType, fromHost)
  if (!ctx.node.ENABLE_HOST_FIREWALL) {
    sendTrace(ctx, { point: tracePoint.TO_STACK, source: identity.HOST_ID, monitor: 0 })
    return ctx.act.OK
  }
  return sendDrop(ctx, drop.UNSUPPORTED_L2, {
    source: ctx.object.security_label,
    destination: identity.WORLD_ID,
    direction: metricDirection.EGRESS,
  })
}

/** from-netdev: ingress of a native device. */
export function fromNetdev(ctx: Ctx): number {
  return handleNetdev(ctx, false)
}

/** from-host: egress of cilium_host. */
export function fromHost(ctx: Ctx): number {
  edtSetAggregate(ctx, 0)
  return handleNetdev(ctx, true)
}
