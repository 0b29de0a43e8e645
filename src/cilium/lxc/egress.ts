// What a pod sends, after conntrack was asked: identity of the destination, policy, the entry. bpf_lxc.c
// handle_ipv4_from_lxc(), handle_ipv6_from_lxc()
import { authLookup } from '../datapath/auth.ts'
import { ctAnyMap, ctCreate, ctMapOf } from '../datapath/conntrack.ts'
import { type CtBuffer, loadCtBuffer } from '../datapath/ct-buffer.ts'
import { type CtState, ctDirection, ctStatus, newCtState } from '../datapath/ct-state.ts'
import { type Ctx, cb, isError } from '../datapath/ctx.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import type { Family } from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { worldId } from '../datapath/identity.ts'
import { lookupRemoteEndpoint, type RemoteEndpoint } from '../datapath/ipcache.ts'
import { isServiceProtocol } from '../datapath/l4.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { policyDirection, sendDrop, sendPolicyVerdict, sendTrace } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { policyCanEgress } from '../datapath/policy.ts'
import { redirectToProxy } from '../datapath/proxy.ts'
import { sameSubnet } from '../datapath/subnet.ts'
import { call } from '../datapath/tail-calls.ts'
import { type TracePoint, tracePoint } from '../datapath/trace-point.ts'
import { takeDsrNat } from './dsr-nat.ts'
import { forwardToDestination } from './forward.ts'
import { isFromL7Lb, noService, takeLbState } from './lb-state.ts'
import { hasPerPacketLb } from './settings.ts'

const places = {
  4: {
    replyToProxy: where('bpf_lxc.c', 1546),
    nodeportReply: where('bpf_lxc.c', 1622),
    dropped: where('bpf_lxc.c', 1651),
  },
  6: {
    replyToProxy: where('bpf_lxc.c', 983),
    nodeportReply: where('bpf_lxc.c', 1036),
    dropped: where('bpf_lxc.c', 1063),
  },
} as const

/** A packet of this pod with all that is known about it. */
interface Outgoing {
  readonly ctx: Ctx
  readonly family: Family
  readonly buffer: CtBuffer
  readonly remote: RemoteEndpoint | undefined
  readonly destination: number
  readonly skipTunnel: boolean
  /** The state that a new entry gets. */
  readonly newState: CtState
  readonly hairpin: boolean
  readonly fromL7Lb: boolean
  proxyPort: number
  monitor: number
}

/** A verdict that ends the program, or undefined: the packet may go on. */
type Ending = number | undefined

function isForward(status: number): boolean {
  return status === ctStatus.NEW || status === ctStatus.ESTABLISHED
}

/** The answer to a denied packet: a tail call that makes an ICMP error where that is wanted. IPv4 only. */
function denied(ctx: Ctx, family: Family, verdict: number): number {
  const denial = verdict === drop.POLICY || verdict === drop.POLICY_DENY
  if (family.version !== 4 || !ctx.node.policy_deny_response_enabled || !denial) return verdict
  ctx.setMeta(cb.VERDICT, verdict)
  return ctx.tailCall(call.IPV4_POLICY_DENIED)
}

/** Egress policy, its event, and authentication. */
function applyPolicy(packet: Outgoing): Ending {
  const { ctx, family, buffer, destination, remote } = packet
  const { tuple, l4Offset, result } = buffer
  const { security_label } = ctx.object
  const question = { remote: destination, tuple, l4Offset, untrackedFragment: false }
  const answer = policyCanEgress(ctx, security_label, question)
  let { verdict } = answer
  let authType = 0
  if (verdict === drop.POLICY_AUTH_REQUIRED) {
    authType = ctx.extErr & 0xff
    verdict = authLookup(ctx, security_label, destination, remote?.tunnelEndpoint, authType)
  }
  packet.proxyPort = answer.proxyPort
  if (verdict !== ctx.act.OK || result.status !== ctStatus.ESTABLISHED) {
    sendPolicyVerdict(ctx, {
      remote: destination,
      port: tuple.dport,
      protocol: tuple.nexthdr,
      direction: policyDirection.EGRESS,
      isIpv6: family.version === 6,
      verdict,
      proxyPort: answer.proxyPort,
      match: answer.match,
      audited: answer.audited,
      authType,
      cookie: answer.cookie,
    })
  }
  return verdict === ctx.act.OK ? undefined : denied(ctx, family, verdict)
}

function traceEvent(packet: Outgoing, point: TracePoint, destination: number) {
  const { ctx, family, buffer, monitor } = packet
  return {
    point,
    source: ctx.object.security_label,
    destination,
    endpoint: 0,
    ifindex: 0,
    reason: buffer.result.status,
    monitor,
    etherType: family.etherType,
  }
}

