// Tunnelling a packet of a service or its reply. In tc the tunnel device adds the header; in XDP there is none, so it is
// written here. lib/nodeport.h nodeport_add_tunnel_encap(), lib/overloadable_xdp.h ctx_set_encap_info4()
import { writeLe16 } from '../../bpf/context/byte-order.ts'
import { writeU16, writeU32 } from '../../net/bytes.ts'
import { foldSum } from '../../net/checksum.ts'
import type { Tuple } from '../maps/tuple.ts'
import { tunnelProtocol } from './config.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { encapAndRedirect, encapPlace } from './encap.ts'
import { type Address, type Family, ipv4 } from './family.ts'
import { addL2Header, isL3Device } from './fib.ts'
import { identity, tunnelIdOf } from './identity.ts'
import type { RemoteEndpoint } from './ipcache.ts'
import { ipv4ChecksumAt } from './l4.ts'
import { sendTrace, type TraceContext } from './notify.ts'
import { tracePoint } from './trace-point.ts'
import { hashFromTuple } from './tuple-hash.ts'

const ethernetBytes = 14
const udpBytes = 8
const tunnelBytes = 8
const outerBytes = ethernetBytes + ipv4.headerBytes + udpBytes + tunnelBytes
const vxlanHasVni = 0x0800_0000
const transparentEthernet = 0x6558
const ttl = 64

/** What is encapsulated and where to. */
export interface TunnelEncap {
  readonly remote: RemoteEndpoint
  /** The identity that the tunnel carries. */
  readonly source: number
  readonly trace: TraceContext
  /** Geneve options. */
  readonly options?: Uint8Array
}

/** The outer source address in XDP; in tc the kernel chooses. */
export function sourceOfTunnel(ctx: Ctx): Address {
  return ctx.node.IPV4_DIRECT_ROUTING ?? new Uint8Array(ipv4.addressBytes)
}

/** Whether an endpoint is one: IPv4 asks its address besides the flag, and routes what has none. */
export function leadsSomewhere(family: Family, { tunnelEndpoint }: RemoteEndpoint): boolean {
  return family.version === 6 || tunnelEndpoint.subarray(0, ipv4.addressBytes).some((byte) => byte !== 0)
}

/** hash_from_tuple_v4(), hash_from_tuple_v6(), folded to a port by tunnel_gen_src_port_v4(): as a number of network order. */
export function tunnelSourcePort(ctx: Ctx, tuple: Tuple): number {
  const hash = hashFromTuple(ctx, tuple)
  return ((hash >>> 16) ^ hash) & 0xffff
}

/** An outer IPv4, UDP and VXLAN or Geneve header in front of the packet. CTX_ACT_REDIRECT or a drop reason. */
function writeOuterHeaders(ctx: Ctx, tuple: Tuple, encap: TunnelEncap, sourceId: number): number {
  const inner = ctx.length
  const { options = new Uint8Array(0), remote } = encap
  const port = tunnelSourcePort(ctx, tuple)
  const size = outerBytes + options.length
  if (ctx.adjustRoom(size, 0, 0) !== 0) return drop.INVALID
  if (options.length > 0 && ctx.node.TUNNEL_PROTOCOL !== tunnelProtocol.geneve) return drop.INVALID
  const bytes = new Uint8Array(size)
  writeU16(bytes, ethernetBytes - 2, ipv4.etherType)
  const ip = bytes.subarray(ethernetBytes)
  const udpLength = size - ethernetBytes - ipv4.headerBytes + inner
  ip[0] = 0x45
  writeU16(ip, 2, ipv4.headerBytes + udpLength)
  ip[ipv4.ttlAt] = ttl
  ip[ipv4.protocolAt] = 17
  ip.set(sourceOfTunnel(ctx), ipv4.sourceAt)
  ip.set(remote.tunnelEndpoint.subarray(0, 4), ipv4.destinationAt)
  let sum = 0
  for (let at = 0; at < ipv4.headerBytes; at += 2) sum += ((ip[at] as number) << 8) | (ip[at + 1] as number)
  writeU16(ip, ipv4ChecksumAt, ~foldSum(sum) & 0xffff)
  const udp = ip.subarray(ipv4.headerBytes)
  writeLe16(udp, 0, port)
  writeU16(udp, 2, ctx.node.TUNNEL_PORT)
  writeU16(udp, 4, udpLength)
  writeTunnelHeader(ctx, udp.subarray(udpBytes), sourceId, options)
  return ctx.store(0, bytes) < 0 ? drop.INVALID : ctx.act.REDIRECT
}

function writeTunnelHeader(ctx: Ctx, header: Uint8Array, sourceId: number, options: Uint8Array): void {
  if (ctx.node.TUNNEL_PROTOCOL === tunnelProtocol.geneve) {
    header[0] = options.length / 4
    writeU16(header, 2, transparentEthernet)
    header.set(options, tunnelBytes)
  } else writeU32(header, 0, vxlanHasVni)
  writeU32(header, 4, (tunnelIdOf(ctx.node, sourceId) << 8) >>> 0)
}

/**
 * nodeport_add_tunnel_encap(): in tc the packet is redirected to the tunnel device; in XDP it has its outer header, without
 * Ethernet addresses, and is still to be sent. CTX_ACT_REDIRECT or a drop reason. `tuple` gives the outer source port.
 */
export function addTunnelEncap(ctx: Ctx, tuple: Tuple, encap: TunnelEncap): number {
  const { remote, source, trace, options } = encap
  const etherType = tuple.family.etherType
  if (isL3Device(ctx)) {
    const added = addL2Header(ctx)
    if (added !== 0) return added
  }
  const destination = remote.secIdentity
  if (!ctx.isXdp) return encapAndRedirect(ctx, { remote, source, destination, trace, etherType, options })
  const sourceId = source === identity.HOST_ID ? identity.LOCAL_NODE_ID : source
  const event = {
    point: tracePoint.TO_OVERLAY,
    source: sourceId,
    destination,
    endpoint: 0,
    ifindex: 0,
    reason: trace.reason,
    monitor: trace.monitor,
    etherType,
  }
  sendTrace(ctx, event, encapPlace(remote.ipv6TunnelEndpoint, options !== undefined))
  // an IPv6 underlay and XDP exclude each other
  return remote.ipv6TunnelEndpoint ? 0 : writeOuterHeaders(ctx, tuple, encap, sourceId)
}
