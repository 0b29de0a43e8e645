// Where a packet that a pod may send goes in Cilium 1.10: proxy, a pod of this node, the host, the tunnel, the network, or the
// stack. bpf_lxc.c handle_ipv4_from_lxc(), ipv6_l3_from_lxc()
import { redirectFlag } from '../../../bpf/helpers/redirect.ts'
import { readU32, writeU32 } from '../../../net/bytes.ts'
import type { Ctx } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { endpointFlag, lookupEndpoint } from '../../datapath/endpoints.ts'
import { macBytesOf } from '../../datapath/ethernet.ts'
import { ipv4, ipv6 } from '../../datapath/family.ts'
import { ethernetLength, hasHeader } from '../../datapath/headers.ts'
import { identity } from '../../datapath/identity.ts'
import { mark } from '../../datapath/mark.ts'
import { metricDirection } from '../../datapath/metrics.ts'
import { type TracePoint, tracePoint } from '../../datapath/trace-point.ts'
import { isReverse } from '../ct-state.ts'
import { lookupEgress } from '../egress-gateway.ts'
import { encapAndRedirectLxc } from '../encap.ts'
import { redirectDirect } from '../fib.ts'
import { isSet } from '../ipcache.ts'
import { markForEncryption } from '../ipsec.ts'
import { l3, localDelivery, setIdentityMark, tailCallPolicy } from '../l3.ts'
import { sendTrace } from '../notify.ts'
import { policyClearMark } from '../policy.ts'
import { redirectToProxy } from '../proxy.ts'
import { cb } from '../slots.ts'
import type { Outgoing } from './egress.ts'

const recomputeChecksum = 1
const version6 = 0x6000_0000
const trafficClass = 0x0ff0_0000

/** A way that was not taken: 'stack' hands the packet to the kernel, undefined asks for the next one. */
type Way = number | 'stack' | undefined

function trace(packet: Outgoing, point: TracePoint, destination: number, ifindex = 0): void {
  const { ctx, status, monitor } = packet
  const source = ctx.object.security_label
  sendTrace(ctx, { point, source, destination, ifindex, reason: status, monitor })
}

/** To the proxy that policy names. */
function toProxy(packet: Outgoing): number | undefined {
  const { ctx, tuple, verdict, status } = packet
  if (verdict <= 0 || isReverse(status)) return undefined
  trace(packet, tracePoint.TO_PROXY, 0)
  return redirectToProxy(ctx, tuple, verdict, false)
}

/** To a pod of this node, or to the node itself: then through the stack, or to the host firewall on cilium_net. */
function toLocal(packet: Outgoing): Way {
  const { ctx, family, destination } = packet
  const { ENABLE_ROUTING, ENABLE_HOST_FIREWALL, CILIUM_NET_IFINDEX } = ctx.node
  if (!ENABLE_ROUTING && !packet.hairpin && !packet.state.loopback) return undefined
  const at = ethernetLength(ctx) + family.destinationAt
  const endpoint = lookupEndpoint(ctx, family, ctx.packet.copy(at, family.addressBytes))
  if (endpoint === undefined) return undefined
  if (ENABLE_ROUTING && (endpoint.flags & endpointFlag.HOST) !== 0) {
    if (!ENABLE_HOST_FIREWALL || destination !== identity.HOST_ID) return 'stack'
    trace(packet, tracePoint.TO_HOST, identity.HOST_ID, CILIUM_NET_IFINDEX)
    return ctx.redirect(CILIUM_NET_IFINDEX, redirectFlag.BPF_F_INGRESS)
  }
  policyClearMark(ctx)
  const source = ctx.object.security_label
  const direction = metricDirection.EGRESS
  return localDelivery(ctx, family, { source, endpoint, direction, fromHost: false })
}

/** With a route for each endpoint, packets for the host do not pass cilium_net: its policy program is called. */
function toHostPolicy(packet: Outgoing): Way {
  const { ctx, destination } = packet
  const { ENABLE_HOST_FIREWALL, ENABLE_ROUTING } = ctx.node
  if (!ENABLE_HOST_FIREWALL || ENABLE_ROUTING || destination !== identity.HOST_ID) return undefined
  ctx.setMeta(cb.FROM_HOST, 0)
  return tailCallPolicy(ctx, ctx.object.host_ep_id)
}

