// Packets that a node of 1.10 receives, from a native device or from its own stack by way of cilium_host, on their way to a
// pod: services, host firewall, local delivery, tunnel. bpf_host.c handle_ipv4(), handle_ipv6()
import { type Ctx, isError } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { endpointFlag, lookupEndpoint } from '../../datapath/endpoints.ts'
import { macBytesOf, storeDestinationMac } from '../../datapath/ethernet.ts'
import { type Family, ipv4 } from '../../datapath/family.ts'
import { fragmentInfo4 } from '../../datapath/fragments.ts'
import { ethernetLength, hasHeader } from '../../datapath/headers.ts'
import { identity } from '../../datapath/identity.ts'
import { metricDirection } from '../../datapath/metrics.ts'
import type { ObjectProgram } from '../../datapath/object.ts'
import { skipHostFirewall, skipNodeport, xferFlag, xferFlagsWord } from '../../datapath/overloadable.ts'
import type { Origin } from '../../host/forward.ts'
import { SKIP_HOST_FIREWALL } from '../../host/icmp6.ts'
import { encapAndRedirectFromHost, encapAndRedirectNetdev } from '../encap.ts'
import { walkHeaders } from '../headers.ts'
import { hostPolicyEgress, hostPolicyIngress } from '../host-firewall.ts'
import { handleIcmp6AtHost } from '../icmp6.ts'
import { isSet, lookupRemoteEndpoint } from '../ipcache.ts'
import { askForEncryption, encryptKeyOf } from '../ipsec.ts'
import { localDelivery } from '../l3.ts'
import { nodeportLb } from '../nodeport.ts'
import { sendDrop } from '../notify.ts'
import { call, cb } from '../slots.ts'

/** The slots of the main path, by family. */
export const hostCalls = {
  4: { fromHost: call.IPV4_FROM_HOST, fromNetdev: call.IPV4_FROM_LXC },
  6: { fromHost: call.IPV6_FROM_HOST, fromNetdev: call.IPV6_FROM_LXC },
} as const

/** What stands before everything else: fragments of IPv4, ICMPv6. 0 to go on, SKIP_HOST_FIREWALL, or what ends the program. */
function precheck(ctx: Ctx, family: Family): number {
  const l3Offset = ethernetLength(ctx)
  if (family === ipv4) {
    if (ctx.node.ENABLE_IPV4_FRAGMENTS) return 0
    return fragmentInfo4(ctx, l3Offset).isFragment ? drop.FRAG_NOSUPPORT : 0
  }
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  return walk.nexthdr === family.icmp ? handleIcmp6AtHost(ctx, l3Offset) : 0
}

/** nodeport_lb4(), unless XDP or an earlier round has asked. 0 to go on, or a drop reason. */
function askForService(ctx: Ctx, family: Family, source: number): number {
  if (ctx.transfer(xferFlagsWord) === xferFlag.PKT_NO_SVC || skipNodeport(ctx)) return 0
  return Math.min(nodeportLb(ctx, family, source), 0)
}

/** The host firewall for both ways. CTX_ACT_OK or a drop reason. */
function hostFirewall(ctx: Ctx, family: Family, origin: Origin): number {
  const { source, ipcacheSource, fromHost } = origin
  if (!ctx.node.ENABLE_HOST_FIREWALL) return ctx.act.OK
  if (fromHost) return hostPolicyEgress(ctx, family, source, ipcacheSource)
  // whom the ipcache does not know is of the world in IPv6, and nobody in IPv4
  const unknown = family === ipv4 ? identity.UNKNOWN_ID : identity.WORLD_ID
  return skipHostFirewall(ctx) ? ctx.act.OK : hostPolicyIngress(ctx, family, unknown).verdict
}

/**
 * NO_REDIRECT without ENABLE_REDIRECT_FAST: what a device receives goes to the stack, so that conntrack of netfilter sees
 * requests and replies. Only a kernel without netfilter would have the redirect made.
 */
function skipsRedirect(ctx: Ctx, fromHost: boolean): boolean {
  return ctx.node.ENABLE_NODEPORT && !fromHost && !ctx.node.ENABLE_HOST_ROUTING
}