/** Policy of a new direction; a reply of a connection that a proxy took goes to the proxy. */
function policyStage(packet: Outgoing): Ending {
  const { ctx, family, buffer } = packet
  const { status } = buffer.result
  if (isForward(status)) {
    const l7 = ctx.node.ENABLE_L7_LB && packet.proxyPort > 0
    return l7 || packet.hairpin ? undefined : applyPolicy(packet)
  }
  if (status !== ctStatus.REPLY && status !== ctStatus.RELATED) return drop.UNKNOWN_CT
  if (!buffer.state.proxyRedirect) return undefined
  const event = traceEvent(packet, tracePoint.TO_PROXY, 0)
  sendTrace(ctx, event, places[family.version].replyToProxy)
  return redirectToProxy(ctx, buffer.tuple, 0, false)
}

/** Makes the entry of this connection. */
function createEntry(packet: Outgoing): Ending {
  const { ctx, family, buffer, newState } = packet
  const { tuple } = buffer
  newState.srcSecId = ctx.object.security_label
  newState.proxyRedirect = packet.proxyPort > 0
  newState.fromL7lb = packet.fromL7Lb
  const map = ctMapOf(ctx, tuple)
  const failed = ctCreate(ctx, map, ctAnyMap(ctx, family), tuple, ctDirection.EGRESS, newState)
  if (isError(ctx, failed)) return failed
  if (family.version === 6) packet.monitor = ctx.node.trace_payload_len
  return undefined
}

/** New entries, and those that no longer say what this packet shows; replies of connections to a NodePort. */
function conntrackStage(packet: Outgoing): Ending {
  const { ctx, family, buffer, newState } = packet
  const { state, result, tuple } = buffer
  if (result.status === ctStatus.NEW) return createEntry(packet)
  if (result.status === ctStatus.ESTABLISHED) {
    const stale = state.revNatIndex !== newState.revNatIndex || state.proxyRedirect !== packet.proxyPort > 0
    return stale ? createEntry(packet) : undefined
  }
  if (!ctx.node.ENABLE_NODEPORT || !state.nodePort || !isServiceProtocol(ctx, tuple.nexthdr)) return undefined
  const event = traceEvent(packet, tracePoint.TO_NETWORK, packet.destination)
  sendTrace(ctx, event, places[family.version].nodeportReply)
  return ctx.tailCall(family.version === 4 ? call.IPV4_NODEPORT_REVNAT : call.IPV6_NODEPORT_REVNAT_EGRESS)
}

/** What conntrack and the service lookup have left, and the identity of the destination. A drop reason without. */
function gather(ctx: Ctx, family: Family, found: { identity: number }): Outgoing | number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const lb = hasPerPacketLb(ctx.node) ? takeLbState(ctx) : noService
  const newState = newCtState()
  newState.loopback = lb.loopback
  newState.revNatIndex = lb.revNatIndex
  if (hasPerPacketLb(ctx.node) && ctx.node.ENABLE_DSR) takeDsrNat(ctx, newState)
  const address = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const remote = lookupRemoteEndpoint(ctx, family, address)
  found.identity = remote?.secIdentity ?? worldId(ctx.node, family)
  const skipTunnel = remote !== undefined && (remote.skipTunnel || sameSubnet(ctx, family, l3Offset))
  const buffer = loadCtBuffer(ctx, family)
  if (buffer === undefined) return drop.INVALID_TC_BUFFER
  return {
    ctx,
    family,
    buffer,
    remote,
    destination: found.identity,
    skipTunnel,
    newState,
    hairpin: lb.loopback,
    fromL7Lb: isForward(buffer.result.status) && isFromL7Lb(ctx),
    proxyPort: lb.proxyPort,
    monitor: buffer.result.monitor,
  }
}

/** handle_ipv4_from_lxc(), handle_ipv6_from_lxc() */
function handleFromLxc(ctx: Ctx, family: Family, found: { identity: number }): number {
  const packet = gather(ctx, family, found)
  if (typeof packet === 'number') return packet
  const { buffer } = packet
  const ending = policyStage(packet) ?? conntrackStage(packet)
  if (ending !== undefined) return ending
  return forwardToDestination(ctx, {
    family,
    tuple: buffer.tuple,
    destination: packet.destination,
    state: buffer.state,
    status: buffer.result.status,
    remote: packet.remote,
    skipTunnel: packet.skipTunnel,
    hairpin: packet.hairpin,
    fromL7Lb: packet.fromL7Lb,
    proxyPort: packet.proxyPort,
    trace: { reason: buffer.result.status, monitor: packet.monitor },
  })
}

/** tail_handle_ipv4_cont(), tail_handle_ipv6_cont(): slot FROM_LXC_CONT. */
export function tailHandleCont(family: Family): ObjectProgram {
  return {
    symbol: `tail_handle_ipv${family.version}_cont`,
    run: (ctx) => {
      const found = { identity: 0 }
      const result = handleFromLxc(ctx, family, found)
      if (!isError(ctx, result)) return result
      const event = {
        source: ctx.object.security_label,
        destination: found.identity,
        direction: metricDirection.EGRESS,
      }
      return sendDrop(ctx, result, event, places[family.version].dropped)
    },
  }
}
