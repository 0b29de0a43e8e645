// The host firewall of 1.10: policy of the node itself, asked also for replies, though they pass whatever it says.
// bpf/lib/host_firewall.h
import { ctDirection } from '../datapath/ct-state.ts'
import { type Ctx, isError, PACKET_HOST } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Family, ipv4 } from '../datapath/family.ts'
import { fragmentInfo4 } from '../datapath/fragments.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { identity } from '../datapath/identity.ts'
import { policyDirection } from '../datapath/notify.ts'
import { newTuple } from '../datapath/packet-tuple.ts'
import type { Tuple } from '../maps/tuple.ts'
import { ctCreate, ctLookup } from './conntrack.ts'
import { ctStatus, isReverse, newCtState } from './ct-state.ts'
import { walkHeaders } from './headers.ts'
import { lookupRemoteEndpoint } from './ipcache.ts'
import { sendPolicyVerdict } from './notify.ts'
import { type PolicyVerdict, policyCanEgress, policyCanIngress } from './policy.ts'

/** The identity that the ipcache has for an address of the packet; `otherwise` where it has none. */
function identityAt(ctx: Ctx, family: Family, addressAt: number, otherwise: number): number {
  const address = ctx.packet.copy(ethernetLength(ctx) + addressAt, family.addressBytes)
  const label = lookupRemoteEndpoint(ctx, family, address)?.secIdentity ?? 0
  return label === 0 ? otherwise : label
}

/** A packet's connection, as one direction sees it. */
interface Seen {
  readonly tuple: Tuple
  readonly l4Offset: number
  readonly status: number
  /** node_port of the entry that was found. */
  readonly nodePort: boolean
}

/** The conntrack lookup of a packet in one direction, or a drop reason. */
function lookup(ctx: Ctx, family: Family, direction: 0 | 1): Seen | number {
  const l3Offset = ethernetLength(ctx)
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const tuple = newTuple(ctx, family, l3Offset, walk.nexthdr)
  const l4Offset = l3Offset + walk.length
  const state = newCtState()
  const { status } = ctLookup(ctx, tuple, l4Offset, direction, state)
  return status < 0 ? status : { tuple, l4Offset, status, nodePort: state.nodePort }
}

/** What an event about a packet says. */
interface Peer {
  readonly remote: number
  readonly direction: 1 | 2
}

function report(ctx: Ctx, { tuple }: Seen, answer: PolicyVerdict, peer: Peer): void {
  sendPolicyVerdict(ctx, {
    remote: peer.remote,
    port: tuple.dport,
    protocol: tuple.nexthdr,
    direction: peer.direction,
    isIpv6: tuple.family.version === 6,
    verdict: answer.verdict,
    match: answer.match,
    audited: answer.audited,
  })
}

/** whitelist_snated_egress_connections(): a pod's packet with the host's address gets an entry, for its reply to pass by. */
function whitelistSnated(ctx: Ctx, ipcacheSource: number): number {
  if (ipcacheSource !== identity.HOST_ID) return ctx.act.OK
  if (!hasHeader(ctx, ipv4, ethernetLength(ctx))) return drop.INVALID
  const seen = lookup(ctx, ipv4, ctDirection.EGRESS)
  if (typeof seen === 'number') return seen
  if (seen.status !== ctStatus.NEW) return ctx.act.OK
  const made = ctCreate(ctx, seen.tuple, {
    direction: ctDirection.EGRESS,
    state: newCtState(),
    related: true,
  })
  return isError(ctx, made) ? made : ctx.act.OK
}

/** ipv4_host_policy_egress(), ipv6_host_policy_egress(): CTX_ACT_OK or a drop reason. */
export function hostPolicyEgress(ctx: Ctx, family: Family, source: number, ipcacheSource: number): number {
  if (source !== identity.HOST_ID) {
    const whitelists = family === ipv4 && !ctx.node.ENABLE_MASQUERADE_IPV4
    return whitelists ? whitelistSnated(ctx, ipcacheSource) : ctx.act.OK
  }
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return drop.INVALID
  const seen = lookup(ctx, family, ctDirection.EGRESS)
  if (typeof seen === 'number') return seen
  const { tuple, status } = seen
  const remote = identityAt(ctx, family, family.destinationAt, 0)
  const answer = policyCanEgress(ctx, source, { tuple, remote, l4Offset: seen.l4Offset })
  const peer: Peer = { remote, direction: policyDirection.EGRESS }
  const denied = answer.verdict < 0 && !isReverse(status)
  if (denied || status === ctStatus.NEW || status === ctStatus.REOPENED) report(ctx, seen, answer, peer)
  if (denied) return answer.verdict
  if (status !== ctStatus.NEW) return ctx.act.OK
  const made = ctCreate(ctx, tuple, {
    direction: ctDirection.EGRESS,
    state: { ...newCtState(), srcSecId: identity.HOST_ID },
    related: true,
    proxyRedirect: answer.verdict > 0,
  })
  return isError(ctx, made) ? made : ctx.act.OK
}

/** What the host's ingress policy says, and the identity of the sender that it found. */
export interface HostIngress {
  readonly verdict: number
  readonly source: number
}

function isUntracked(ctx: Ctx, family: Family): boolean {
  if (family !== ipv4 || ctx.node.ENABLE_IPV4_FRAGMENTS) return false
  return fragmentInfo4(ctx, ethernetLength(ctx)).isFragment
}

/** The entry of a connection that is allowed to the host. 0 or a drop reason. */
function createIngress(ctx: Ctx, seen: Seen, source: number, answer: PolicyVerdict): number {
  return ctCreate(ctx, seen.tuple, {
    direction: ctDirection.INGRESS,
    state: { ...newCtState(), srcSecId: source, nodePort: seen.nodePort },
    related: true,
    proxyRedirect: answer.verdict > 0,
  })
}

/**
 * ipv4_host_policy_ingress(), ipv6_host_policy_ingress(): the verdict is CTX_ACT_OK or a drop reason. A new connection is
 * reported twice: the case of reopened ones follows without a break.
 */
export function hostPolicyIngress(ctx: Ctx, family: Family, sourceBefore: number): HostIngress {
  const done = (verdict: number, source = sourceBefore): HostIngress => ({ verdict, source })
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return done(drop.INVALID)
  const destination = identityAt(ctx, family, family.destinationAt, identity.WORLD_ID)
  if (destination !== identity.HOST_ID) return done(ctx.act.OK)
  const seen = lookup(ctx, family, ctDirection.INGRESS)
  if (typeof seen === 'number') return done(seen)
  const { tuple, status } = seen
  const source = identityAt(ctx, family, family.sourceAt, sourceBefore)
  const answer = policyCanIngress(ctx, {
    remote: source,
    tuple,
    l4Offset: seen.l4Offset,
    untrackedFragment: isUntracked(ctx, family),
  })
  const peer: Peer = { remote: source, direction: policyDirection.INGRESS }
  const denied = answer.verdict < 0 && !isReverse(status)
  if (denied || status === ctStatus.NEW) report(ctx, seen, answer, peer)
  if (denied) return done(answer.verdict, source)
  if (status === ctStatus.NEW) {
    const made = createIngress(ctx, seen, source, answer)
    if (isError(ctx, made)) return done(made, source)
  }
  if (status === ctStatus.NEW || status === ctStatus.REOPENED) report(ctx, seen, answer, peer)
  // a packet that a pod's program sent here has the addresses of a pod's device
  ctx.changeType(PACKET_HOST)
  return done(ctx.act.OK, source)
}
