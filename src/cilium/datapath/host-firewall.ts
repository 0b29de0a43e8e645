// The host firewall: policy of the node itself, for packets that host processes send and receive. lib/host_firewall.h
//
// Each direction has two halves: a conntrack lookup, which also says whether the packet concerns the host at all, and the
// policy with its consequences. Between them there may be a tail call, with the lookup's result in a per-CPU buffer.
import { authLookup } from './auth.ts'
import { ctAnyMap, ctCreate, ctLookup, ctMapOf } from './conntrack.ts'
import type { CtBuffer } from './ct-buffer.ts'
import { ctDirection, ctScope, ctStatus, newCtState } from './ct-state.ts'
import { type Ctx, isError, PACKET_HOST } from './ctx.ts'
import { drop, type Where, where } from './drop-reason.ts'
import type { Family } from './family.ts'
import { wholePacket } from './fragments.ts'
import { ethernetLength, hasHeader, walkHeaders } from './headers.ts'
import { identity, worldId } from './identity.ts'
import { lookupRemoteEndpoint, type RemoteEndpoint } from './ipcache.ts'
import { policyDirection, sendPolicyVerdict, sendTrace, type TraceContext } from './notify.ts'
import { newTuple } from './packet-tuple.ts'
import { type PolicyVerdict, policyCanEgress, policyCanIngress } from './policy.ts'
import { redirectToProxyHostEgress } from './proxy.ts'
import { tracePoint } from './trace-point.ts'

const toProxy: Readonly<Record<4 | 6, Where>> = {
  4: where('host_firewall.h', 436),
  6: where('host_firewall.h', 163),
}

/** The conntrack lookup of a packet in one direction. */
function lookup(ctx: Ctx, family: Family, direction: 0 | 1): CtBuffer {
  const l3Offset = ethernetLength(ctx)
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') {
    const tuple = newTuple(ctx, family, l3Offset, 0)
    const result = { status: walk, monitor: 0 }
    return { tuple, state: newCtState(), result, l4Offset: 0, fragment: wholePacket }
  }
  const { fragment, nexthdr } = walk
  const tuple = newTuple(ctx, family, l3Offset, nexthdr)
  const l4Offset = l3Offset + walk.length
  const place = { l3Offset, l4Offset, fragment, direction, scope: ctScope.BIDIR }
  const result = ctLookup(ctx, ctMapOf(ctx, tuple), tuple, place)
  return { tuple, state: newCtState(), result, l4Offset, fragment }
}

function remoteOf(ctx: Ctx, family: Family, addressAt: number): RemoteEndpoint | undefined {
  const at = ethernetLength(ctx) + addressAt
  return lookupRemoteEndpoint(ctx, family, ctx.packet.copy(at, family.addressBytes))
}

/**
 * ipv4_host_policy_egress_lookup(), ipv6_host_policy_egress_lookup(): undefined where the packet is not the host's, neither by
 * its mark nor by its address. A pod's packet with the address of the host gets an entry, so that its replies may pass.
 */
export function hostPolicyEgressLookup(
  ctx: Ctx,
  family: Family,
  ids: { readonly source: number; readonly ipcacheSource: number },
): CtBuffer | undefined {
  if (ids.source !== identity.HOST_ID && ids.ipcacheSource !== identity.HOST_ID) return undefined
  return lookup(ctx, family, ctDirection.EGRESS)
}

/** ipv4_host_policy_ingress_lookup(), ipv6_host_policy_ingress_lookup(): undefined where the packet is not for the host. */
export function hostPolicyIngressLookup(ctx: Ctx, family: Family): CtBuffer | undefined {
  const destination = remoteOf(ctx, family, family.destinationAt)?.secIdentity ?? worldId(ctx.node, family)
  if (destination !== identity.HOST_ID) return undefined
  return lookup(ctx, family, ctDirection.INGRESS)
}

function isAnswer(status: number): boolean {
  return status === ctStatus.REPLY || status === ctStatus.RELATED
}

