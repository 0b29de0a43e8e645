// What comes to a pod, in Cilium 1.10: conntrack, reverse translation of service replies, policy, the entry. bpf_lxc.c
// ipv4_policy(), ipv6_policy()
import { ctDirection } from '../../datapath/ct-state.ts'
import { type Ctx, isError } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { type Address, type Family, ipv4 } from '../../datapath/family.ts'
import { ethernetLength, hasHeader } from '../../datapath/headers.ts'
import { checksumOffset } from '../../datapath/l4.ts'
import type { PacketPlace } from '../../datapath/nat-mapping.ts'
import { policyDirection } from '../../datapath/notify.ts'
import { newTuple } from '../../datapath/packet-tuple.ts'
import { isFromEgressProxy, isFromIngressProxy } from '../../datapath/proxy.ts'
import { tracePoint } from '../../datapath/trace-point.ts'
import type { Tuple } from '../../maps/tuple.ts'
import { ctCreate, ctLookup } from '../conntrack.ts'
import { type CtState, ctStatus, isReverse, newCtState } from '../ct-state.ts'
import { handleDsr } from '../dsr-ingress.ts'
import { walkHeaders } from '../headers.ts'
import { lbReverseNat } from '../lb.ts'
import { noChecksum } from '../nat-rewrite.ts'
import { sendPolicyVerdict, sendTrace } from '../notify.ts'
import { policyCanIngress, policyClearMark } from '../policy.ts'
import { proxyRedirect } from '../proxy.ts'

/** A packet that came to this pod. */
interface Incoming {
  readonly ctx: Ctx
  readonly family: Family
  readonly tuple: Tuple
  readonly place: PacketPlace
  /** Identity of the sender. */
  readonly source: number
  /** The packet's source before any translation. */
  readonly originalSource: Address
  /** The device that the trace event names. */
  readonly ifindex: number
  readonly state: CtState
  /** The proxy sent it: it must not go there again. */
  readonly fromProxy: boolean
  status: number
  monitor: number
  /** 0, or a proxy's port as a __be16. */
  verdict: number
}

/** What the caller learns besides the code. */
export interface IngressOutcome {
  /** CTX_ACT_OK, `proxyRedirect`, or a drop reason. */
  readonly result: number
  /** 0 for replies, whose socket the stack finds. */
  readonly proxyPort: number
  /** The tuple, for the proxy. */
  readonly tuple: Tuple | undefined
}

type Ending = number | undefined

/** A trace event with the source that the packet had. */
function trace(packet: Incoming, toPod: boolean, reason: number): void {
  const { ctx, source, ifindex, monitor, originalSource } = packet
  const { security_label, endpoint_id } = ctx.object
  sendTrace(ctx, {
    point: toPod ? tracePoint.TO_LXC : tracePoint.TO_PROXY,
    source,
    destination: security_label,
    endpoint: toPod ? endpoint_id : 0,
    ifindex,
    reason,
    monitor,
    original: originalSource,
  })
}

/** The reply of a service: its address comes back in front of it. IPv6 translates whatever has an entry with its number. */
function translateBack(packet: Incoming): Ending {
  const { ctx, family, tuple, place, state, status } = packet
  const { revNatIndex, loopback } = state
  const four = family === ipv4
  if (revNatIndex === 0 || (four && (loopback || status !== ctStatus.REPLY))) return undefined
  const { hasL4Header } = place.fragment
  const checksum = hasL4Header ? checksumOffset(tuple.nexthdr) : noChecksum
  const reverse = { l4Offset: place.l4Offset, checksum, hasL4Header, tupleSource: four }
  const translated = lbReverseNat(ctx, tuple, reverse, state)
  return isError(ctx, translated) ? translated : undefined
}

