// What comes to a pod, after conntrack was asked: policy, the entry, reverse translation of service replies. bpf_lxc.c
// ipv4_policy(), ipv6_policy()
import { authLookup } from '../datapath/auth.ts'
import { ctAnyMap, ctCreate, ctMapOf } from '../datapath/conntrack.ts'
import { type CtBuffer, loadCtBuffer } from '../datapath/ct-buffer.ts'
import { ctHasLoopbackEgressEntry } from '../datapath/ct-entries.ts'
import { ctDirection, ctStatus, newCtState } from '../datapath/ct-state.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import { type Address, type Family, sameAddress } from '../datapath/family.ts'
import type { FragmentInfo } from '../datapath/fragments.ts'
import { fragmentInfo4 } from '../datapath/fragments.ts'
import { ethernetLength } from '../datapath/headers.ts'
import { lookupRemoteEndpoint } from '../datapath/ipcache.ts'
import { reverseNat, reverseNatByIndex } from '../datapath/lb.ts'
import { policyDirection, sendPolicyVerdict, sendTrace } from '../datapath/notify.ts'
import { policyCanIngress } from '../datapath/policy.ts'
import { isFromEgressProxy, isFromIngressProxy } from '../datapath/proxy.ts'
import { tracePoint } from '../datapath/trace-point.ts'
import { natAddressOf } from '../maps/ct-entry.ts'
import { hasPerPacketLb } from './settings.ts'

const places = {
  4: { toLxc: where('bpf_lxc.c', 2299), toProxy: where('bpf_lxc.c', 2306) },
  6: { toLxc: where('bpf_lxc.c', 1984), toProxy: where('bpf_lxc.c', 1991) },
} as const

/** POLICY_ACT_PROXY_REDIRECT: the packet is for the proxy. */
export const proxyRedirect = 1 << 16

/** A packet that came to this pod. */
interface Incoming {
  readonly ctx: Ctx
  readonly family: Family
  readonly buffer: CtBuffer
  readonly fragment: FragmentInfo
  /** Identity of the sender. */
  readonly source: number
  /** The packet's source before any translation. */
  readonly originalSource: Address
  readonly fromTunnel: boolean
  /** Set where this is a pod's connection to itself. */
  loopback: boolean
  proxyPort: number
}

/** What the caller learns besides the code. */
export interface IngressOutcome {
  /** CTX_ACT_OK, `proxyRedirect`, or a drop reason. */
  readonly result: number
  /** 0 for replies, whose socket the stack finds. */
  readonly proxyPort: number
  /** The tuple, for the proxy. */
  readonly buffer: CtBuffer | undefined
}

type Ending = number | undefined

/** Ingress policy, its event, and authentication. A drop reason, or undefined. */
function applyPolicy(packet: Incoming): Ending {
  const { ctx, family, buffer, source, fragment } = packet
  const { tuple, l4Offset, result } = buffer
  const { ENABLE_IPV4_FRAGMENTS, ENABLE_IPV6_FRAGMENTS } = ctx.node
  const tracked = family.version === 4 ? ENABLE_IPV4_FRAGMENTS : ENABLE_IPV6_FRAGMENTS
  const untrackedFragment = !tracked && fragment.isFragment
  const answer = policyCanIngress(ctx, { remote: source, tuple, l4Offset, untrackedFragment })
  let { verdict } = answer
  let authType = 0
  packet.proxyPort = answer.proxyPort
  if (verdict === drop.POLICY_AUTH_REQUIRED) {
    const sender = lookupRemoteEndpoint(ctx, family, packet.originalSource)
    if (sender !== undefined) {
      authType = ctx.extErr & 0xff
      verdict = authLookup(ctx, ctx.object.security_label, source, sender.tunnelEndpoint, authType)
    }
  }
  if (verdict !== ctx.act.OK || result.status !== ctStatus.ESTABLISHED) {
    sendPolicyVerdict(ctx, {
      remote: source,
      port: tuple.dport,
      protocol: tuple.nexthdr,
      direction: policyDirection.INGRESS,
      isIpv6: family.version === 6,
      verdict,
      proxyPort: answer.proxyPort,
      match: answer.match,
      audited: answer.audited,
      authType,
      cookie: answer.cookie,
    })
  }
  return verdict === ctx.act.OK ? undefined : verdict
}

