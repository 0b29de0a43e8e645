// What bpf_host, bpf_overlay and bpf_xdp of 1.10 ask about every packet that arrives: is it for a service, or perhaps a reply
// whose source was translated here? Three tail calls lie between the question and the main path, which comes back with the
// flag SKIP_NODEPORT. bpf/lib/nodeport.h nodeport_lb4(), tail_nodeport_nat_ipv4(), rev_nodeport_lb4() and their siblings

import { routerAddress } from '../datapath/config.ts'
import { ctDirection } from '../datapath/ct-state.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Family, ipv4, ipv6 } from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { checksumOffset } from '../datapath/l4.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { NAT_PUNT_TO_STACK } from '../datapath/nat-embedded.ts'
import type { PacketPlace } from '../datapath/nat-mapping.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { setXfer, skipHostFirewallSet, skipNodeportSet, xferFlag } from '../datapath/overloadable.ts'
import { newTuple } from '../datapath/packet-tuple.ts'
import { edtSetAggregate } from '../datapath/throttle.ts'
import type { Tuple } from '../maps/tuple.ts'
import { ctLookup } from './conntrack.ts'
import { ctStatus, newCtState } from './ct-state.ts'
import { walkHeaders } from './headers.ts'
import { hostPolicyIngress } from './host-firewall.ts'
import { lbExtractKey, lbLookupService, lbReverseNat, newServiceKey } from './lb.ts'
import { natDirection, snatProcess } from './nat.ts'
import { type NatTarget, natTarget } from './nat-mapping.ts'
import { dsrTails } from './nodeport-dsr.ts'
import { encapNodeport, redirectNodeport, resolveNodeport } from './nodeport-route.ts'
import { serveNodeport, usesDsr } from './nodeport-service.ts'
import { sendDrop } from './notify.ts'
import { call, cb, fromLxc, markSnatDone, nodeportNat, skipRecirculation } from './slots.ts'

const revNat = { 4: call.IPV4_NODEPORT_REVNAT, 6: call.IPV6_NODEPORT_REVNAT } as const

/** bpf_mark_snat_done(): XDP has no egress hook to tell. */
function markSnat(ctx: Ctx): void {
  if (!ctx.isXdp) ctx.mark = (ctx.mark | markSnatDone) >>> 0
}

/** A tuple of the packet with its place, or a drop reason. */
function tupleOf(ctx: Ctx, family: Family): { readonly tuple: Tuple; readonly place: PacketPlace } | number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  return {
    tuple: newTuple(ctx, family, l3Offset, walk.nexthdr),
    place: { l3Offset, l4Offset: l3Offset + walk.length, fragment: walk.fragment },
  }
}

/**
 * nodeport_lb4(), nodeport_lb6(): CTX_ACT_OK to go on, or a drop reason. `source` is the identity of the sender. In most cases
 * a tail call is taken, and the main path begins again.
 */
export function nodeportLb(ctx: Ctx, family: Family, source: number): number {
  const read = tupleOf(ctx, family)
  if (typeof read === 'number') return read
  const { tuple, place } = read
  const key = newServiceKey(tuple)
  const extracted = lbExtractKey(ctx, tuple, place.l4Offset, ctDirection.EGRESS, key)
  if (extracted === drop.UNKNOWN_L4) return ctx.act.OK
  const none = extracted === drop.NO_SERVICE
  if (isError(ctx, extracted) && !none) return extracted
  const service = none ? undefined : lbLookupService(ctx, key, false)
  if (service !== undefined) return serveNodeport(ctx, tuple, place, key, service)
  setXfer(ctx, xferFlag.PKT_NO_SVC)
  const masquerades = family === ipv4 && ctx.node.ENABLE_MASQUERADE_IPV4
  if (!masquerades && usesDsr(ctx, tuple.nexthdr)) return ctx.act.OK
  ctx.setMeta(cb.NAT, natDirection.INGRESS)
  ctx.setMeta(cb.SRC_LABEL, source)
  return ctx.tailCall(nodeportNat[family.version])
}

/** Back to the main path, past the question about services. */
function recirculate(ctx: Ctx, family: Family): number {
  skipNodeportSet(ctx)
  return ctx.tailCall(fromLxc[family.version])
}

/** tail_nodeport_nat_ipv4(), tail_nodeport_nat_ipv6() for a reply, which is given its destination back. */
function natReply(ctx: Ctx, family: Family): number {
  const translated = snatProcess(ctx, family, natDirection.INGRESS, directTarget(ctx, family), false)
  let missed: number
  if (isError(ctx, translated)) missed = recirculate(ctx, family)
  else {
    markSnat(ctx)
    missed = ctx.tailCall(revNat[family.version])
  }
  return sendDrop(ctx, missed, { source: 0, direction: metricDirection.INGRESS })
}

