// A packet from outside for a service: a backend is chosen and the packet sent to it, with this node as its source so that
// the reply comes back here, or unchanged for direct server return. lib/nodeport.h nodeport_svc_lb4(), nodeport_svc_lb6()
import { readLe32, swap16, writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { type Backend, type Service, type ServiceKey, serviceFlag, serviceFlag2 } from '../maps/service.ts'
import type { Tuple } from '../maps/tuple.ts'
import { dsrEncapMode } from './config.ts'
import { ctCreate, ctLazyLookup, ctMapOf, swapTuple } from './conntrack.ts'
import { ctDirection, ctEntryType, ctScope, ctStatus, newCtState } from './ct-state.ts'
import { type Ctx, cb, isError } from './ctx.ts'
import { drop, type Where, where } from './drop-reason.ts'
import { lookupEndpoint } from './endpoints.ts'
import { type Address, type Family, ipv4 } from './family.ts'
import { identity, worldId } from './identity.ts'
import { isWildcardKey } from './lb.ts'
import { lbDnatRequest, lbLocal } from './lb-backend.ts'
import { mark } from './mark.ts'
import type { PacketPlace } from './nat-mapping.ts'
import { neighRecord } from './neigh.ts'
import { nonRoutable, noServiceTails } from './no-service.ts'
import type { NodeportResult } from './nodeport.ts'
import { dsrTails } from './nodeport-dsr.ts'
import { natEgressSlot, natEgressTail } from './nodeport-nat-egress.ts'
import { sendTrace } from './notify.ts'
import type { ObjectProgram } from './object.ts'
import { setXfer, xferFlag } from './overloadable.ts'
import { redirectToProxyHairpin } from './proxy.ts'
import { call } from './tail-calls.ts'
import { edtSetAggregate } from './throttle.ts'
import { tracePoint, traceReason } from './trace-point.ts'

const toProxy: Readonly<Record<4 | 6, Where>> = { 4: where('nodeport.h', 2796), 6: where('nodeport.h', 1404) }

const slots = {
  4: { dsr: call.IPV4_NODEPORT_DSR, noService: call.IPV4_NO_SERVICE },
  6: { dsr: call.IPV6_NODEPORT_DSR, noService: call.IPV6_NO_SERVICE },
} as const

/** A packet and the service that it is for. */
export interface ServicePacket {
  readonly tuple: Tuple
  readonly place: PacketPlace
  readonly key: ServiceKey
  readonly service: Service
  /** Identity of the sender. */
  readonly source: number
}

const done = (result: number): NodeportResult => ({ result, puntToStack: false, isDsr: false })
const punted = (result: number): NodeportResult => ({ result, puntToStack: true, isDsr: false })

/** nodeport_uses_dsr4(), nodeport_uses_dsr6() */
export function usesDsr(ctx: Ctx, { flags2 }: Service): boolean {
  const { ENABLE_DSR, ENABLE_DSR_BYUSER } = ctx.node
  if (!ENABLE_DSR) return false
  return !ENABLE_DSR_BYUSER || (flags2 & serviceFlag2.FWD_MODE_DSR) !== 0
}

/** nodeport_skip_xlate4(): with IPIP the packet reaches the backend as it was sent. */
function skipsTranslation(ctx: Ctx, service: Service): boolean {
  return ctx.node.DSR_ENCAP_MODE === dsrEncapMode.IPIP && usesDsr(ctx, service)
}

/** lb4_src_range_ok(), lb6_src_range_ok(): whether the service takes packets from this address. */
export function isSourceAllowed(ctx: Ctx, family: Family, service: Service, source: Address): boolean {
  if ((service.flags & serviceFlag.SOURCE_RANGE) === 0) return true
  const key = new Uint8Array(8 + family.addressBytes)
  writeLe32(key, 0, 32 + family.addressBytes * 8)
  writeLe16(key, 4, service.revNatIndex)
  key.set(source, 8)
  const { maps } = ctx
  const map = family.version === 4 ? maps.cilium_lb4_source_range : maps.cilium_lb6_source_range
  const listed = ctx.lookup(map, key) !== undefined
  return listed !== ((service.flags2 & serviceFlag2.SOURCE_RANGE_DENY) !== 0)
}

/** lb4_svc_is_l7_punt_proxy() */
function isL7Punt({ flags, flags2 }: Service): boolean {
  return (flags & serviceFlag.HOSTPORT) === 0 && (flags2 & serviceFlag2.L7_DELEGATE) !== 0
}

/** A service whose backends the L7 proxy of this node chooses. In XDP the packet is left to tc. */
function toL7Proxy(ctx: Ctx, packet: ServicePacket): NodeportResult {
  if (ctx.isXdp) return done(ctx.act.OK)
  const { service, source, tuple } = packet
  const { family } = tuple
  // a __be16 in a u32: the port as the proxy's socket has it, in network order
  const proxyPort = swap16(service.backendId & 0xffff)
  const event = {
    point: tracePoint.TO_PROXY,
    source,
    destination: identity.UNKNOWN_ID,
    endpoint: proxyPort,
    ifindex: ctx.object.interface_ifindex,
    reason: traceReason.POLICY,
    monitor: 0,
    etherType: family.etherType,
  }
  sendTrace(ctx, event, toProxy[family.version])
  if (ctx.node.ENABLE_TPROXY) return done(redirectToProxyHairpin(ctx, family, proxyPort))
  if (ctx.object.proxy_redirect_via_cilium_net) {
    const result = redirectToProxyHairpin(ctx, family, proxyPort)
    ctx.mark = ctx.meta(cb.PROXY_MAGIC)
    return done(result)
  }
  ctx.mark = (mark.TO_PROXY | (swap16(proxyPort) << 16)) >>> 0
  return punted(ctx.act.OK)
}

/** What to do where no backend is there. */
function withoutBackend(ctx: Ctx, packet: ServicePacket): number {
  const { service, tuple } = packet
  if (!ctx.node.enable_no_service_endpoints_routable) return nonRoutable(ctx, service)
  if (!ctx.node.SERVICE_NO_BACKEND_RESPONSE) return drop.NO_SERVICE
  edtSetAggregate(ctx, 0)
  return ctx.tailCall(slots[tuple.family.version].noService)
}

/** The entry by which replies will be recognised. CTX_ACT_OK or a drop reason. */
function track(ctx: Ctx, packet: ServicePacket, revNatIndex: number): number {
  const { tuple, place } = packet
  swapTuple(tuple)
  const state = newCtState()
  state.revNatIndex = revNatIndex
  const map = ctMapOf(ctx, tuple)
  const found = ctLazyLookup(ctx, map, tuple, {
    ...place,
    direction: ctDirection.EGRESS,
    scope: ctScope.FORWARD,
    entryTypes: ctEntryType.NODEPORT,
    state,
  })
  if (found.status < 0) return found.status
  if (found.status === ctStatus.ESTABLISHED) return 0
  if (found.status !== ctStatus.NEW) return drop.UNKNOWN_CT
  state.srcSecId = worldId(ctx.node, tuple.family)
  state.nodePort = true
  const created = ctCreate(ctx, map, undefined, tuple, ctDirection.EGRESS, state)
  return isError(ctx, created) ? created : 0
}

/** Leaves to slot DSR what it has to tell the backend's node. */
function storeDsr(ctx: Ctx, packet: ServicePacket, backend: Backend): void {
  const { key, tuple, place } = packet
  const { family } = tuple
  const four = family.version === 4
  const ipip = ctx.node.DSR_ENCAP_MODE === dsrEncapMode.IPIP
  const address = ipip ? backend.address : key.address
  if (ipip) {
    ctx.setMeta(cb.PORT, ((swap16(tuple.sport) << 16) | swap16(tuple.dport)) >>> 0)
  } else ctx.setMeta(cb.PORT, swap16(key.dport))
  for (let word = 0; word < family.addressBytes / 4; word += 1) {
    ctx.setMeta(cb.ADDR_V4 + word, readLe32(address, word * 4))
  }
  if (four && !ipip) ctx.setMeta(cb.DSR_L3_OFF, place.l3Offset)
}

/** Sends the packet on its way to a backend on another node. Comes back only with an error. */
function forward(ctx: Ctx, packet: ServicePacket, backend: Backend): number {
  const { version } = packet.tuple.family
  edtSetAggregate(ctx, 0)
  if (usesDsr(ctx, packet.service)) {
    storeDsr(ctx, packet, backend)
    return ctx.tailCall(slots[version].dsr)
  }
  if (version === 4) {
    ctx.setMeta(cb.SRC_LABEL, worldId(ctx.node, ipv4))
    ctx.setMeta(cb.CLUSTER_ID_EGRESS, 0)
  } else ctx.setMeta(cb.NAT_46X64, 0)
  return ctx.tailCall(natEgressSlot[version])
}

/** Reasons to refuse the packet, or to leave it to others, before a backend is chosen. */
function refuse(ctx: Ctx, packet: ServicePacket): NodeportResult | undefined {
  const { key, service, tuple } = packet
  if (isWildcardKey(key)) return done(drop.NO_SERVICE)
  if (!isSourceAllowed(ctx, tuple.family, service, tuple.saddr)) return done(drop.NOT_IN_SRC_RANGE)
  if ((service.flags & serviceFlag.ROUTABLE) === 0) return done(drop.IS_CLUSTER_IP)
  // tc is faster with what GRO has put together
  if (ctx.isXdp && (service.flags & serviceFlag.EXT_LOCAL_SCOPE) !== 0) return done(ctx.act.OK)
  if (ctx.node.ENABLE_L7_LB && (service.flags2 & serviceFlag2.L7_LOADBALANCER) !== 0) {
    return toL7Proxy(ctx, packet)
  }
  return undefined
}

/** nodeport_svc_lb4(), nodeport_svc_lb6() */
export function nodeportService(ctx: Ctx, packet: ServicePacket): NodeportResult {
  const { tuple, place, service } = packet
  const { family } = tuple
  const refused = refuse(ctx, packet)
  if (refused !== undefined) return refused
  const state = newCtState()
  const backend = lbLocal(ctx, tuple, packet, state)
  if (typeof backend === 'number') {
    return done(backend === drop.NO_SERVICE ? withoutBackend(ctx, packet) : backend)
  }
  const isLocal = lookupEndpoint(ctx, family, backend.address) !== undefined
  if (!isLocal && (service.flags & serviceFlag.HOSTPORT) !== 0) return done(drop.INVALID)
  if (isLocal && isL7Punt(service)) {
    setXfer(ctx, xferFlag.PKT_NO_SVC)
    return punted(ctx.act.OK)
  }
  if (!skipsTranslation(ctx, service)) {
    const translated = lbDnatRequest(ctx, tuple, place, backend, false)
    if (isError(ctx, translated)) return done(translated)
  }
  if (isLocal || !usesDsr(ctx, service)) {
    const tracked = track(ctx, packet, state.revNatIndex)
    if (tracked !== 0) return done(tracked)
    if (isLocal) {
      setXfer(ctx, xferFlag.PKT_NO_SVC)
      return done(ctx.act.OK)
    }
    const recorded = neighRecord(ctx, family)
    if (recorded < 0) return done(recorded)
  }
  return done(forward(ctx, packet, backend))
}

/** Slots NAT_EGRESS, DSR and NO_SERVICE of one family. */
export function serviceTails(family: Family): [number, ObjectProgram][] {
  return [natEgressTail(family), ...dsrTails(family), ...noServiceTails(family)]
}