/** Through the tunnel to the gateway that a policy of this pod names. */
function toEgressGateway(packet: Outgoing): Way {
  const { ctx, family, monitor } = packet
  if (!ctx.node.ENABLE_EGRESS_GATEWAY || family !== ipv4) return undefined
  const l3Offset = ethernetLength(ctx)
  const source = ctx.packet.copy(l3Offset + ipv4.sourceAt, ipv4.addressBytes)
  const destination = ctx.packet.copy(l3Offset + ipv4.destinationAt, ipv4.addressBytes)
  const info = lookupEgress(ctx, source, destination)
  if (info === undefined) return undefined
  // without a gateway the tunnel map is asked with an empty key
  const encapsulation = { source: ctx.object.security_label, monitor, key: packet.encryptKey }
  const none = new Uint8Array(family.addressBytes)
  const result = encapAndRedirectLxc(ctx, family, info.tunnelEndpoint, none, encapsulation)
  return result === ctx.act.OK ? traceToStack(packet) : result
}

/** Between pods WireGuard takes the place of the tunnel. */
function usesWireguard({ ctx, toRemotePod }: Outgoing): boolean {
  return ctx.node.ENABLE_WIREGUARD && toRemotePod
}

/** Through the tunnel, to the endpoint that the ipcache names or to that of the destination's prefix. */
function toTunnel(packet: Outgoing): Way {
  const { ctx, family, monitor, tunnelEndpoint } = packet
  if (!ctx.node.HAVE_ENCAP || usesWireguard(packet)) return undefined
  const at = ethernetLength(ctx) + family.destinationAt
  const destination = ctx.packet.copy(at, family.addressBytes)
  const encapsulation = { source: ctx.object.security_label, monitor, key: packet.encryptKey }
  const result = encapAndRedirectLxc(ctx, family, tunnelEndpoint, destination, encapsulation)
  // IPv6 that no tunnel leads to may still be redirected
  if (result === drop.NO_TUNNEL_ENDPOINT) return family === ipv4 ? 'stack' : undefined
  return result === ctx.act.OK ? traceToStack(packet) : result
}

function traceToStack(packet: Outgoing): number {
  trace(packet, tracePoint.TO_STACK, packet.destination)
  return packet.ctx.act.OK
}

/** ipv6_store_flowlabel(): the identity goes into the flow label, the traffic class stays. 0 or a drop reason. */
function storeFlowLabel(ctx: Ctx, label: number): number {
  const at = ethernetLength(ctx)
  const old = ctx.load(at, 4)
  if (old === undefined) return drop.INVALID
  writeU32(old, 0, (version6 | label | (readU32(old, 0) & trafficClass)) >>> 0)
  return ctx.store(at, old, recomputeChecksum) < 0 ? drop.WRITE_ERROR : 0
}

/** What the stack is told: how to encrypt, or else the pod's identity. */
function markForStack(packet: Outgoing): void {
  const { ctx, encryptKey, tunnelEndpoint } = packet
  const { ENABLE_WIREGUARD, HAVE_ENCAP, ENABLE_IDENTITY_MARK } = ctx.node
  if (usesWireguard(packet)) {
    ctx.mark |= mark.ENCRYPT
    return
  }
  const leads = tunnelEndpoint !== undefined && isSet(tunnelEndpoint)
  if (!ENABLE_WIREGUARD && !HAVE_ENCAP && encryptKey !== 0 && leads) markForEncryption(ctx, encryptKey)
  else if (ENABLE_IDENTITY_MARK) setIdentityMark(ctx, ctx.object.security_label)
}

/** To the stack, with one hop less to live where the pods' routes lead here, and marked with the pod's identity. */
function passToStack(packet: Outgoing): number {
  const { ctx, family } = packet
  const { security_label, interface_mac } = ctx.object
  if (ctx.node.ENABLE_ROUTING) {
    const macs = { source: undefined, destination: macBytesOf(interface_mac) }
    const hop = l3(ctx, family, macs, metricDirection.EGRESS)
    if (hop !== ctx.act.OK) return hop
  }
  if (family === ipv6 && storeFlowLabel(ctx, security_label) < 0) return drop.WRITE_ERROR
  markForStack(packet)
  return traceToStack(packet)
}

/** Decides where the packet goes. A tc code, or a drop reason. */
export function forward(packet: Outgoing): number {
  const { ctx, family } = packet
  const proxied = toProxy(packet)
  if (proxied !== undefined) return proxied
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return drop.INVALID
  const way =
    toLocal(packet) ??
    toHostPolicy(packet) ??
    toEgressGateway(packet) ??
    toTunnel(packet) ??
    (ctx.node.ENABLE_HOST_ROUTING ? redirectDirect(ctx, family) : 'stack')
  return way === 'stack' ? passToStack(packet) : way
}
