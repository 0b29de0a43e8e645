// Which backend a packet of a service goes to: the one that conntrack remembers, the one that the client had before, or a
// new choice; and the packet's new destination. lib/lb.h lb4_local(), lb4_dnat_request() and their IPv6 siblings
import { readLe32, writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { checksumFlag } from '../../bpf/helpers/checksum.ts'
import { readLe64, writeLe64 } from '../maps/ct-entry.ts'
import {
  affinityTimeout,
  algorithmOf,
  type Backend,
  backendState,
  readBackend,
  readService,
  type Service,
  type ServiceKey,
  serviceFlag,
} from '../maps/service.ts'
import type { Tuple } from '../maps/tuple.ts'
import { ctCreate, ctLazyLookup, ctMapOf } from './conntrack.ts'
import { ctUpdateServiceEntry } from './ct-entries.ts'
import { type CtState, ctDirection, ctEntryType, ctScope, ctStatus } from './ct-state.ts'
import { type Ctx, isError } from './ctx.ts'
import { drop } from './drop-reason.ts'
import type { Address, Family } from './family.ts'
import { checksumOffset, modifyPort, portAt, replaceL4, updateIpv4Checksum } from './l4.ts'
import type { PacketPlace } from './nat-mapping.ts'
import { monoNow, secToMono } from './time.ts'
import { hashFromTuple } from './tuple-hash.ts'

/** LB_SELECTION_* */
export const lbSelection = { RANDOM: 1, MAGLEV: 2, FIRST: 3 } as const

/** lb4_lookup_backend(), lb6_lookup_backend() */
function lookupBackend(ctx: Ctx, family: Family, id: number): Backend | undefined {
  const { maps } = ctx
  const key = new Uint8Array(4)
  writeLe32(key, 0, id)
  const map = family.version === 4 ? maps.cilium_lb4_backends_v3 : maps.cilium_lb6_backends_v3
  const value = ctx.lookup(map, key)
  return value === undefined ? undefined : readBackend(family, value)
}

/** lb4_lookup_backend_slot(): the id of the backend in a slot; 0 for an empty one. */
export function backendOfSlot(ctx: Ctx, key: ServiceKey, slot: number): number {
  const { maps } = ctx
  key.backendSlot = slot
  const map = key.family.version === 4 ? maps.cilium_lb4_services_v2 : maps.cilium_lb6_services_v2
  const value = ctx.lookup(map, key.bytes)
  return value === undefined ? 0 : readService(value).backendId
}

/** lb4_select_backend_id_maglev(): by a hash of the connection, without the client's port for a client that is to stay. */
function selectByMaglev(ctx: Ctx, tuple: Tuple, service: Service): number {
  const { maps } = ctx
  const key = new Uint8Array(2)
  writeLe16(key, 0, service.revNatIndex)
  const four = tuple.family.version === 4
  const inner = ctx.lookupInner(four ? maps.cilium_lb4_maglev : maps.cilium_lb6_maglev, key)
  if (inner === undefined) return 0
  const table = ctx.lookup(inner, new Uint8Array(4))
  if (table === undefined) return 0
  // the tuple is that of a reply: its ports stand the other way round
  const sticky = (service.flags & serviceFlag.AFFINITY) !== 0
  const hash = hashFromTuple(ctx, tuple, sticky ? 0 : tuple.dport, tuple.sport)
  return readLe32(table, (hash % ctx.node.LB_MAGLEV_LUT_SIZE) * 4)
}

/**
 * lb4_select_backend_id(), lb6_select_backend_id(): 0 where there is none. bpf_lxc chooses at random whatever the node does,
 * as services inside of the cluster may have no Maglev table.
 */
function selectBackendId(ctx: Ctx, key: ServiceKey, tuple: Tuple, service: Service): number {
  const { LB_SELECTION, LB_SELECTION_PER_SERVICE } = ctx.node
  const own = LB_SELECTION_PER_SERVICE ? algorithmOf(service) : 0
  const known = own === lbSelection.RANDOM || own === lbSelection.MAGLEV
  const usual = ctx.object.kind === 'bpf_lxc' ? lbSelection.RANDOM : LB_SELECTION
  switch (known ? own : usual) {
    case lbSelection.MAGLEV:
      return selectByMaglev(ctx, tuple, service)
    case lbSelection.FIRST:
      return backendOfSlot(ctx, key, 1)
    default:
      return backendOfSlot(ctx, key, (ctx.random32() % service.count) + 1)
  }
}

/** struct lb4_affinity_key, lb6_affinity_key for a client's address. */
function affinityKey(family: Family, service: Service, client: Address): Uint8Array {
  const clientBytes = family.version === 4 ? 8 : 16
  const key = new Uint8Array(clientBytes + 8)
  key.set(client)
  writeLe16(key, clientBytes, service.revNatIndex)
  return key
}

function affinityMapOf(ctx: Ctx, family: Family) {
  return family.version === 4 ? ctx.maps.cilium_lb4_affinity : ctx.maps.cilium_lb6_affinity
}

/** __lb4_affinity_backend_id(): the backend that the client had, as long as it lasts and the backend exists; else 0. */
export function affinityBackendId(ctx: Ctx, family: Family, service: Service, client: Address): number {
  const map = affinityMapOf(ctx, family)
  const key = affinityKey(family, service, client)
  const value = ctx.lookup(map, key)
  if (value === undefined) return 0
  const now = monoNow(ctx)
  const backendId = readLe32(value, 8)
  const match = new Uint8Array(8)
  writeLe32(match, 0, backendId)
  writeLe16(match, 4, service.revNatIndex)
  const expired = readLe64(value, 0) + secToMono(ctx.node, affinityTimeout(service)) <= now
  if (expired || ctx.lookup(ctx.maps.cilium_lb_affinity_match, match) === undefined) {
    ctx.remove(map, key)
    return 0
  }
  writeLe64(value, 0, now)
  return backendId
}

/** lb4_update_affinity_by_addr() */
export function updateAffinity(
  ctx: Ctx,
  family: Family,
  service: Service,
  client: Address,
  backendId: number,
): void {
  const value = new Uint8Array(16)
  writeLe64(value, 0, monoNow(ctx))
  writeLe32(value, 8, backendId)
  ctx.update(affinityMapOf(ctx, family), affinityKey(family, service, client), value)
}

/** A packet for a service. */
export interface ServiceLookup {
  readonly key: ServiceKey
  readonly service: Service
  readonly place: PacketPlace
}

/** A choice of a backend. */
interface Choice {
  readonly id: number
  readonly backend: Backend
}

function choose(ctx: Ctx, tuple: Tuple, lookup: ServiceLookup): Choice | number {
  const id = selectBackendId(ctx, lookup.key, tuple, lookup.service)
  const backend = lookupBackend(ctx, tuple.family, id)
  return backend === undefined ? drop.NO_SERVICE : { id, backend }
}

/** The first packet of a connection: the client's former backend or a new one, which conntrack remembers. */
function chooseNew(
  ctx: Ctx,
  tuple: Tuple,
  lookup: ServiceLookup,
  state: CtState,
  client: Address,
): Choice | number {
  const { service } = lookup
  const { family } = tuple
  if (service.count === 0) return drop.NO_SERVICE
  let choice: Choice | number | undefined
  if ((service.flags & serviceFlag.AFFINITY) !== 0) {
    const id = affinityBackendId(ctx, family, service, client)
    const backend = id === 0 ? undefined : lookupBackend(ctx, family, id)
    if (backend !== undefined) choice = { id, backend }
  }
  choice ??= choose(ctx, tuple, lookup)
  if (typeof choice === 'number') return choice
  state.backendId = choice.id
  const created = ctCreate(ctx, ctMapOf(ctx, tuple), undefined, tuple, ctDirection.SERVICE, state)
  return isError(ctx, created) ? created : choice
}

/** A later packet: its backend, unless that is gone, or will take no new connections and this is one. */
function chooseAgain(ctx: Ctx, tuple: Tuple, lookup: ServiceLookup, state: CtState): Choice | number {
  const { service } = lookup
  const id = state.backendId
  const backend = lookupBackend(ctx, tuple.family, id)
  if (backend !== undefined && (backend.state === backendState.ACTIVE || !state.syn)) return { id, backend }
  if (service.count === 0) return drop.NO_SERVICE
  const choice = choose(ctx, tuple, lookup)
  if (typeof choice === 'number') return choice
  state.revNatIndex = service.revNatIndex
  ctUpdateServiceEntry(ctx, ctMapOf(ctx, tuple), tuple, choice.id, service.revNatIndex)
  return choice
}

/**
 * lb4_local(), lb6_local(): the backend for a packet; `state` gets the service's reverse NAT index. DROP_NO_SERVICE where
 * there is none, or another drop reason.
 */
export function lbLocal(ctx: Ctx, tuple: Tuple, lookup: ServiceLookup, state: CtState): Backend | number {
  const { service, place } = lookup
  const { family, flags } = tuple
  const client = tuple.saddr.slice()
  state.revNatIndex = service.revNatIndex
  const found = ctLazyLookup(ctx, ctMapOf(ctx, tuple), tuple, {
    ...place,
    direction: ctDirection.SERVICE,
    scope: ctScope.REVERSE,
    entryTypes: ctEntryType.SVC,
    state,
  })
  const { status } = found
  let choice: Choice | number = status
  if (status === ctStatus.NEW) choice = chooseNew(ctx, tuple, lookup, state, client)
  else if (status === ctStatus.REPLY) choice = chooseAgain(ctx, tuple, lookup, state)
  else if (status > 0) choice = drop.UNKNOWN_CT
  tuple.flags = flags
  if (typeof choice === 'number') return choice
  if ((service.flags & serviceFlag.AFFINITY) !== 0) updateAffinity(ctx, family, service, client, choice.id)
  return choice.backend
}

/** lb4_xlate(), lb6_xlate(): the backend's address, and with `source` a new source too. 0 or a drop reason. */
function translate(
  ctx: Ctx,
  family: Family,
  nexthdr: number,
  place: PacketPlace,
  change: {
    readonly oldDestination: Address
    readonly oldSource: Address
    readonly source: Address | undefined
    readonly oldPort: number
    readonly backend: Backend
  },
): number {
  const { l3Offset, l4Offset } = place
  const { backend, oldDestination, oldSource, source, oldPort } = change
  if (ctx.store(l3Offset + family.destinationAt, backend.address) < 0) return drop.WRITE_ERROR
  let sum = ctx.checksumDifference(oldDestination, backend.address, 0)
  if (source !== undefined) {
    if (ctx.store(l3Offset + family.sourceAt, source) < 0) return drop.WRITE_ERROR
    sum = ctx.checksumDifference(oldSource, source, sum)
  }
  if (family.version === 4 && updateIpv4Checksum(ctx, l3Offset, sum) < 0) return drop.CSUM_L3
  if (!place.fragment.hasL4Header) return 0
  const checksum = checksumOffset(nexthdr)
  if (checksum.offset !== 0) {
    const done = replaceL4(ctx, l4Offset, checksum, 0, sum, checksumFlag.BPF_F_PSEUDO_HDR)
    if (done < 0) return drop.CSUM_L4
  }
  if (backend.port === 0 || backend.port === oldPort) return 0
  if (checksum.offset === 0) return drop.CSUM_L4
  return modifyPort(ctx, l4Offset, portAt.destination, checksum, backend.port, oldPort)
}

/**
 * lb4_dnat_request(), lb6_dnat_request(): the packet goes to the backend, and the tuple says so. `loopback`: the backend is the
 * client itself, so the source becomes the loopback address. 0 or a drop reason.
 */
export function lbDnatRequest(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  backend: Backend,
  loopback: boolean,
): number {
  const { family } = tuple
  const { service_loopback_ipv4, service_loopback_ipv6 } = ctx.node
  const change = {
    oldDestination: tuple.daddr.slice(),
    oldSource: tuple.saddr.slice(),
    source: loopback ? (family.version === 4 ? service_loopback_ipv4 : service_loopback_ipv6) : undefined,
    oldPort: tuple.sport,
    backend,
  }
  if (!loopback) tuple.daddr = backend.address
  if (backend.port !== 0) tuple.sport = backend.port
  return translate(ctx, family, tuple.nexthdr, place, change)
}
