// A packet for a service that comes from outside, in Cilium 1.10: its backend, the entries of its connection, which for a backend
// of this node are two, and its way to another node. bpf/lib/nodeport.h nodeport_lb4(), nodeport_lb6()
import { readLe32, swap16 } from '../../bpf/context/byte-order.ts'
import { ctMapOf } from '../datapath/conntrack.ts'
import { ctDirection } from '../datapath/ct-state.ts'
import { isAlive } from '../datapath/ct-update.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { lookupEndpoint } from '../datapath/endpoints.ts'
import { protocolNumber } from '../datapath/family.ts'
import { checksumOffset } from '../datapath/l4.ts'
import type { PacketPlace } from '../datapath/nat-mapping.ts'
import { neighRecord } from '../datapath/neigh.ts'
import { isSourceAllowed } from '../datapath/nodeport-service.ts'
import { setXfer, xferFlag } from '../datapath/overloadable.ts'
import { edtSetAggregate } from '../datapath/throttle.ts'
import { monoNow, secToMono } from '../datapath/time.ts'
import { type Service, type ServiceKey, serviceFlag } from '../maps/service.ts'
import { type Tuple, tupleFlag } from '../maps/tuple.ts'
import { ctCreate, ctLookup } from './conntrack.ts'
import { LegacyCtEntry } from './ct-entry.ts'
import { type CtState, ctStatus, newCtState } from './ct-state.ts'
import { lbLocal } from './lb-backend.ts'
import { natDirection } from './nat.ts'
import { noChecksum } from './nat-rewrite.ts'
import { ownLabel } from './nodeport-route.ts'
import { call, cb, nodeportNat } from './slots.ts'

const dsr = { 4: call.IPV4_NODEPORT_DSR, 6: call.IPV6_NODEPORT_DSR } as const

/** nodeport_uses_dsr() */
export function usesDsr(ctx: Ctx, nexthdr: number): boolean {
  const { ENABLE_DSR, ENABLE_DSR_HYBRID } = ctx.node
  return ENABLE_DSR && (!ENABLE_DSR_HYBRID || nexthdr === protocolNumber.TCP)
}

/** __ct_entry_keep_alive(): of the second entry of a connection to a backend of this node. False: there is none. */
function keepAlive(ctx: Ctx, tuple: Tuple): boolean {
  const found = ctx.lookup(ctMapOf(ctx, tuple), tuple.bytes)
  if (found === undefined) return false
  const entry = new LegacyCtEntry(found)
  if (!entry.is('node_port')) return true
  const { CT_SERVICE_LIFETIME_TCP, CT_SERVICE_LIFETIME_NONTCP } = ctx.node
  const lifetime = entry.is('seen_non_syn') ? CT_SERVICE_LIFETIME_TCP : CT_SERVICE_LIFETIME_NONTCP
  entry.lifetime = monoNow(ctx) + secToMono(ctx.node, lifetime)
  if (!isAlive(entry)) {
    entry.set('rx_closing', false)
    entry.set('tx_closing', false)
  }
  return true
}

/** The state of entries for connections through a NodePort of this device. */
function markNodeport(ctx: Ctx, state: CtState): void {
  state.srcSecId = ownLabel(ctx)
  state.nodePort = true
  state.ifindex = ctx.object.kind === 'bpf_overlay' ? 0 : ctx.object.interface_ifindex
}

/** The entry that the pod's program will find: without a number, so that it translates nothing. 0 or a drop reason. */
function createLocal(ctx: Ctx, tuple: Tuple, state: CtState): number {
  state.revNatIndex = 0
  return ctCreate(ctx, tuple, { direction: ctDirection.INGRESS, state, related: false })
}

/** Makes or refreshes the entries of the connection to the backend. 0 or a drop reason. */
function track(ctx: Ctx, tuple: Tuple, l4Offset: number, local: boolean, newState: CtState): number {
  const state = newCtState()
  const revNatIndex = newState.revNatIndex
  const { status } = ctLookup(ctx, tuple, l4Offset, ctDirection.EGRESS, state)
  if (status < 0 || status === ctStatus.RELATED) return drop.UNKNOWN_CT
  const anew = status === ctStatus.NEW || state.revNatIndex !== revNatIndex
  if (anew) {
    markNodeport(ctx, newState)
    const made = ctCreate(ctx, tuple, { direction: ctDirection.EGRESS, state: newState, related: false })
    if (isError(ctx, made)) return made
  }
  if (!local) return 0
  tuple.flags ^= tupleFlag.IN
  if (!anew && keepAlive(ctx, tuple)) return 0
  markNodeport(ctx, newState)
  const made = createLocal(ctx, tuple, newState)
  return isError(ctx, made) ? made : 0
}

/** To a backend of another node: by DSR, or with this node's address as its source. */
function toRemote(ctx: Ctx, tuple: Tuple, key: ServiceKey): number {
  const { version, addressBytes } = tuple.family
  edtSetAggregate(ctx, 0)
  if (!usesDsr(ctx, tuple.nexthdr)) {
    ctx.setMeta(cb.NAT, natDirection.EGRESS)
    return ctx.tailCall(nodeportNat[version])
  }
  ctx.setMeta(cb.PORT, swap16(key.dport)) // a __be16
  for (let word = 0; word < addressBytes / 4; word += 1) {
    ctx.setMeta(cb.ADDR_V4 + word, readLe32(key.address, word * 4))
  }
  return ctx.tailCall(dsr[version])
}

/**
 * The part of nodeport_lb4() and nodeport_lb6() for a packet whose service is known: CTX_ACT_OK for a backend of this node, else
 * a drop reason; the way to another node is a tail call.
 */
export function serveNodeport(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  key: ServiceKey,
  service: Service,
): number {
  const { family } = tuple
  const { l4Offset } = place
  const client = tuple.saddr.slice()
  if (!isSourceAllowed(ctx, family, service, client)) return drop.NOT_IN_SRC_RANGE
  const { hasL4Header } = place.fragment
  const checksum = hasL4Header ? checksumOffset(tuple.nexthdr) : noChecksum
  const packet = { key, service, l4Offset, checksum, hasL4Header, skipL3: false }
  const state = newCtState()
  const chosen = lbLocal(ctx, { tuple, packet, state, client })
  if (isError(ctx, chosen)) return chosen
  if ((service.flags & serviceFlag.ROUTABLE) === 0) return drop.IS_CLUSTER_IP
  const local = lookupEndpoint(ctx, family, tuple.daddr) !== undefined
  if (!local && (service.flags & serviceFlag.HOSTPORT) !== 0) return drop.INVALID
  if (local || !usesDsr(ctx, tuple.nexthdr)) {
    const tracked = track(ctx, tuple, l4Offset, local, state)
    if (tracked < 0) return tracked
    const noted = neighRecord(ctx, family)
    if (noted < 0) return noted
  }
  if (!local) return toRemote(ctx, tuple, key)
  setXfer(ctx, xferFlag.PKT_NO_SVC)
  return ctx.act.OK
}