/** The reply of a service: its address comes back in front of it. A drop reason, or undefined. */
function translateBack(packet: Incoming): Ending {
  const { ctx, buffer, fragment } = packet
  const { state, tuple, l4Offset } = buffer
  const { revNatIndex, loopback, natPort } = state
  if (revNatIndex === 0 && natPort === 0) return undefined
  const place = { l3Offset: ethernetLength(ctx), l4Offset, fragment }
  const address = natAddressOf(state.natAddress, packet.family.addressBytes)
  const result =
    natPort === 0
      ? reverseNatByIndex(ctx, tuple, place, { revNatIndex, loopback })
      : reverseNat(ctx, tuple, place, { nat: { address, port: natPort }, loopback })
  return isError(ctx, result) ? result : undefined
}

/** Whether this packet is a pod's connection to itself through a service. */
function isLoopback(packet: Incoming): boolean {
  const { ctx, family, buffer } = packet
  if (!hasPerPacketLb(ctx.node)) return false
  const { service_loopback_ipv4, service_loopback_ipv6 } = ctx.node
  const loopbackAddress = family.version === 4 ? service_loopback_ipv4 : service_loopback_ipv6
  const { tuple, result } = buffer
  if (result.status === ctStatus.NEW && sameAddress(packet.originalSource, loopbackAddress)) {
    if (ctHasLoopbackEgressEntry(ctx, ctMapOf(ctx, tuple), tuple)) {
      packet.loopback = true
      return true
    }
  }
  return buffer.state.loopback
}

/** Replies are not policed. Those of a proxied connection go to the proxy, unless it is the proxy that sent them. */
function replyStage(packet: Incoming): Ending {
  const { ctx, buffer } = packet
  const { state } = buffer
  const l7 = ctx.node.ENABLE_L7_LB && state.fromL7lb
  if (l7 || (state.proxyRedirect && !isFromEgressProxy(ctx))) return proxyRedirect
  return translateBack(packet)
}

function createEntry(packet: Incoming): Ending {
  const { ctx, family, buffer } = packet
  const { tuple } = buffer
  const state = newCtState()
  state.loopback = packet.loopback
  state.srcSecId = packet.source
  state.fromTunnel = packet.fromTunnel
  state.proxyRedirect = packet.proxyPort > 0
  const map = ctMapOf(ctx, tuple)
  const failed = ctCreate(ctx, map, ctAnyMap(ctx, family), tuple, ctDirection.INGRESS, state)
  return isError(ctx, failed) ? failed : undefined
}

/** Everything but the trace event: an ending, or undefined for a packet that goes to the pod. */
function decide(packet: Incoming): Ending {
  const { ctx, buffer } = packet
  const { status } = buffer.result
  if (status === ctStatus.REPLY || status === ctStatus.RELATED) return replyStage(packet)
  const unpoliced = isFromIngressProxy(ctx) || isLoopback(packet)
  const denied = unpoliced ? undefined : applyPolicy(packet)
  if (denied !== undefined) return denied
  const failed = status === ctStatus.NEW ? createEntry(packet) : undefined
  if (failed !== undefined) return failed
  return packet.proxyPort > 0 ? proxyRedirect : undefined
}

function trace(packet: Incoming, toProxy: boolean): void {
  const { ctx, family, buffer } = packet
  const { security_label, endpoint_id, interface_ifindex } = ctx.object
  const { status, monitor } = buffer.result
  const event = {
    point: toProxy ? tracePoint.TO_PROXY : tracePoint.TO_LXC,
    source: packet.source,
    destination: security_label,
    endpoint: toProxy ? packet.proxyPort : endpoint_id,
    ifindex: interface_ifindex,
    reason: status,
    monitor,
    etherType: family.etherType,
    original: packet.originalSource,
  }
  const { toLxc, toProxy: proxyPlace } = places[family.version]
  sendTrace(ctx, event, toProxy ? proxyPlace : toLxc)
}

/** ipv4_policy(), ipv6_policy(): of a packet with its IP header in place, from the identity `source`. */
export function ingressPolicy(ctx: Ctx, family: Family, source: number, fromTunnel: boolean): IngressOutcome {
  const l3Offset = ethernetLength(ctx)
  const originalSource = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const fragment4 = family.version === 4 ? fragmentInfo4(ctx, l3Offset) : undefined
  const buffer = loadCtBuffer(ctx, family)
  if (buffer === undefined) return { result: drop.INVALID_TC_BUFFER, proxyPort: 0, buffer }
  const packet: Incoming = {
    ctx,
    family,
    buffer,
    fragment: fragment4 ?? buffer.fragment,
    source,
    originalSource,
    fromTunnel,
    loopback: false,
    proxyPort: 0,
  }
  const ending = decide(packet)
  const { proxyPort } = packet
  if (ending !== undefined && ending !== proxyRedirect) return { result: ending, proxyPort, buffer }
  trace(packet, ending === proxyRedirect)
  return { result: ending ?? ctx.act.OK, proxyPort, buffer }
}
