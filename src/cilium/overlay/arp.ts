// ARP from behind a foreign tunnel endpoint: pods of this node are at the tunnel device. bpf_overlay.c tail_handle_arp()
import { type ArpRequest, arpRequest, prepareArpReply } from '../datapath/arp.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import { encapAndRedirect, tunnelId4 } from '../datapath/encap.ts'
import { lookupEndpoint } from '../datapath/endpoints.ts'
import { macBytesOf } from '../datapath/ethernet.ts'
import { ipv4 } from '../datapath/family.ts'
import { identity, worldId } from '../datapath/identity.ts'
import { type MetricDirection, metricDirection } from '../datapath/metrics.ts'
import { sendDrop, sendTrace } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { tracePoint, traceReason } from '../datapath/trace-point.ts'
import { hasTunnelEndpoint, lookupVtep, remoteOf, type Vtep } from '../datapath/vtep.ts'

const noKey = where('bpf_overlay.c', 474)
const notPrepared = where('bpf_overlay.c', 485)
const dropped = where('bpf_overlay.c', 501)
const toStackTrace = where('bpf_overlay.c', 506)

const arpType = 0x0806

function dropArp(ctx: Ctx, reason: number, direction: MetricDirection, place: typeof noKey): number {
  return sendDrop(ctx, reason, { source: identity.UNKNOWN_ID, direction }, place, false)
}

function toStack(ctx: Ctx): number {
  const event = {
    point: tracePoint.TO_STACK,
    source: identity.UNKNOWN_ID,
    destination: identity.UNKNOWN_ID,
    endpoint: 0,
    ifindex: ctx.ingressIfindex,
    reason: traceReason.CT_REPLY,
    monitor: ctx.node.trace_payload_len,
    etherType: arpType,
  }
  sendTrace(ctx, event, toStackTrace)
  return ctx.act.OK
}

function reply(ctx: Ctx, asked: ArpRequest, vtep: Vtep): number {
  const failed = prepareArpReply(ctx, asked, macBytesOf(ctx.object.interface_mac))
  if (failed !== 0) return dropArp(ctx, failed, metricDirection.EGRESS, notPrepared)
  if (!hasTunnelEndpoint(vtep)) return dropArp(ctx, drop.UNKNOWN_L3, metricDirection.EGRESS, dropped)
  const world = worldId(ctx.node, ipv4)
  const result = encapAndRedirect(ctx, {
    remote: remoteOf(vtep),
    source: identity.LOCAL_NODE_ID,
    destination: world,
    trace: { reason: traceReason.CT_REPLY, monitor: ctx.node.trace_payload_len },
    etherType: arpType,
    vni: world,
  })
  return isError(ctx, result) ? dropArp(ctx, result, metricDirection.EGRESS, dropped) : result
}

/** tail_handle_arp(): slot ARP, with VTEP. */
export const tailHandleArp: ObjectProgram = {
  symbol: 'tail_handle_arp',
  run: (ctx) => {
    if (tunnelId4(ctx) === undefined) {
      return dropArp(ctx, drop.NO_TUNNEL_KEY, metricDirection.INGRESS, noKey)
    }
    const asked = arpRequest(ctx, ctx.object.interface_mac)
    if (asked === undefined || lookupEndpoint(ctx, ipv4, asked.target) === undefined) return toStack(ctx)
    const vtep = lookupVtep(ctx, asked.source)
    return vtep === undefined ? toStack(ctx) : reply(ctx, asked, vtep)
  },
}
