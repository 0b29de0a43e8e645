// What a pod sends, in Cilium 1.10: service, conntrack, identity of the destination, policy, entry. bpf_lxc.c
// handle_ipv4_from_lxc(), ipv6_l3_from_lxc()
import { ctDirection } from '../../datapath/ct-state.ts'
import { type Ctx, isError } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { type Address, type Family, ipv4, ipv6 } from '../../datapath/family.ts'
import { ethernetLength, hasHeader } from '../../datapath/headers.ts'
import { identity } from '../../datapath/identity.ts'
import { type ChecksumOffset, checksumOffset } from '../../datapath/l4.ts'
import type { PacketPlace } from '../../datapath/nat-mapping.ts'
import { policyDirection } from '../../datapath/notify.ts'
import { newTuple } from '../../datapath/packet-tuple.ts'
import type { Tuple } from '../../maps/tuple.ts'
import { ctCreate, ctLookup } from '../conntrack.ts'
import { type CtState, ctStatus, isReverse, newCtState } from '../ct-state.ts'
import { xlateDsr } from '../dsr-ingress.ts'
import { walkHeaders } from '../headers.ts'
import { isSet, lookupRemoteEndpoint } from '../ipcache.ts'
import { encryptKeyOf } from '../ipsec.ts'
import { lbExtractKey, lbLookupService, lbReverseNat, newServiceKey } from '../lb.ts'
import { lbLocal } from '../lb-backend.ts'
import { noChecksum } from '../nat-rewrite.ts'
import { sendPolicyVerdict } from '../notify.ts'
import { type PolicyVerdict, policyCanEgress, policyMarkSkip } from '../policy.ts'
import { redirectToProxy } from '../proxy.ts'
import { call, skipRecirculation } from '../slots.ts'
import { forward } from './forward.ts'

/** A packet of this pod with all that is known about it. */
export interface Outgoing {
  readonly ctx: Ctx
  readonly family: Family
  readonly tuple: Tuple
  readonly place: PacketPlace
  /** Where the checksum is that services change; nowhere where services are translated at the socket. */
  checksum: ChecksumOffset
  /** The state that a new entry gets, and the one that was found. */
  readonly newState: CtState
  readonly state: CtState
  /** Identity of the destination; 0 as long as it is not known. */
  destination: number
  /** Four bytes; undefined: the ipcache says nothing. */
  tunnelEndpoint: Uint8Array | undefined
  /** Index of the key that encrypts what goes there; 0: none, or no IPsec. */
  encryptKey: number
  /** A pod of another node, which WireGuard leads to. */
  toRemotePod: boolean
  /** A pod that reaches itself through a service. */
  hairpin: boolean
  /** The answer of conntrack. */
  status: number
  monitor: number
  verdict: number
}

type Ending = number | undefined

/** The services of the cluster: a drop reason, or undefined. ICMP and unknown protocols have none. */
function serviceStage(packet: Outgoing): Ending {
  const { ctx, family, tuple } = packet
  const { l4Offset, fragment } = packet.place
  const { hasL4Header } = fragment
  if (ctx.node.ENABLE_SOCKET_LB_FULL) return undefined
  if (hasL4Header) packet.checksum = checksumOffset(tuple.nexthdr)
  const key = newServiceKey(tuple)
  const extracted = lbExtractKey(ctx, tuple, l4Offset, ctDirection.EGRESS, key)
  if (extracted === drop.NO_SERVICE || extracted === drop.UNKNOWN_L4) return undefined
  if (isError(ctx, extracted)) return extracted
  const service = lbLookupService(ctx, key, ctx.node.ENABLE_NODEPORT)
  if (service === undefined) return undefined
  const source = ethernetLength(ctx) + family.sourceAt
  const client = ctx.packet.copy(source, family.addressBytes)
  const { checksum } = packet
  const toService = { key, service, l4Offset, checksum, hasL4Header, skipL3: false }
  const result = lbLocal(ctx, { tuple, packet: toService, state: packet.newState, client })
  packet.hairpin = packet.newState.loopback
  return isError(ctx, result) ? result : undefined
}

/** The identity of the destination, which after a service is its backend. */
function resolveDestination(packet: Outgoing, address: Address): void {
  const remote = lookupRemoteEndpoint(packet.ctx, packet.family, address)
  const known = remote !== undefined && remote.secIdentity !== 0
  packet.destination = known ? remote.secIdentity : identity.WORLD_ID
  packet.tunnelEndpoint = known ? remote.tunnelEndpoint : undefined
  packet.encryptKey = known ? encryptKeyOf(packet.ctx, remote.key) : 0
  const isNode = packet.destination === identity.HOST_ID || packet.destination === identity.REMOTE_NODE_ID
  packet.toRemotePod = known && isSet(remote.tunnelEndpoint) && !isNode
}

