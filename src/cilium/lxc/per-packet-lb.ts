// The first stage of a packet that a pod sends: is it for a service? bpf_lxc.c __per_packet_lb_svc_xlate_4()
import { swap16 } from '../../bpf/context/byte-order.ts'
import { ctMapOf, swapTuple } from '../datapath/conntrack.ts'
import { ctEgressEntry } from '../datapath/ct-entries.ts'
import { newCtState } from '../datapath/ct-state.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Family, sameAddress } from '../datapath/family.ts'
import { ethernetLength, walkHeaders } from '../datapath/headers.ts'
import { isRemoteNode } from '../datapath/identity.ts'
import { lookupRemoteEndpoint } from '../datapath/ipcache.ts'
import { lbExtractTuple, lbFillKey, lbLookupService, lbTuple } from '../datapath/lb.ts'
import { lbDnatRequest, lbLocal } from '../datapath/lb-backend.ts'
import type { PacketPlace } from '../datapath/nat-mapping.ts'
import { nonRoutable } from '../datapath/no-service.ts'
import { usesDsr } from '../datapath/nodeport-service.ts'
import { call } from '../datapath/tail-calls.ts'
import { type Service, type ServiceKey, serviceFlag, serviceFlag2 } from '../maps/service.ts'
import type { Tuple } from '../maps/tuple.ts'
import { noteDsrNat } from './dsr-nat.ts'
import { type LbState, noService, storeLbState } from './lb-state.ts'

/** lb4_lookup_wildcard_nodeport_service(): a NodePort of another node is that of this one too. */
function lookupWildcardNodeport(ctx: Ctx, key: ServiceKey): Service | undefined {
  const { NODEPORT_PORT_MIN, NODEPORT_PORT_MAX, ENABLE_NODEPORT } = ctx.node
  if (!ENABLE_NODEPORT || key.dport < NODEPORT_PORT_MIN || key.dport > NODEPORT_PORT_MAX) return undefined
  const remote = lookupRemoteEndpoint(ctx, key.family, key.address)
  if (remote === undefined || !isRemoteNode(remote.secIdentity) || remote.remoteCluster) return undefined
  key.address = new Uint8Array(key.family.addressBytes)
  return lbLookupService(ctx, key, true)
}

/** With DSR the backend of a remote NodePort is chosen here, for connections that are not known by their old way. */
function lookupDsrNodeport(ctx: Ctx, tuple: Tuple, key: ServiceKey): Service | undefined {
  if (!ctx.node.ENABLE_DSR) return undefined
  const forward = tuple.copy()
  swapTuple(forward)
  if (ctEgressEntry(ctx, ctMapOf(ctx, forward), forward) !== undefined) return undefined
  const service = lookupWildcardNodeport(ctx, key)
  if (service === undefined || (service.flags & serviceFlag.NODEPORT) === 0) return undefined
  if (!usesDsr(ctx, service)) return undefined
  noteDsrNat(ctx, tuple.daddr, tuple.sport)
  return service
}

/** Services that others translate: those of an L7 proxy, and what a local redirect policy leaves to the socket. */
function leftAlone(ctx: Ctx, service: Service): LbState | undefined {
  const { node } = ctx
  const { flags, flags2, backendId } = service
  if (node.ENABLE_L7_LB) {
    if ((flags2 & serviceFlag2.L7_LOADBALANCER) !== 0) {
      return { ...noService, proxyPort: swap16(backendId & 0xffff) }
    }
    const punts = (flags & serviceFlag.HOSTPORT) === 0 && (flags2 & serviceFlag2.L7_DELEGATE) !== 0
    if (punts) return noService
  }
  const localRedirect = (flags2 & serviceFlag2.LOCALREDIRECT) !== 0
  return node.enable_lrp && node.ENABLE_SOCKET_LB_FULL && localRedirect ? noService : undefined
}

/** What to do where the service has no backend. */
function withoutBackend(ctx: Ctx, family: Family, service: Service): number {
  if (!ctx.node.enable_no_service_endpoints_routable) return nonRoutable(ctx, service)
  if (!ctx.node.SERVICE_NO_BACKEND_RESPONSE) return drop.NO_SERVICE
  return ctx.tailCall(family.version === 4 ? call.IPV4_NO_SERVICE : call.IPV6_NO_SERVICE)
}

/** The packet goes to a backend. Local redirect policies that exempt a pod (cilium_skip_lb4) are not modelled. */
function toBackend(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  found: { readonly key: ServiceKey; readonly service: Service },
): LbState | number {
  const state = newCtState()
  const backend = lbLocal(ctx, tuple, { ...found, place }, state)
  if (typeof backend === 'number') {
    return backend === drop.NO_SERVICE ? withoutBackend(ctx, tuple.family, found.service) : backend
  }
  const loopback = sameAddress(tuple.saddr, backend.address)
  const translated = lbDnatRequest(ctx, tuple, place, backend, loopback)
  if (isError(ctx, translated)) return translated
  return { loopback, revNatIndex: state.revNatIndex, proxyPort: 0 }
}

/** The state for conntrack, or a code that ends the program. */
function translate(ctx: Ctx, family: Family): LbState | number {
  const l3Offset = ethernetLength(ctx)
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const { fragment } = walk
  const place: PacketPlace = { l3Offset, l4Offset: l3Offset + walk.length, fragment }
  const tuple = lbTuple(family, walk.nexthdr)
  const extracted = lbExtractTuple(ctx, tuple, place)
  if (extracted === drop.UNSUPP_SERVICE_PROTO || extracted === drop.UNKNOWN_L4) return noService
  if (isError(ctx, extracted)) return extracted
  const key = lbFillKey(tuple)
  const service = lbLookupService(ctx, key, ctx.node.ENABLE_NODEPORT) ?? lookupDsrNodeport(ctx, tuple, key)
  if (service === undefined) return noService
  return leftAlone(ctx, service) ?? toBackend(ctx, tuple, place, { key, service })
}

/** Looks for a service, then goes on to conntrack by a tail call: comes back only with an error. */
export function perPacketLb(ctx: Ctx, family: Family): number {
  const state = translate(ctx, family)
  if (typeof state === 'number') return state
  storeLbState(ctx, family, state)
  return ctx.tailCall(family.version === 4 ? call.IPV4_CT_EGRESS : call.IPV6_CT_EGRESS)
}
