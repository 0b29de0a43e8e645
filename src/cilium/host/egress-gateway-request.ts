// Egress gateway on the node of the pod: requests that a policy matches go through the tunnel to the gateway node.
// lib/egress_gateway.h egress_gw_handle_request()

import { ctExtractPorts, ctMapOf } from '../datapath/conntrack.ts'
import { ctIsReply } from '../datapath/ct-entries.ts'
import { ctDirection } from '../datapath/ct-state.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { egressGatewayWord, gatewayNumber, lookupEgressPolicy } from '../datapath/egress-gateway.ts'
import { encapAndRedirect } from '../datapath/encap.ts'
import { endpointFlag, lookupEndpoint } from '../datapath/endpoints.ts'
import { type Address, enabledFamily, type Family, ipv4, ipv6 } from '../datapath/family.ts'
import { ethernetLength, hasHeader, walkHeaders } from '../datapath/headers.ts'
import { identity, isClusterIdentity } from '../datapath/identity.ts'
import { lookupRemoteEndpoint, type RemoteEndpoint } from '../datapath/ipcache.ts'
import type { TraceContext } from '../datapath/notify.ts'
import { Tuple } from '../maps/tuple.ts'

/** egress_gw_handle_packet(), egress_gw_request_needs_redirect(): the gateway of a request; undefined for none, or a drop reason. */
function gatewayOf(ctx: Ctx, tuple: Tuple, destinationId: number): Address | number | undefined {
  if (isClusterIdentity(ctx.node, destinationId)) return undefined
  const policy = lookupEgressPolicy(ctx, tuple.family, tuple.saddr, tuple.daddr)
  if (policy === undefined) return undefined
  const gateway = gatewayNumber(policy.gateway)
  if (gateway === egressGatewayWord.NO_GATEWAY) return drop.NO_EGRESS_GATEWAY
  return gateway === egressGatewayWord.EXCLUDED_CIDR ? undefined : policy.gateway
}

/** The tuple of a packet that could be subject to a policy; undefined where it cannot, or a drop reason. */
function requestTuple(ctx: Ctx, family: Family): Tuple | number | undefined {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const tuple = new Tuple(family)
  tuple.nexthdr = walk.nexthdr
  tuple.daddr = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  tuple.saddr = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const ports = ctExtractPorts(ctx, tuple, {
    l3Offset,
    l4Offset: l3Offset + walk.length,
    fragment: walk.fragment,
    direction: ctDirection.EGRESS,
  })
  if (ports === drop.CT_UNKNOWN_PROTO) return undefined
  if (ports < 0) return ports
  return ctIsReply(ctx, ctMapOf(ctx, tuple), tuple) ? undefined : tuple
}

/** A tunnel endpoint that is no entry of the ipcache. */
function tunnelTo(address: Address): RemoteEndpoint {
  const tunnelEndpoint = new Uint8Array(ipv6.addressBytes)
  tunnelEndpoint.set(address)
  return {
    secIdentity: identity.UNKNOWN_ID,
    tunnelEndpoint,
    key: 0,
    skipTunnel: false,
    hasTunnelEndpoint: true,
    ipv6TunnelEndpoint: false,
    remoteCluster: false,
  }
}

/**
 * egress_gw_handle_request(): sends a request to its gateway node through the tunnel, where that is another node. CTX_ACT_OK
 * to go on, CTX_ACT_REDIRECT, or a drop reason.
 */
export function egressGatewayHandleRequest(
  ctx: Ctx,
  etherType: number,
  ids: { readonly source: number; readonly destination: number },
  trace: TraceContext,
): number {
  if (ids.source === identity.HOST_ID) return ctx.act.OK
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return ctx.act.OK
  const tuple = requestTuple(ctx, family)
  if (tuple === undefined) return ctx.act.OK
  if (typeof tuple === 'number') return tuple
  const source = lookupEndpoint(ctx, family, tuple.saddr)?.secId ?? ids.source
  const destination = lookupRemoteEndpoint(ctx, family, tuple.daddr)?.secIdentity ?? ids.destination
  const gateway = gatewayOf(ctx, tuple, destination)
  if (gateway === undefined) return ctx.act.OK
  if (typeof gateway === 'number') return gateway
  const local = lookupEndpoint(ctx, ipv4, gateway)
  if (local !== undefined && (local.flags & endpointFlag.HOST) !== 0) return ctx.act.OK
  return encapAndRedirect(ctx, { remote: tunnelTo(gateway), source, destination, trace, etherType })
}
