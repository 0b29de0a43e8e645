// Which packets that leave are translated in 1.10, and the translation: what bpf_host does on native devices and bpf_overlay on
// the tunnel. Replies are not looked for, so that a pod's answer to a connection from outside is masqueraded, too (facts 4.4).
// bpf/lib/nodeport.h snat_v4_needed(), snat_v6_needed(), nodeport_nat_ipv4_fwd(), handle_nat_fwd()
import { routerAddress } from '../datapath/config.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { endpointFlag, lookupEndpoint } from '../datapath/endpoints.ts'
import {
  type Address,
  enabledFamily,
  type Family,
  ipv4,
  protocolNumber,
  sameAddress,
} from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { identity } from '../datapath/identity.ts'
import { isInSubnet, isIpMasqAgentExcluded } from '../datapath/masquerade.ts'
import { NAT_PUNT_TO_STACK } from '../datapath/nat-embedded.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { lookupEgress } from './egress-gateway.ts'
import { validEtherType } from './ethernet.ts'
import { walkHeaders } from './headers.ts'
import { lookupRemoteEndpoint } from './ipcache.ts'
import { natDirection, snatProcess } from './nat.ts'
import { natTarget } from './nat-mapping.ts'
import { call } from './slots.ts'

/** What a packet's source becomes. */
interface Wanted {
  readonly address: Address
  /** The source is a pod of this node, or of an egress gateway's policy. */
  readonly fromEndpoint: boolean
}

/** A node's own address, whose connections must not collide with translated ones; it stays as it is. */
function ownAddress(ctx: Ctx, family: Family, source: Address): Address | undefined {
  const { node, object } = ctx
  if (node.HAVE_ENCAP && object.kind === 'bpf_overlay') {
    const router = routerAddress(node, family.version)
    return sameAddress(source, router) ? router : undefined
  }
  const direct = family.version === 4 ? node.IPV4_DIRECT_ROUTING : node.IPV6_DIRECT_ROUTING
  // only IPv4 asks whether this is the device of that address
  const here = family.version === 6 || node.direct_routing_dev_ifindex === object.interface_ifindex
  if (here && direct !== undefined && sameAddress(source, direct)) return direct
  const masquerade = node.ENABLE_MASQUERADE_IPV4 && family === ipv4 ? object.nat_ipv4_masquerade : undefined
  return masquerade !== undefined && sameAddress(source, masquerade) ? masquerade : undefined
}

/** The half of snat_v4_needed() about pods that talk to the world. */
function wantedForPod(ctx: Ctx, source: Address, destination: Address): Wanted | undefined {
  const { node, object } = ctx
  const address = object.nat_ipv4_masquerade
  if (!node.ENABLE_MASQUERADE_IPV4 || object.kind !== 'bpf_host' || address === undefined) return undefined
  const exclusion = node.IPV4_SNAT_EXCLUSION_DST_CIDR
  if (exclusion !== undefined && isInSubnet(destination, exclusion)) return undefined
  const endpoint = lookupEndpoint(ctx, ipv4, source)
  if (endpoint === undefined || (endpoint.flags & endpointFlag.HOST) !== 0) return undefined
  const remote = lookupRemoteEndpoint(ctx, ipv4, destination)
  if (remote === undefined || isIpMasqAgentExcluded(ctx, ipv4, destination)) return undefined
  // with a tunnel, what goes to another node does not go through it
  if (!node.HAVE_ENCAP && remote.secIdentity === identity.REMOTE_NODE_ID) return undefined
  return { address, fromEndpoint: true }
}

/** snat_v4_needed() */
function wanted4(ctx: Ctx, source: Address, destination: Address): Wanted | undefined {
  const { node } = ctx
  if (node.ENABLE_EGRESS_GATEWAY && ctx.ifindex !== node.ENCAP_IFINDEX) {
    const egress = lookupEgress(ctx, source, destination)
    if (egress !== undefined) return { address: egress.egressAddress, fromEndpoint: true }
  }
  const own = ownAddress(ctx, ipv4, source)
  return own === undefined ? wantedForPod(ctx, source, destination) : { address: own, fromEndpoint: false }
}

/** snat_v6_needed(): the node's own address alone, and with hybrid DSR not for TCP. */
function wanted6(ctx: Ctx, family: Family, l3Offset: number, source: Address): Wanted | undefined {
  if (ctx.node.ENABLE_DSR_HYBRID) {
    const walk = walkHeaders(ctx, family, l3Offset)
    if (typeof walk !== 'number' && walk.nexthdr === protocolNumber.TCP) return undefined
  }
  const own = ownAddress(ctx, family, source)
  return own === undefined ? undefined : { address: own, fromEndpoint: false }
}

/** nodeport_nat_ipv4_fwd(), nodeport_nat_ipv6_fwd(): CTX_ACT_OK, 0 or a drop reason. */
function natForward(ctx: Ctx, family: Family): number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return ctx.act.OK
  const source = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const destination = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const wanted = family === ipv4 ? wanted4(ctx, source, destination) : wanted6(ctx, family, l3Offset, source)
  if (wanted === undefined) return ctx.act.OK
  const target = natTarget(ctx, wanted.address, false)
  const result = snatProcess(ctx, family, natDirection.EGRESS, target, wanted.fromEndpoint)
  return result === NAT_PUNT_TO_STACK ? ctx.act.OK : result
}

const slots = { 4: call.IPV4_ENCAP_NODEPORT_NAT, 6: call.IPV6_ENCAP_NODEPORT_NAT } as const

/** Whether a tail call separates handle_nat_fwd() from its caller: programs have a limited size. */
function usesTailCall(ctx: Ctx, family: Family): boolean {
  const { node, object } = ctx
  if (node.ENABLE_IPV4 && node.ENABLE_IPV6) return true
  if (node.ENABLE_HOST_FIREWALL && object.kind === 'bpf_host') return true
  return node.ENABLE_EGRESS_GATEWAY && family === ipv4
}

/**
 * handle_nat_fwd(): CTX_ACT_OK or a drop reason. Behind a tail call it does not come back, and the drop reason becomes the
 * program's code: nothing is reported, and the kernel lets the packet through.
 */
export function handleNatFwd(ctx: Ctx): number {
  const etherType = validEtherType(ctx)
  const family = etherType === undefined ? undefined : enabledFamily(ctx, etherType)
  if (family === undefined) return ctx.act.OK
  return usesTailCall(ctx, family) ? ctx.tailCall(slots[family.version]) : natForward(ctx, family)
}

/** Slot ENCAP_NODEPORT_NAT of one family: bpf_host and bpf_overlay have it. */
export function natForwardTails(family: Family): [number, ObjectProgram][] {
  const symbol = `tail_handle_nat_fwd_ipv${family.version}`
  return [[slots[family.version], { symbol, run: (ctx) => natForward(ctx, family) }]]
}
