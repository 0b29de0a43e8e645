// Where a packet that a pod may send goes: proxy, host, a pod of this node, the tunnel, the network, or the stack.
// bpf_lxc.c ipv4_forward_to_destination(), ipv6_forward_to_destination()

import { redirectFlag } from '../../bpf/helpers/redirect.ts'
import { type CtState, ctStatus } from '../datapath/ct-state.ts'
import { type Ctx, cb } from '../datapath/ctx.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import { encapAndRedirect } from '../datapath/encap.ts'
import { isHostDelivery, lookupEndpoint } from '../datapath/endpoints.ts'
import type { Address, Family } from '../datapath/family.ts'
import { fibOk, fibRedirectPacket } from '../datapath/fib.ts'
import { ethernetLength } from '../datapath/headers.ts'
import { identity, isRemoteNode } from '../datapath/identity.ts'
import type { RemoteEndpoint } from '../datapath/ipcache.ts'
import { localDelivery, tailCallPolicy } from '../datapath/local-delivery.ts'
import { identityMark, mark } from '../datapath/mark.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { sendTrace, type TraceContext } from '../datapath/notify.ts'
import { redirectToProxy } from '../datapath/proxy.ts'
import { type TracePoint, tracePoint } from '../datapath/trace-point.ts'
import { encapToVtep } from '../datapath/vtep.ts'
import type { Tuple } from '../maps/tuple.ts'

/** BPF_FIB_LKUP_RET_NOT_FWDED: the address is one of this machine. */
const notForwarded = 4

const toHost = where('bpf_lxc.c', 88)
const places = {
  4: {
    toProxy: where('bpf_lxc.c', 1181),
    toNetwork: where('bpf_lxc.c', 1356),
    toStack: where('bpf_lxc.c', 1377),
  },
  6: {
    toProxy: where('bpf_lxc.c', 717),
    toNetwork: where('bpf_lxc.c', 806),
    toStack: where('bpf_lxc.c', 819),
  },
} as const

/** A packet on its way out, after policy and conntrack. */
export interface Forwarding {
  readonly family: Family
  readonly tuple: Tuple
  /** Identity of the destination. */
  readonly destination: number
  readonly state: CtState
  readonly status: number
  readonly remote: RemoteEndpoint | undefined
  readonly skipTunnel: boolean
  /** A pod that reaches itself through a service. */
  readonly hairpin: boolean
  readonly fromL7Lb: boolean
  readonly proxyPort: number
  readonly trace: TraceContext
}

/** A trace event from this endpoint. */
function traceFrom(
  ctx: Ctx,
  packet: Forwarding,
  point: TracePoint,
  options: { readonly destination: number; readonly endpoint?: number; readonly ifindex?: number },
) {
  const { reason, monitor } = packet.trace
  return {
    point,
    source: ctx.object.security_label,
    destination: options.destination,
    endpoint: options.endpoint ?? 0,
    ifindex: options.ifindex ?? 0,
    reason,
    monitor,
    etherType: packet.family.etherType,
  }
}

/** lxc_redirect_to_host(): to the host firewall of cil_to_host on cilium_net. */
function redirectToHost(ctx: Ctx, packet: Forwarding): number {
  const { CILIUM_NET_IFINDEX } = ctx.node
  const options = { destination: identity.HOST_ID, ifindex: CILIUM_NET_IFINDEX }
  sendTrace(ctx, traceFrom(ctx, packet, tracePoint.TO_HOST, options), toHost)
  return ctx.redirect(CILIUM_NET_IFINDEX, redirectFlag.BPF_F_INGRESS)
}

/** lxc_deliver_to_host(): to the host firewall's program, where packets for the host do not pass cilium_net. */
function deliverToHost(ctx: Ctx): number {
  ctx.setMeta(cb.SRC_LABEL, ctx.object.security_label)
  ctx.setMeta(cb.FROM_HOST, 0)
  tailCallPolicy(ctx, ctx.object.host_ep_id)
  return drop.HOST_NOT_READY
}

/** The address whose endpoint is looked for. A hairpin reply goes to a loopback address: its own sender is meant. */
function targetAddress(ctx: Ctx, packet: Forwarding, hairpin: boolean): Address {
  const { family, status } = packet
  const at = status === ctStatus.REPLY && hairpin ? family.sourceAt : family.destinationAt
  return ctx.packet.copy(ethernetLength(ctx) + at, family.addressBytes)
}