/** A target with the address of the device for other nodes. */
function directTarget(ctx: Ctx, family: Family): NatTarget {
  const { IPV4_DIRECT_ROUTING, IPV6_DIRECT_ROUTING } = ctx.node
  const direct = family === ipv6 ? IPV6_DIRECT_ROUTING : IPV4_DIRECT_ROUTING
  return natTarget(ctx, direct ?? new Uint8Array(family.addressBytes), true)
}

/** The same for a request to a backend of another node: the device it leaves by, or a drop reason. */
function routeRequest(ctx: Ctx, family: Family): number {
  const { ENCAP_IFINDEX, direct_routing_dev_ifindex, ENABLE_NODEPORT_HAIRPIN: hairpin } = ctx.node
  const l3Offset = ethernetLength(ctx)
  if (ctx.node.HAVE_ENCAP && !hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const tunnelled = encapNodeport(ctx, family, l3Offset)
  if (typeof tunnelled === 'number') return tunnelled
  const target = tunnelled
    ? natTarget(ctx, routerAddress(ctx.node, family.version), true)
    : directTarget(ctx, family)
  const translated = snatProcess(ctx, family, natDirection.EGRESS, target, false)
  if (isError(ctx, translated) && translated !== NAT_PUNT_TO_STACK) return translated
  markSnat(ctx)
  if (tunnelled) return ENCAP_IFINDEX
  return resolveNodeport(ctx, family, direct_routing_dev_ifindex, { ask: hairpin, learn: hairpin })
}

/** tail_nodeport_nat_ipv4(), tail_nodeport_nat_ipv6(): CB_NAT says the direction. */
function tailNat(ctx: Ctx, family: Family): number {
  if (ctx.meta(cb.NAT) === natDirection.INGRESS) return natReply(ctx, family)
  const oif = routeRequest(ctx, family)
  return oif < 0
    ? sendDrop(ctx, oif, { source: 0, direction: metricDirection.EGRESS })
    : redirectNodeport(ctx, oif)
}

/** The way of a service's reply to its client: the device, or a drop reason. */
function routeReply(ctx: Ctx, family: Family, ifindex: number): number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  markSnat(ctx)
  const tunnelled = encapNodeport(ctx, family, l3Offset)
  if (typeof tunnelled === 'number') return tunnelled
  if (tunnelled) return ctx.node.ENCAP_IFINDEX
  const use = { ask: ctx.node.ENABLE_FIB_LOOKUP_BYPASS, learn: false }
  const resolved = resolveNodeport(ctx, family, ifindex, use)
  return resolved < 0 ? resolved : ifindex
}

/**
 * rev_nodeport_lb4(), rev_nodeport_lb6(): a reply of a service gets the service's address as its source. Other packets go back
 * to the main path, except those of a pod. The device to redirect to, or a drop reason.
 */
function revNodeportLb(ctx: Ctx, family: Family): number {
  const read = tupleOf(ctx, family)
  if (typeof read === 'number') return read
  const { tuple, place } = read
  const { l4Offset, fragment } = place
  const state = newCtState()
  const { status } = ctLookup(ctx, tuple, l4Offset, ctDirection.INGRESS, state)
  if (status === ctStatus.REPLY && state.nodePort && state.revNatIndex !== 0) {
    const { hasL4Header } = fragment
    const checksum = checksumOffset(tuple.nexthdr)
    const reverse = { l4Offset, checksum, hasL4Header, tupleSource: true }
    const translated = lbReverseNat(ctx, tuple, reverse, state)
    return isError(ctx, translated) ? translated : routeReply(ctx, family, state.ifindex)
  }
  const fromPod = !ctx.isXdp && (ctx.tcIndex & skipRecirculation) !== 0
  return fromPod ? 0 : recirculate(ctx, family)
}

/** tail_rev_nodeport_lb4(), tail_rev_nodeport_lb6() */
function tailRevNodeport(ctx: Ctx, family: Family): number {
  const { INGRESS, EGRESS } = metricDirection
  if (ctx.node.ENABLE_HOST_FIREWALL && ctx.object.kind === 'bpf_host') {
    const { verdict, source } = hostPolicyIngress(ctx, family, 0)
    if (isError(ctx, verdict)) return sendDrop(ctx, verdict, { source, direction: INGRESS })
    skipHostFirewallSet(ctx)
  }
  const ifindex = revNodeportLb(ctx, family)
  if (ifindex < 0) return sendDrop(ctx, ifindex, { source: 0, direction: EGRESS })
  edtSetAggregate(ctx, 0)
  return redirectNodeport(ctx, ifindex)
}

/** The tail calls of bpf/lib/nodeport.h for one family. */
export function nodeportTails(family: Family): [number, ObjectProgram][] {
  const { version } = family
  return [
    [nodeportNat[version], { symbol: `tail_nodeport_nat_ipv${version}`, run: (ctx) => tailNat(ctx, family) }],
    [
      revNat[version],
      { symbol: `tail_rev_nodeport_lb${version}`, run: (ctx) => tailRevNodeport(ctx, family) },
    ],
    ...dsrTails(family),
  ]
}
