// Sending a packet through the tunnel device. lib/encap.h, lib/overloadable_skb.h ctx_set_encap_info4()
import { readLe32, writeLe32 } from '../../bpf/context/byte-order.ts'
import { tunnelKeyAt } from '../../bpf/context/structs.ts'
import { tunnelFlag } from '../../bpf/helpers/tunnel.ts'
import { readU32 } from '../../net/bytes.ts'
import type { Ctx } from './ctx.ts'
import { drop, type Where, where } from './drop-reason.ts'
import { identity, tunnelIdOf } from './identity.ts'
import type { RemoteEndpoint } from './ipcache.ts'
import { sendTrace, type TraceContext } from './notify.ts'
import { tracePoint } from './trace-point.ts'

const encapsulated4 = where('encap.h', 36)
const encapsulated6 = where('encap.h', 61)
const withOptions4 = where('encap.h', 165)
const withOptions6 = where('encap.h', 192)

/** struct bpf_tunnel_key up to local_ipv4: TUNNEL_KEY_WITHOUT_SRC_IP. */
const keyBytes = 28
const IPDEFTTL = 64
const { BPF_F_ZERO_CSUM_TX, BPF_F_TUNINFO_IPV6 } = tunnelFlag

/** Where the trace of an encapsulation stands in the source. */
export function encapPlace(ipv6Underlay: boolean, hasOptions: boolean): Where {
  if (hasOptions) return ipv6Underlay ? withOptions6 : withOptions4
  return ipv6Underlay ? encapsulated6 : encapsulated4
}

/** Tells a tunnel device the far end, 4 or 16 bytes. Below 0: it could not. `tunnelId` is a VNI. */
function setTunnelKey(ctx: Ctx, remote: Uint8Array, tunnelId: number, flags: number): number {
  const key = new Uint8Array(keyBytes)
  writeLe32(key, tunnelKeyAt.tunnel_id, tunnelId)
  key[tunnelKeyAt.tunnel_ttl] = IPDEFTTL
  // the helper wants IPv4 addresses in host order
  if (remote.length === 4) writeLe32(key, tunnelKeyAt.remote, readU32(remote, 0))
  else key.set(remote, tunnelKeyAt.remote)
  return ctx.setTunnelKey(key, flags)
}

/** dsr_set_ipip4_dev(), dsr_set_ipip6_dev(): the far end of an IPIP device. Below 0: it could not. */
export function setIpipTunnel(ctx: Ctx, remote: Uint8Array): number {
  const six = remote.length === 4 ? 0 : BPF_F_TUNINFO_IPV6
  return setTunnelKey(ctx, remote, tunnelIdOf(ctx.node, 0), BPF_F_ZERO_CSUM_TX | six)
}

/** ctx_set_encap_info4() with an IPv4 far end: below 0 it could not. `tunnelId` is a VNI. */
export function setTunnelKey4(ctx: Ctx, remote: Uint8Array, tunnelId: number): number {
  return setTunnelKey(ctx, remote, tunnelId, BPF_F_ZERO_CSUM_TX)
}

/** ctx_set_encap_info4(), ctx_set_encap_info6(): CTX_ACT_REDIRECT or DROP_WRITE_ERROR. */
function setEncapInfo(
  ctx: Ctx,
  remote: RemoteEndpoint,
  tunnelId: number,
  options: Uint8Array | undefined,
): number {
  const { ipv6TunnelEndpoint, tunnelEndpoint } = remote
  const set = ipv6TunnelEndpoint
    ? setTunnelKey(ctx, tunnelEndpoint, tunnelId, BPF_F_TUNINFO_IPV6)
    : setTunnelKey4(ctx, tunnelEndpoint.subarray(0, 4), tunnelId)
  if (set < 0) return drop.WRITE_ERROR
  if (options !== undefined && ctx.setTunnelOptions(options) < 0) return drop.WRITE_ERROR
  return ctx.act.REDIRECT
}

/** What an encapsulation is told. */
export interface Encapsulation {
  readonly remote: RemoteEndpoint
  /** Identities of both ends; HOST as source becomes that of a remote node. */
  readonly source: number
  readonly destination: number
  readonly trace: TraceContext
  readonly etherType: number
  /** The VNI for a foreign tunnel endpoint (VTEP); else the source's identity is sent. */
  readonly vni?: number
  /** Geneve options. */
  readonly options?: Uint8Array | undefined
}

/**
 * __encap_and_redirect_with_nodeid(), encap_and_redirect_lxc(): traces, tells the tunnel device where to send the packet, and
 * redirects there. CTX_ACT_REDIRECT or a drop reason.
 */
export function encapAndRedirect(ctx: Ctx, encapsulation: Encapsulation): number {
  const { remote, destination, trace, etherType } = encapsulation
  const { ENCAP_IFINDEX, ENABLE_VTEP } = ctx.node
  const source = encapsulation.source === identity.HOST_ID ? identity.LOCAL_NODE_ID : encapsulation.source
  const event = {
    point: tracePoint.TO_OVERLAY,
    source,
    destination,
    endpoint: 0,
    ifindex: ENCAP_IFINDEX,
    reason: trace.reason,
    monitor: trace.monitor,
    etherType,
  }
  const { vni = 0, options } = encapsulation
  sendTrace(ctx, event, encapPlace(remote.ipv6TunnelEndpoint, options !== undefined))
  const foreign = ENABLE_VTEP && vni !== 0 && !remote.ipv6TunnelEndpoint
  const result = setEncapInfo(ctx, remote, tunnelIdOf(ctx.node, foreign ? vni : source), options)
  return result === ctx.act.REDIRECT ? ctx.redirect(ENCAP_IFINDEX, 0) : result
}

/** The tunnel id that a packet came or goes with; undefined where it has none. `flags` as for bpf_skb_get_tunnel_key. */
function tunnelIdBy(ctx: Ctx, flags: number): number | undefined {
  const key = new Uint8Array(keyBytes)
  return ctx.tunnelKey(key, flags) < 0 ? undefined : readLe32(key, tunnelKeyAt.tunnel_id)
}

/** get_tunnel_key(): of a packet from an IPv4 or IPv6 underlay. */
export function tunnelIdOfPacket(ctx: Ctx): number | undefined {
  const { ENABLE_IPV4, ENABLE_IPV6 } = ctx.node
  const id = ENABLE_IPV4 ? tunnelIdBy(ctx, 0) : undefined
  return id === undefined && ENABLE_IPV6 ? tunnelIdBy(ctx, BPF_F_TUNINFO_IPV6) : id
}

/** ctx_get_tunnel_key() as cil_to_overlay asks: IPv4 underlay only. */
export function tunnelId4(ctx: Ctx): number | undefined {
  return tunnelIdBy(ctx, 0)
}