/** Policy is asked for replies, too, but only what it says about others counts. */
function policyStage(packet: Incoming): Ending {
  const { ctx, family, tuple, place, source, status } = packet
  const { fragment, l4Offset } = place
  const hairpin = family === ipv4 && packet.state.loopback && !ctx.node.ENABLE_SOCKET_LB_FULL
  if (hairpin) return undefined
  const untrackedFragment = family === ipv4 && !ctx.node.ENABLE_IPV4_FRAGMENTS && fragment.isFragment
  const answer = policyCanIngress(ctx, { remote: source, tuple, l4Offset, untrackedFragment })
  const denied = !isReverse(status) && answer.verdict < 0
  packet.verdict = packet.fromProxy && !denied ? 0 : answer.verdict
  if (denied || status === ctStatus.NEW || status === ctStatus.REOPENED) {
    sendPolicyVerdict(ctx, {
      remote: source,
      port: tuple.dport,
      protocol: tuple.nexthdr,
      direction: policyDirection.INGRESS,
      isIpv6: family.version === 6,
      ...answer,
      verdict: packet.verdict,
    })
  }
  return denied ? answer.verdict : undefined
}

/** The entry of a new connection, which knows whether DSR has brought it. */
function createEntry(packet: Incoming): Ending {
  const { ctx, family, tuple, source, state: known, verdict } = packet
  const state = newCtState()
  if (ctx.node.ENABLE_DSR) {
    const dsr = handleDsr(ctx, family)
    if (typeof dsr === 'number') return dsr
    state.dsr = dsr
  }
  state.srcSecId = source
  state.nodePort = known.nodePort
  state.ifindex = known.ifindex
  const creation = { direction: ctDirection.INGRESS, state, related: true, proxyRedirect: verdict > 0 }
  const created = ctCreate(ctx, tuple, creation)
  return isError(ctx, created) ? created : undefined
}

/** Everything up to the pod: an ending, or undefined for a packet that goes there. */
function decide(packet: Incoming): Ending {
  const { ctx, family, tuple, place, state } = packet
  const found = ctLookup(ctx, tuple, place.l4Offset, ctDirection.INGRESS, state)
  if (found.status < 0) return found.status
  packet.status = found.status
  packet.monitor = found.monitor
  if (isReverse(found.status) && state.proxyRedirect && !isFromEgressProxy(ctx)) {
    trace(packet, false, 0)
    return proxyRedirect
  }
  const failed = translateBack(packet) ?? policyStage(packet)
  if (failed !== undefined) return failed
  const notCreated = found.status === ctStatus.NEW ? createEntry(packet) : undefined
  if (notCreated !== undefined) return notCreated
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return drop.INVALID
  const toProxy = packet.verdict > 0 && !isReverse(found.status)
  trace(packet, !toProxy, found.status)
  return toProxy ? proxyRedirect : undefined
}

/** ipv4_policy(), ipv6_policy(): of a packet from the identity `source`. `ifindex` is for the trace event. */
export function ingressPolicy(ctx: Ctx, family: Family, source: number, ifindex: number): IngressOutcome {
  const l3Offset = ethernetLength(ctx)
  const nothing = { proxyPort: 0, tuple: undefined }
  if (!hasHeader(ctx, family, l3Offset)) return { result: drop.INVALID, ...nothing }
  policyClearMark(ctx)
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return { result: walk, ...nothing }
  const packet: Incoming = {
    ctx,
    family,
    tuple: newTuple(ctx, family, l3Offset, walk.nexthdr),
    place: { l3Offset, l4Offset: l3Offset + walk.length, fragment: walk.fragment },
    source,
    originalSource: ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes),
    ifindex,
    state: newCtState(),
    fromProxy: isFromIngressProxy(ctx),
    status: 0,
    monitor: 0,
    verdict: 0,
  }
  const result = decide(packet) ?? ctx.act.OK
  const proxyPort = isReverse(packet.status) ? 0 : Math.max(packet.verdict, 0)
  return { result, proxyPort, tuple: packet.tuple }
}