function sendVerdict(packet: Outgoing, answer: PolicyVerdict): void {
  const { ctx, family, tuple, destination } = packet
  sendPolicyVerdict(ctx, {
    remote: destination,
    port: tuple.dport,
    protocol: tuple.nexthdr,
    direction: policyDirection.EGRESS,
    isIpv6: family.version === 6,
    ...answer,
  })
}

/** Policy is asked for replies, too, but only what it says about others counts. A pod may always reach itself. */
function policyStage(packet: Outgoing): Ending {
  const { ctx, tuple, place, destination, status } = packet
  if (packet.hairpin) return undefined
  const question = { remote: destination, tuple, l4Offset: place.l4Offset }
  const answer = policyCanEgress(ctx, ctx.object.security_label, question)
  packet.verdict = answer.verdict
  const denied = !isReverse(status) && answer.verdict < 0
  if (denied || status === ctStatus.NEW || status === ctStatus.REOPENED) sendVerdict(packet, answer)
  return denied ? answer.verdict : undefined
}

function createEntry(packet: Outgoing): Ending {
  const { ctx, family, tuple, newState: state, verdict } = packet
  state.srcSecId = ctx.object.security_label
  const creation = { direction: ctDirection.EGRESS, state, related: true, proxyRedirect: verdict > 0 }
  const created = ctCreate(ctx, tuple, creation)
  if (family === ipv6) packet.monitor = ctx.node.trace_payload_len
  return isError(ctx, created) ? created : undefined
}

/** A reply of a service, of a NodePort's backend, or of one that DSR has brought here. */
function replyStage(packet: Outgoing): Ending {
  const { ctx, family, tuple, place, state, checksum } = packet
  policyMarkSkip(ctx)
  if (ctx.node.ENABLE_NODEPORT && state.nodePort) {
    ctx.tcIndex |= skipRecirculation
    return ctx.tailCall(family === ipv4 ? call.IPV4_NODEPORT_REVNAT : call.IPV6_NODEPORT_REVNAT)
  }
  if (ctx.node.ENABLE_NODEPORT && ctx.node.ENABLE_DSR && state.dsr) {
    const translated = xlateDsr(ctx, tuple, place)
    if (translated !== 0) return translated
  }
  if (state.revNatIndex === 0) return undefined
  const { l4Offset, fragment } = place
  const reverse = { l4Offset, checksum, hasL4Header: fragment.hasL4Header, tupleSource: false }
  const translated = lbReverseNat(ctx, tuple, reverse, state)
  return isError(ctx, translated) ? translated : undefined
}

function conntrackStage(packet: Outgoing): Ending {
  const { status, state, newState } = packet
  if (isReverse(status)) return replyStage(packet)
  // an entry that was made for another service, or for none, is made anew
  const stale = state.revNatIndex !== newState.revNatIndex
  return status === ctStatus.NEW || stale ? createEntry(packet) : undefined
}

/** From conntrack to policy's and conntrack's end: an ending, or undefined for a packet that goes on. */
function decide(packet: Outgoing): Ending {
  const { ctx, tuple, place, state } = packet
  const failed = serviceStage(packet)
  if (failed !== undefined) return failed
  const destination = tuple.daddr.slice()
  const found = ctLookup(ctx, tuple, place.l4Offset, ctDirection.EGRESS, state)
  if (found.status < 0) return found.status
  packet.status = found.status
  packet.monitor = found.monitor
  // a reply of a connection that an ingress proxy took: the stack finds the socket
  if (isReverse(found.status) && state.proxyRedirect) return redirectToProxy(ctx, tuple, 0, false)
  if (packet.family === ipv6 && !hasHeader(ctx, ipv6, ethernetLength(ctx))) return drop.INVALID
  resolveDestination(packet, destination)
  return policyStage(packet) ?? conntrackStage(packet)
}

/** What became of a packet, and its destination's identity as far as that was found out. */
export interface EgressOutcome {
  readonly result: number
  readonly destination: number
}

/**
 * handle_ipv4_from_lxc(), ipv6_l3_from_lxc() behind the check of the source: of a packet whose IP header can be read.
 */
export function handleFromLxc(ctx: Ctx, family: Family): EgressOutcome {
  const l3Offset = ethernetLength(ctx)
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return { result: walk, destination: 0 }
  const packet: Outgoing = {
    ctx,
    family,
    tuple: newTuple(ctx, family, l3Offset, walk.nexthdr),
    place: { l3Offset, l4Offset: l3Offset + walk.length, fragment: walk.fragment },
    checksum: noChecksum,
    newState: newCtState(),
    state: newCtState(),
    destination: 0,
    tunnelEndpoint: undefined,
    encryptKey: 0,
    toRemotePod: false,
    hairpin: false,
    status: 0,
    monitor: 0,
    verdict: 0,
  }
  const result = decide(packet) ?? forward(packet)
  return { result, destination: packet.destination }
}