/** A destination on this node: a code, or undefined where there is none. 'stack' for an address of the host. */
function toLocal(ctx: Ctx, packet: Forwarding, hairpin: boolean): number | 'stack' | undefined {
  const { ENABLE_ROUTING, ENABLE_HOST_ROUTING, ENABLE_HOST_FIREWALL } = ctx.node
  if (!ENABLE_ROUTING && !hairpin && !ENABLE_HOST_ROUTING) return undefined
  const endpoint = lookupEndpoint(ctx, packet.family, targetAddress(ctx, packet, hairpin))
  if (endpoint === undefined) return undefined
  if ((ENABLE_HOST_ROUTING || ENABLE_ROUTING) && isHostDelivery(endpoint)) {
    const policed = ENABLE_ROUTING && ENABLE_HOST_FIREWALL && packet.destination === identity.HOST_ID
    return policed ? redirectToHost(ctx, packet) : 'stack'
  }
  return localDelivery(ctx, packet.family, {
    l3Offset: ethernetLength(ctx),
    source: ctx.object.security_label,
    magic: mark.IDENTITY,
    endpoint,
    direction: metricDirection.EGRESS,
    fromHost: packet.fromL7Lb,
    fromTunnel: false,
    clusterId: 0,
  })
}

/** Through the tunnel: a code, or undefined where the packet does not go there. */
function toTunnel(ctx: Ctx, packet: Forwarding): number | 'stack' | undefined {
  const { node } = ctx
  const { state, status, remote, destination } = packet
  if (!node.TUNNEL_MODE || (!state.fromTunnel && packet.skipTunnel)) return undefined
  if (!node.ENABLE_NODEPORT && node.ENABLE_HOST_FIREWALL) {
    // a reply that the stack has to translate back before it can be routed
    const reply = status === ctStatus.REPLY || status === ctStatus.RELATED
    if (reply && isRemoteNode(destination)) return 'stack'
  }
  if (!remote?.hasTunnelEndpoint) return undefined
  return encapAndRedirect(ctx, {
    remote,
    source: ctx.object.security_label,
    destination,
    trace: packet.trace,
    etherType: packet.family.etherType,
  })
}

/** By the kernel's routing table, without its stack: a code, or 'stack' for an address of the host. */
function toNetwork(ctx: Ctx, packet: Forwarding): number | 'stack' {
  const { family, destination } = packet
  const options = { needsL2Check: false, useMap: false }
  const { result, oif } = fibRedirectPacket(ctx, family, ethernetLength(ctx), options)
  if (result === drop.NO_FIB && ctx.extErr === notForwarded) return 'stack'
  if (fibOk(ctx, result)) {
    const event = traceFrom(ctx, packet, tracePoint.TO_NETWORK, { destination, ifindex: oif })
    sendTrace(ctx, event, places[family.version].toNetwork)
  }
  return result
}

function toStack(ctx: Ctx, packet: Forwarding): number {
  const { family, destination } = packet
  if (!ctx.node.ENABLE_ROUTING && packet.fromL7Lb && ctx.ifindex !== ctx.node.CILIUM_HOST_IFINDEX) {
    return ctx.redirect(ctx.ifindex, 0)
  }
  const event = traceFrom(ctx, packet, tracePoint.TO_STACK, { destination })
  sendTrace(ctx, event, places[family.version].toStack)
  return ctx.act.OK
}

/** Decides where the packet goes. A tc code, or a drop reason. */
export function forwardToDestination(ctx: Ctx, packet: Forwarding): number {
  const { node } = ctx
  const { family, proxyPort } = packet
  const hairpin = packet.hairpin || packet.state.loopback
  if (!packet.fromL7Lb && proxyPort > 0) {
    const options = { destination: identity.UNKNOWN_ID, endpoint: proxyPort }
    const event = traceFrom(ctx, packet, tracePoint.TO_PROXY, options)
    sendTrace(ctx, event, places[family.version].toProxy)
    return redirectToProxy(ctx, packet.tuple, proxyPort, false)
  }
  if (node.ENABLE_HOST_FIREWALL && !node.ENABLE_ROUTING && packet.destination === identity.HOST_ID) {
    return deliverToHost(ctx)
  }
  if (node.ENABLE_IDENTITY_MARK) ctx.mark = identityMark(ctx.object.security_label, mark.IDENTITY)
  const way =
    toLocal(ctx, packet, hairpin) ??
    encapToVtep(ctx, packet.family, ctx.object.security_label, packet.trace) ??
    toTunnel(ctx, packet) ??
    (node.ENABLE_HOST_ROUTING ? toNetwork(ctx, packet) : 'stack')
  return way === 'stack' ? toStack(ctx, packet) : way
}
