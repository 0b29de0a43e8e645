// Egress gateway: connections of chosen pods to chosen places outside of the cluster leave through a chosen node, with an
// address of that node. lib/egress_gateway.h
import { readLe32, writeLe32 } from '../../bpf/context/byte-order.ts'
import { fibBytes } from '../../bpf/context/structs.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { type Address, type Family, ipv4 } from './family.ts'
import {
  fibDevice,
  fibDoRedirect,
  fibFound,
  fibLookup,
  fibParams,
  fillFibParams,
  resolvesWithoutNextHop,
} from './fib.ts'
import { isClusterIdentity } from './identity.ts'
import { lookupRemoteEndpoint, type RemoteEndpoint } from './ipcache.ts'

/** gateway_ip that is no address: no gateway was found, or the destination is exempt. */
export const egressGatewayWord = { NO_GATEWAY: 0, EXCLUDED_CIDR: 1 } as const

/** struct egress_gw_policy_entry, egress_gw_policy_entry6 */
export interface EgressPolicy {
  readonly egressAddress: Address
  /** An IPv4 address in either family. */
  readonly gateway: Address
  /** 0: by the routing table. */
  readonly egressIfindex: number
}

const prefixBytes = 4
const gatewayAt = { 4: 4, 6: 16 } as const
const egressIfindexAt6 = 32

/** Whether no address was set: all bytes are 0. */
export function egressGatewayIsUnset(address: Address): boolean {
  return address.every((byte) => byte === 0)
}

/** gateway_ip as a number, for its special values. */
export function gatewayNumber(gateway: Address): number {
  const [a, b, c, d] = gateway as unknown as [number, number, number, number]
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
}

/** lookup_ip4_egress_gw_policy(), lookup_ip6_egress_gw_policy(): exact source, longest prefix of the destination. */
export function lookupEgressPolicy(
  ctx: Ctx,
  family: Family,
  source: Address,
  destination: Address,
): EgressPolicy | undefined {
  if (!ctx.node.ENABLE_EGRESS_GATEWAY) return undefined
  const { addressBytes, version } = family
  const key = new Uint8Array(prefixBytes + addressBytes * 2)
  writeLe32(key, 0, addressBytes * 16)
  key.set(source, prefixBytes)
  key.set(destination, prefixBytes + addressBytes)
  const map = version === 4 ? ctx.maps.cilium_egress_gw_policy_v4 : ctx.maps.cilium_egress_gw_policy_v6
  const value = ctx.lookup(map, key)
  if (value === undefined) return undefined
  return {
    egressAddress: value.slice(0, addressBytes),
    gateway: value.slice(gatewayAt[version], gatewayAt[version] + 4),
    egressIfindex: version === 4 ? 0 : readLe32(value, egressIfindexAt6),
  }
}

/** A policy that names a gateway. */
function activePolicy(
  ctx: Ctx,
  family: Family,
  source: Address,
  destination: Address,
): EgressPolicy | undefined {
  const policy = lookupEgressPolicy(ctx, family, source, destination)
  if (policy === undefined) return undefined
  const { NO_GATEWAY, EXCLUDED_CIDR } = egressGatewayWord
  const gateway = gatewayNumber(policy.gateway)
  return gateway === NO_GATEWAY || gateway === EXCLUDED_CIDR ? undefined : policy
}

function leavesCluster(ctx: Ctx, family: Family, destination: Address): boolean {
  const remote = lookupRemoteEndpoint(ctx, family, destination)
  return remote === undefined || !isClusterIdentity(ctx.node, remote.secIdentity)
}

/** egress_gw_snat_needed_hook(): the policy by which this packet's source is translated on this node. */
export function egressGatewaySnatNeeded(
  ctx: Ctx,
  family: Family,
  source: Address,
  destination: Address,
): EgressPolicy | undefined {
  return leavesCluster(ctx, family, destination) ? activePolicy(ctx, family, source, destination) : undefined
}

/** egress_gw_reply_needs_redirect_hook(): where a reply, its destination being a pod again, goes through the tunnel. */
export function egressGatewayReplyTarget(
  ctx: Ctx,
  family: Family,
  source: Address,
  destination: Address,
): RemoteEndpoint | undefined {
  if (activePolicy(ctx, family, destination, source) === undefined) return undefined
  const remote = lookupRemoteEndpoint(ctx, family, destination)
  if (remote === undefined) return undefined
  const reachable =
    family.version === 4
      ? remote.hasTunnelEndpoint
      : !egressGatewayIsUnset(remote.tunnelEndpoint.subarray(0, ipv4.addressBytes))
  return reachable ? remote : undefined
}

/**
 * A question for the route. That of IPv6 is kept in fib_params_storage, which nothing clears: what the answer before left there,
 * an MTU as the length of the packet, is asked again.
 */
function routeParams(ctx: Ctx, family: Family, source: Address, destination: Address): Uint8Array {
  const kept = family.version === 4 ? undefined : ctx.lookup(ctx.maps.fibParams6, new Uint8Array(4))
  if (kept === undefined) return fibParams(ctx, family, source, destination)
  return fillFibParams(kept.subarray(0, fibBytes), ctx, family, source, destination)
}

/** egress_gw_fib_lookup_and_redirect(): CTX_ACT_OK where the packet is on the right device already. */
export function egressGatewayFibRedirect(
  ctx: Ctx,
  family: Family,
  egressAddress: Address,
  destination: Address,
  egressIfindex: number,
): number {
  if (egressIfindex !== 0 && resolvesWithoutNextHop(ctx)) return ctx.redirectNeigh(egressIfindex, undefined)
  const params = routeParams(ctx, family, egressAddress, destination)
  const result = fibLookup(ctx, params)
  if (!fibFound(result)) {
    ctx.extErr = result
    return drop.NO_FIB
  }
  const oif = egressIfindex === 0 ? fibDevice(params) : egressIfindex
  if (ctx.object.kind === 'bpf_host' && oif === ctx.ifindex) return ctx.act.OK
  return fibDoRedirect(ctx, params, result, oif, { needsL2Check: true, useMap: false })
}