/** The verdict after authentication, where the policy demands one. */
function authenticated(
  ctx: Ctx,
  answer: PolicyVerdict,
  remote: number,
  tunnelEndpoint: Uint8Array | undefined,
): number {
  if (answer.verdict !== drop.POLICY_AUTH_REQUIRED) return 0
  const authType = ctx.extErr & 0xff
  answer.verdict = authLookup(ctx, identity.HOST_ID, remote, tunnelEndpoint, authType)
  return authType
}

/** An entry with its twin for a connection that is allowed. 0 or a drop reason. */
function createEntry(
  ctx: Ctx,
  buffer: CtBuffer,
  direction: 0 | 1,
  source: number,
  proxyPort: number,
): number {
  const { tuple } = buffer
  const state = newCtState()
  state.srcSecId = source
  state.proxyRedirect = proxyPort > 0
  return ctCreate(ctx, ctMapOf(ctx, tuple), ctAnyMap(ctx, tuple.family), tuple, direction, state)
}

/** send_policy_verdict_notify() for what is denied and what begins. */
function report(
  ctx: Ctx,
  buffer: CtBuffer,
  answer: PolicyVerdict,
  event: { readonly remote: number; readonly direction: 1 | 2; readonly authType: number },
): void {
  const { tuple } = buffer
  sendPolicyVerdict(ctx, {
    remote: event.remote,
    port: tuple.dport,
    protocol: tuple.nexthdr,
    direction: event.direction,
    isIpv6: tuple.family.version === 6,
    verdict: answer.verdict,
    proxyPort: answer.proxyPort,
    match: answer.match,
    audited: answer.audited,
    authType: event.authType,
    cookie: answer.cookie,
  })
}

/** Who sends: policy is for the host's own packets that do not come from the proxy (need_apply_host_policy_egress()). */
export interface HostSender {
  readonly isHostId: boolean
  readonly isFromProxy: boolean
}

/** TRACE_TO_PROXY, then by way of cilium_host to the proxy. */
function redirectEgress(ctx: Ctx, family: Family, proxyPort: number, trace: TraceContext): number {
  const event = {
    point: tracePoint.TO_PROXY,
    source: ctx.object.security_label,
    destination: identity.UNKNOWN_ID,
    endpoint: proxyPort,
    ifindex: 0,
    reason: trace.reason,
    monitor: trace.monitor,
    etherType: family.etherType,
  }
  sendTrace(ctx, event, toProxy[family.version])
  return redirectToProxyHostEgress(ctx, proxyPort)
}

/**
 * __ipv4_host_policy_egress(), __ipv6_host_policy_egress(): CTX_ACT_OK, CTX_ACT_REDIRECT to the proxy, or a drop reason.
 */
export function hostPolicyEgressVerdict(
  ctx: Ctx,
  sender: HostSender,
  buffer: CtBuffer,
  trace: TraceContext,
): number {
  const { tuple, result, l4Offset } = buffer
  const { family } = tuple
  let { status } = result
  trace.monitor = result.monitor
  trace.reason = status
  if (isAnswer(status)) return ctx.act.OK
  const applies = sender.isHostId && !sender.isFromProxy
  let answer: PolicyVerdict = { verdict: ctx.act.OK, match: 0, audited: false, proxyPort: 0, cookie: 0 }
  let remote = 0
  let authType = 0
  if (applies) {
    const info = remoteOf(ctx, family, family.destinationAt)
    remote = info?.secIdentity ?? 0
    const question = { remote, tuple, l4Offset, untrackedFragment: false }
    answer = policyCanEgress(ctx, identity.HOST_ID, question)
    authType = authenticated(ctx, answer, remote, info?.tunnelEndpoint)
  }
  if (status === ctStatus.NEW && answer.verdict === ctx.act.OK) {
    const source = sender.isHostId ? identity.HOST_ID : 0
    status = createEntry(ctx, buffer, ctDirection.EGRESS, source, answer.proxyPort)
    if (isError(ctx, status)) return status
  }
  if (!applies) return answer.verdict
  if (answer.verdict !== ctx.act.OK || status !== ctStatus.ESTABLISHED) {
    report(ctx, buffer, answer, { remote, direction: policyDirection.EGRESS, authType })
  }
  const known = status === ctStatus.NEW || status === ctStatus.ESTABLISHED
  if (answer.proxyPort > 0 && known) return redirectEgress(ctx, family, answer.proxyPort, trace)
  return answer.verdict
}