/** Through the tunnel to where the ipcache or the tunnel map lead. DROP_NO_TUNNEL_ENDPOINT: nowhere. */
function toTunnel(ctx: Ctx, family: Family, source: number): number {
  const destination = ctx.packet.copy(ethernetLength(ctx) + family.destinationAt, family.addressBytes)
  const monitor = ctx.node.trace_payload_len
  const remote = lookupRemoteEndpoint(ctx, family, destination)
  if (remote !== undefined && isSet(remote.tunnelEndpoint)) {
    return encapAndRedirectFromHost(ctx, remote.tunnelEndpoint, { source, monitor, key: remote.key })
  }
  return encapAndRedirectNetdev(ctx, family, destination, { source, monitor })
}

/** Where a packet of the host goes that is for no pod of this node. */
function toRemote(ctx: Ctx, family: Family, source: number): number {
  if (ctx.node.HAVE_ENCAP) {
    const result = toTunnel(ctx, family, source)
    if (result !== drop.NO_TUNNEL_ENDPOINT) return result
  }
  const destination = ctx.packet.copy(ethernetLength(ctx) + family.destinationAt, family.addressBytes)
  const remote = lookupRemoteEndpoint(ctx, family, destination)
  if (remote === undefined || remote.secIdentity === identity.WORLD_ID) return drop.UNROUTABLE
  if (ctx.node.ENABLE_IPSEC && remote.key !== 0 && isSet(remote.tunnelEndpoint)) {
    askForEncryption(ctx, encryptKeyOf(ctx, remote.key), source)
  }
  return ctx.act.OK
}

/** The half behind the host firewall. */
function deliver(ctx: Ctx, family: Family, { source, fromHost }: Origin): number {
  if (fromHost && storeDestinationMac(ctx, macBytesOf(ctx.node.CILIUM_NET_MAC)) < 0) {
    const event = { source, direction: metricDirection.INGRESS, exitCode: ctx.act.OK }
    sendDrop(ctx, drop.WRITE_ERROR, event)
  }
  const at = ethernetLength(ctx) + family.destinationAt
  const endpoint = lookupEndpoint(ctx, family, ctx.packet.copy(at, family.addressBytes))
  if (endpoint === undefined) return fromHost ? toRemote(ctx, family, source) : ctx.act.OK
  if ((endpoint.flags & endpointFlag.HOST) !== 0) return ctx.act.OK
  return localDelivery(ctx, family, { source, endpoint, direction: metricDirection.INGRESS, fromHost })
}

/** handle_ipv4(), handle_ipv6(): a code or a drop reason. */
function handle(ctx: Ctx, family: Family, origin: Origin): number {
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return drop.INVALID
  const checked = precheck(ctx, family)
  if (checked === SKIP_HOST_FIREWALL) return deliver(ctx, family, origin)
  if (isError(ctx, checked)) return checked
  if (ctx.node.ENABLE_NODEPORT && !origin.fromHost) {
    const asked = askForService(ctx, family, origin.source)
    if (asked < 0) return asked
  }
  const allowed = hostFirewall(ctx, family, origin)
  if (isError(ctx, allowed)) return allowed
  return skipsRedirect(ctx, origin.fromHost) ? ctx.act.OK : deliver(ctx, family, origin)
}

/** tail_handle_ipv4(), tail_handle_ipv6() */
function tailHandle(ctx: Ctx, family: Family, fromHost: boolean): number {
  const { ENABLE_HOST_FIREWALL, ENABLE_MASQUERADE_IPV4 } = ctx.node
  const passesLabel = fromHost && family === ipv4 && ENABLE_HOST_FIREWALL && !ENABLE_MASQUERADE_IPV4
  const ipcacheSource = passesLabel ? ctx.takeMeta(cb.IPCACHE_SRC_LABEL) : 0
  const source = ctx.takeMeta(cb.SRC_LABEL)
  const result = handle(ctx, family, { source, ipcacheSource, fromHost })
  if (!isError(ctx, result)) return result
  return sendDrop(ctx, result, { source, direction: metricDirection.INGRESS })
}

/** The tail calls of one family of the main path. */
export function hostForwardTails(family: Family): [number, ObjectProgram][] {
  const name = `tail_handle_ipv${family.version}`
  const { fromHost, fromNetdev } = hostCalls[family.version]
  return [
    [fromHost, { symbol: `${name}_from_host`, run: (ctx) => tailHandle(ctx, family, true) }],
    [fromNetdev, { symbol: `${name}_from_netdev`, run: (ctx) => tailHandle(ctx, family, false) }],
  ]
}
