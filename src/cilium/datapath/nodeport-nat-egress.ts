// The request to a backend on another node leaves with this node as its source, so that the reply comes back here: in the tunnel
// with the router's address, otherwise with that of the node. lib/nodeport.h tail_nodeport_nat_egress_ipv4(), its IPv6 sibling
import { tupleFlag } from '../maps/tuple.ts'
import { routerAddress } from './config.ts'
import { ctStatus } from './ct-state.ts'
import { type Ctx, cb, isError } from './ctx.ts'
import { drop, type Where, where } from './drop-reason.ts'
import { type Address, type Family, ipv4 } from './family.ts'
import { fibOk, fibParams, fibRedirect, noMacs } from './fib.ts'
import { ethernetLength, hasHeader, walkHeaders } from './headers.ts'
import { identity, worldId } from './identity.ts'
import { lookupRemoteEndpoint, type RemoteEndpoint } from './ipcache.ts'
import { l3 } from './l3.ts'
import { portAt } from './l4.ts'
import { lbExtractTuple, lbTuple } from './lb.ts'
import { metricDirection } from './metrics.ts'
import { snatByMapping } from './nat.ts'
import { newNatTarget, type PacketPlace } from './nat-mapping.ts'
import { addTunnelEncap, leadsSomewhere, sourceOfTunnel } from './nodeport-encap.ts'
import { sendDrop, type TraceContext } from './notify.ts'
import type { ObjectProgram } from './object.ts'
import { snatDoneSet } from './overloadable.ts'
import { call } from './tail-calls.ts'

export const natEgressSlot = {
  4: call.IPV4_NODEPORT_NAT_EGRESS,
  6: call.IPV6_NODEPORT_NAT_EGRESS,
} as const
const natEgressDrop: Readonly<Record<4 | 6, Where>> = {
  4: where('nodeport.h', 2742),
  6: where('nodeport.h', 1358),
}

/** The tunnel that a backend is reached through, or would be if it led anywhere. */
function tunnelTo(ctx: Ctx, family: Family, l3Offset: number): RemoteEndpoint | undefined {
  if (!ctx.node.TUNNEL_MODE) return undefined
  const address = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const remote = lookupRemoteEndpoint(ctx, family, address)
  return remote?.hasTunnelEndpoint === true && !remote.skipTunnel ? remote : undefined
}

function nodeAddress(ctx: Ctx, family: Family): Address {
  const { IPV4_DIRECT_ROUTING, IPV6_DIRECT_ROUTING } = ctx.node
  const address = family.version === 4 ? IPV4_DIRECT_ROUTING : IPV6_DIRECT_ROUTING
  return address ?? new Uint8Array(family.addressBytes)
}

/** The request leaves with this node as its source: a routing hop, SNAT, tunnel or route. A code or a drop reason. */
function natEgress(ctx: Ctx, family: Family, tunnelSource: number): number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const place: PacketPlace = { l3Offset, l4Offset: l3Offset + walk.length, fragment: walk.fragment }
  const trace: TraceContext = { reason: ctStatus.NEW, monitor: ctx.node.trace_payload_len }
  const tunnel = tunnelTo(ctx, family, l3Offset)
  const target = newNatTarget(ctx, family)
  target.address = tunnel === undefined ? nodeAddress(ctx, family) : routerAddress(ctx.node, family.version)
  const tuple = lbTuple(family, walk.nexthdr)
  const extracted = lbExtractTuple(ctx, tuple, place)
  if (isError(ctx, extracted)) return extracted
  tuple.swapPorts()
  tuple.flags = tupleFlag.OUT
  const hop = l3(ctx, family, l3Offset, noMacs, metricDirection.EGRESS)
  if (hop !== 0) return hop
  const options = { portAt: portAt.source, update: true, trace }
  const translated = snatByMapping(ctx, tuple, place, target, options)
  if (isError(ctx, translated)) return translated
  snatDoneSet(ctx)
  if (tunnel !== undefined && leadsSomewhere(family, tunnel)) {
    const encapsulated = addTunnelEncap(ctx, tuple, { remote: tunnel, source: tunnelSource, trace })
    if (isError(ctx, encapsulated) || !ctx.isXdp) return encapsulated
    const outer = tunnel.tunnelEndpoint.slice(0, ipv4.addressBytes)
    return fibRedirect(ctx, fibParams(ctx, ipv4, sourceOfTunnel(ctx), outer), false)
  }
  const source = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const destination = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  return fibRedirect(ctx, fibParams(ctx, family, source, destination), false)
}

/** tail_nodeport_nat_egress_ipv4(), tail_nodeport_nat_egress_ipv6() */
function tailNatEgress(ctx: Ctx, family: Family): number {
  const four = family.version === 4
  const source = four && ctx.node.TUNNEL_MODE ? ctx.meta(cb.SRC_LABEL) : worldId(ctx.node, family)
  const result = natEgress(ctx, family, source)
  if (fibOk(ctx, result)) return result
  const event = { source: identity.UNKNOWN_ID, direction: metricDirection.EGRESS }
  return sendDrop(ctx, result, event, natEgressDrop[family.version])
}

/** Slot NAT_EGRESS of one family. */
export function natEgressTail(family: Family): [number, ObjectProgram] {
  const symbol = `tail_nodeport_nat_egress_ipv${family.version}`
  return [natEgressSlot[family.version], { symbol, run: (ctx) => tailNatEgress(ctx, family) }]
}