/** ipv4_host_policy_egress(), ipv6_host_policy_egress(): both halves. */
export function hostPolicyEgress(
  ctx: Ctx,
  family: Family,
  sender: { readonly source: number; readonly ipcacheSource: number; readonly isFromProxy: boolean },
  trace: TraceContext,
): number {
  const buffer = hostPolicyEgressLookup(ctx, family, sender)
  if (buffer === undefined) return ctx.act.OK
  if (buffer.result.status < 0) return buffer.result.status
  const isHostId = sender.source === identity.HOST_ID
  return hostPolicyEgressVerdict(ctx, { isHostId, isFromProxy: sender.isFromProxy }, buffer, trace)
}

/** What the host's ingress policy says, and the identity of the sender that it found. */
export interface HostIngress {
  readonly verdict: number
  readonly source: number
}

function untracked(ctx: Ctx, family: Family, buffer: CtBuffer): boolean {
  const { node } = ctx
  if (family.version === 6) return !node.ENABLE_IPV6_FRAGMENTS && buffer.fragment.isFragment
  if (node.ENABLE_IPV4_FRAGMENTS) return false
  const walk = walkHeaders(ctx, family, ethernetLength(ctx))
  return typeof walk !== 'number' && walk.fragment.isFragment
}

/** __ipv4_host_policy_ingress(), __ipv6_host_policy_ingress(): the verdict is CTX_ACT_OK or a drop reason. */
export function hostPolicyIngressVerdict(
  ctx: Ctx,
  buffer: CtBuffer,
  sourceBefore: number,
  trace: TraceContext,
): HostIngress {
  const { tuple, result, l4Offset } = buffer
  const { family } = tuple
  let { status } = result
  trace.monitor = result.monitor
  trace.reason = status
  const info = remoteOf(ctx, family, family.sourceAt)
  const source = info?.secIdentity ?? sourceBefore
  if (isAnswer(status)) {
    ctx.changeType(PACKET_HOST)
    return { verdict: ctx.act.OK, source }
  }
  const untrackedFragment = untracked(ctx, family, buffer)
  const answer = policyCanIngress(ctx, { remote: source, tuple, l4Offset, untrackedFragment })
  const authType = authenticated(ctx, answer, source, info?.tunnelEndpoint)
  if (status === ctStatus.NEW && answer.verdict === ctx.act.OK) {
    status = createEntry(ctx, buffer, ctDirection.INGRESS, source, answer.proxyPort)
    if (isError(ctx, status)) return { verdict: status, source }
  }
  if (answer.verdict !== ctx.act.OK || status !== ctStatus.ESTABLISHED) {
    report(ctx, buffer, answer, { remote: source, direction: policyDirection.INGRESS, authType })
  }
  // a packet that a pod's program sent here has the addresses of a pod's device
  ctx.changeType(PACKET_HOST)
  return { verdict: answer.verdict, source }
}

/** ipv4_host_policy_ingress(), ipv6_host_policy_ingress(): both halves. */
export function hostPolicyIngress(
  ctx: Ctx,
  family: Family,
  source: number,
  trace: TraceContext,
): HostIngress {
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return { verdict: drop.INVALID, source }
  const buffer = hostPolicyIngressLookup(ctx, family)
  if (buffer === undefined) return { verdict: ctx.act.OK, source }
  if (buffer.result.status < 0) return { verdict: buffer.result.status, source }
  return hostPolicyIngressVerdict(ctx, buffer, source, trace)
}
