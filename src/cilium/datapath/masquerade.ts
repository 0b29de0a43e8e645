// Which packets that leave through a native device are masqueraded: the order of questions is the order of Cilium, and
// the first that answers decides (facts 4.4). lib/nat.h snat_v4_needs_masquerade(), __snat_v6_needs_masquerade()
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import type { Tuple } from '../maps/tuple.ts'
import type { Cidr } from './config.ts'
import { ctExtractPorts, ctMapOf } from './conntrack.ts'
import { ctIsReply } from './ct-entries.ts'
import { ctDirection } from './ct-state.ts'
import { type Ctx, isError } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { egressGatewayIsUnset, egressGatewaySnatNeeded } from './egress-gateway.ts'
import { type EndpointInfo, endpointMask, lookupEndpoint } from './endpoints.ts'
import { type Address, type Family, sameAddress } from './family.ts'
import { isRemoteNode } from './identity.ts'
import { lookupRemoteEndpoint } from './ipcache.ts'
import { NAT_PUNT_TO_STACK } from './nat-embedded.ts'
import type { NatTarget, PacketPlace } from './nat-mapping.ts'

/** NAT_NEEDED: CTX_ACT_OK. */
export const NAT_NEEDED = 0

/** Whether an address lies in a prefix. */
export function isInSubnet(address: Address, prefix: Cidr): boolean {
  if (address.length !== prefix.address.length) return false
  for (let at = 0, left = prefix.length; left > 0; at += 1, left -= 8) {
    const mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff
    if ((((address[at] as number) ^ (prefix.address[at] as number)) & mask) !== 0) return false
  }
  return true
}

function masqueradeAddress(ctx: Ctx, family: Family): Address | undefined {
  return family.version === 4 ? ctx.object.nat_ipv4_masquerade : ctx.object.nat_ipv6_masquerade
}

function exclusionOf(ctx: Ctx, family: Family): Cidr | undefined {
  const { node } = ctx
  return family.version === 4 ? node.IPV4_SNAT_EXCLUSION_DST_CIDR : node.IPV6_SNAT_EXCLUSION_DST_CIDR
}

function isEnabled(ctx: Ctx, family: Family): boolean {
  const { node, object } = ctx
  const enabled = family.version === 4 ? node.ENABLE_MASQUERADE_IPV4 : node.ENABLE_MASQUERADE_IPV6
  return enabled && object.kind === 'bpf_host'
}

/** Whether the packet answers a connection that somebody opened to this endpoint. A drop reason for bad headers. */
function isReply(ctx: Ctx, tuple: Tuple, place: PacketPlace): boolean | number {
  const ports = ctExtractPorts(ctx, tuple, { ...place, direction: ctDirection.EGRESS })
  if (ports === drop.CT_UNKNOWN_PROTO) return false
  if (ports !== 0) return ports
  if (ctIsReply(ctx, ctMapOf(ctx, tuple), tuple)) return true
  tuple.dport = 0
  tuple.sport = 0
  return false
}

/** cilium_ipmasq_v4, cilium_ipmasq_v6: destinations that the ip-masq-agent leaves alone. */
export function isIpMasqAgentExcluded(ctx: Ctx, family: Family, destination: Address): boolean {
  const { node, maps } = ctx
  const on = family.version === 4 ? node.ENABLE_IP_MASQ_AGENT_IPV4 : node.ENABLE_IP_MASQ_AGENT_IPV6
  if (!on) return false
  const key = new Uint8Array(4 + family.addressBytes)
  writeLe32(key, 0, family.addressBytes * 8)
  key.set(destination, 4)
  return ctx.lookup(family.version === 4 ? maps.cilium_ipmasq_v4 : maps.cilium_ipmasq_v6, key) !== undefined
}

/** What the mode decides about a remote node's address: true to masquerade, false to leave it, undefined to go on. */
function decideRemoteNode(ctx: Ctx, family: Family, destination: Address): boolean | undefined {
  const remote = lookupRemoteEndpoint(ctx, family, destination)
  if (remote === undefined || !isRemoteNode(remote.secIdentity)) return undefined
  if (ctx.node.enable_remote_node_masquerade) return true
  if (!ctx.node.TUNNEL_MODE || remote.skipTunnel) return false
  return undefined
}

/** The questions behind the egress gateway's. */
function decideByDestination(
  ctx: Ctx,
  tuple: Tuple,
  endpoint: EndpointInfo | undefined,
  target: NatTarget,
  address: Address,
): number {
  const { family, daddr } = tuple
  const exclusion = exclusionOf(ctx, family)
  if (exclusion !== undefined && isInSubnet(daddr, exclusion)) return NAT_PUNT_TO_STACK
  const skip = family.version === 4 ? endpointMask.SKIP_MASQ_V4 : endpointMask.SKIP_MASQ_V6
  if (endpoint !== undefined && (endpoint.flags & skip) !== 0) return NAT_PUNT_TO_STACK
  if (isIpMasqAgentExcluded(ctx, family, daddr)) return NAT_PUNT_TO_STACK
  const remoteNode = decideRemoteNode(ctx, family, daddr)
  if (remoteNode === false) return NAT_PUNT_TO_STACK
  if (remoteNode === undefined && endpoint === undefined) return NAT_PUNT_TO_STACK
  target.address = address
  return NAT_NEEDED
}

/**
 * snat_v4_needs_masquerade(), snat_v6_needs_masquerade(): NAT_NEEDED with `target` filled in, NAT_PUNT_TO_STACK, or a drop
 * reason. `tuple` has addresses and protocol.
 */
export function needsMasquerade(ctx: Ctx, tuple: Tuple, place: PacketPlace, target: NatTarget): number {
  const { family, saddr, daddr } = tuple
  const address = masqueradeAddress(ctx, family)
  if (!isEnabled(ctx, family)) return NAT_PUNT_TO_STACK
  if (address !== undefined && sameAddress(saddr, address)) {
    // the host's own connections are tracked, so that no masqueraded one takes their port
    target.address = address
    target.needsCt = true
    return NAT_NEEDED
  }
  const endpoint = lookupEndpoint(ctx, family, saddr)
  if (endpoint !== undefined) {
    target.fromLocalEndpoint = true
    const reply = isReply(ctx, tuple, place)
    if (typeof reply === 'number') return isError(ctx, reply) ? reply : NAT_PUNT_TO_STACK
    if (reply) return NAT_PUNT_TO_STACK
  }
  if (ctx.node.ENABLE_EGRESS_GATEWAY_COMMON) {
    const policy = egressGatewaySnatNeeded(ctx, family, saddr, daddr)
    if (policy !== undefined) {
      if (egressGatewayIsUnset(policy.egressAddress)) return drop.NO_EGRESS_IP
      target.address = policy.egressAddress
      target.ifindex = policy.egressIfindex
      target.egressGateway = true
      if (endpoint === undefined) target.needsCt = true
      return NAT_NEEDED
    }
  }
  return decideByDestination(ctx, tuple, endpoint, target, address ?? new Uint8Array(family.addressBytes))
}
