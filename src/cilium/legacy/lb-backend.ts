// Which backend a packet of a service goes to in Cilium 1.10, and the packet's new destination: the SERVICE entry remembers the
// choice, a client's affinity comes before chance. bpf/lib/lb.h lb4_local(), lb6_local(), lb4_xlate(), lb6_xlate()
import { present } from '../../base/assert.ts'
import { readLe16, writeLe16 } from '../../bpf/context/byte-order.ts'
import { checksumFlag } from '../../bpf/helpers/checksum.ts'
import { readU16 } from '../../net/bytes.ts'
import { ctMapOf } from '../datapath/conntrack.ts'
import { ctDirection } from '../datapath/ct-state.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Address, type Family, ipv4, protocolNumber, sameAddress } from '../datapath/family.ts'
import { ethernetLength } from '../datapath/headers.ts'
import { type ChecksumOffset, portAt, replaceL4, updateIpv4Checksum } from '../datapath/l4.ts'
import { affinityBackendId, backendOfSlot, lbSelection, updateAffinity } from '../datapath/lb-backend.ts'
import { hashFromTuple } from '../datapath/tuple-hash.ts'
import { type Service, type ServiceKey, serviceFlag } from '../maps/service.ts'
import type { Tuple } from '../maps/tuple.ts'
import { ctCreate, ctLookup } from './conntrack.ts'
import { LegacyCtEntry } from './ct-entry.ts'
import { type CtState, ctStatus } from './ct-state.ts'
import { lbLookupService } from './lb.ts'
import { modifyPort } from './nat-rewrite.ts'

const { BPF_F_PSEUDO_HDR } = checksumFlag

/** struct lb4_backend, lb6_backend */
export interface Backend {
  readonly address: Address
  /** Host order; 0: the packet's port stays. */
  readonly port: number
}

/** A packet for a service. */
export interface ServicePacket {
  readonly key: ServiceKey
  readonly service: Service
  readonly l4Offset: number
  readonly checksum: ChecksumOffset
  readonly hasL4Header: boolean
  /** Whether the packet keeps its destination address. */
  readonly skipL3: boolean
}

/** lb4_lookup_backend(), lb6_lookup_backend(): ids have 16 bits. */
function lookupBackend(ctx: Ctx, family: Family, id: number): Backend | undefined {
  const { cilium_lb4_backends, cilium_lb6_backends } = ctx.maps
  const map = present(family === ipv4 ? cilium_lb4_backends : cilium_lb6_backends, 'the map of backends')
  const key = new Uint8Array(2)
  writeLe16(key, 0, id)
  const value = ctx.lookup(map, key)
  if (value === undefined) return undefined
  return { address: value.slice(0, family.addressBytes), port: readU16(value, family.addressBytes) }
}

/** lb4_select_backend_id() with Maglev: the table has words of 16 bits. */
function selectByMaglev(ctx: Ctx, tuple: Tuple, service: Service): number {
  const { cilium_lb4_maglev, cilium_lb6_maglev } = ctx.maps
  const key = new Uint8Array(2)
  writeLe16(key, 0, service.revNatIndex)
  const inner = ctx.lookupInner(tuple.family === ipv4 ? cilium_lb4_maglev : cilium_lb6_maglev, key)
  const table = inner === undefined ? undefined : ctx.lookup(inner, new Uint8Array(4))
  if (table === undefined) return 0
  const hash = hashFromTuple(ctx, tuple, tuple.dport, tuple.sport)
  return readLe16(table, (hash % ctx.node.LB_MAGLEV_LUT_SIZE) * 2)
}

/** lb4_select_backend_id(), lb6_select_backend_id(): 0 where there is none. Pods choose as the node does. */
function selectBackendId(ctx: Ctx, { key, service }: ServicePacket, tuple: Tuple): number {
  if (ctx.node.LB_SELECTION === lbSelection.MAGLEV) return selectByMaglev(ctx, tuple, service)
  return backendOfSlot(ctx, key, (ctx.random32() % service.count) + 1) & 0xffff
}

/** A packet of a service on its way to a backend. */
interface Connection {
  readonly tuple: Tuple
  readonly packet: ServicePacket
  /** Is told the backend that was chosen. */
  readonly state: CtState
  /** The packet's source. */
  readonly client: Address
}

function hasAffinity(service: Service): boolean {
  return (service.flags & serviceFlag.AFFINITY) !== 0
}

/** Changes the SERVICE entry of a packet where it exists. */
function updateEntry(ctx: Ctx, tuple: Tuple, change: (entry: LegacyCtEntry) => void): void {
  const found = ctx.lookup(ctMapOf(ctx, tuple), tuple.bytes)
  if (found !== undefined) change(new LegacyCtEntry(found))
}

/** The first packet of a connection. The backend, or undefined where the service has none. */
function chooseNew(ctx: Ctx, { tuple, packet, state, client }: Connection): Backend | undefined {
  const { service } = packet
  const { family } = tuple
  let id = hasAffinity(service) ? affinityBackendId(ctx, family, service, client) & 0xffff : 0
  let backend = id === 0 ? undefined : lookupBackend(ctx, family, id)
  if (backend === undefined) {
    id = selectBackendId(ctx, packet, tuple)
    backend = lookupBackend(ctx, family, id)
  }
  if (backend === undefined) return undefined
  state.backendId = id
  state.revNatIndex = service.revNatIndex
  const created = ctCreate(ctx, tuple, { direction: ctDirection.SERVICE, state, related: false })
  return isError(ctx, created) ? undefined : backend
}

/** An entry of another service, whose number was used again: a new choice. False: there is none. */
function chooseForStale(ctx: Ctx, { tuple, packet, state, client }: Connection): boolean {
  const { service } = packet
  let id = hasAffinity(service) ? affinityBackendId(ctx, tuple.family, service, client) : 0
  if (id === 0) id = selectBackendId(ctx, packet, tuple)
  if (id === 0) return false
  state.backendId = id
  state.revNatIndex = service.revNatIndex
  updateEntry(ctx, tuple, (entry) => {
    entry.rxBytes = id
    entry.revNatIndex = service.revNatIndex
  })
  return true
}

/** A later packet: its backend, or another one where that is gone. */
function chooseAgain(ctx: Ctx, connection: Connection): Backend | undefined {
  const { tuple, packet, state } = connection
  const { service, key } = packet
  if (state.revNatIndex === 0) {
    state.revNatIndex = service.revNatIndex
    updateEntry(ctx, tuple, (entry) => {
      entry.revNatIndex = service.revNatIndex
    })
  }
  const stale = state.revNatIndex !== service.revNatIndex
  if (stale && !chooseForStale(ctx, connection)) return undefined
  const known = lookupBackend(ctx, tuple.family, state.backendId)
  if (known !== undefined) return known
  const current = lbLookupService(ctx, key, false)
  if (current === undefined) return undefined
  const id = selectBackendId(ctx, { ...packet, service: current }, tuple)
  const backend = lookupBackend(ctx, tuple.family, id)
  if (backend === undefined) return undefined
  state.backendId = id
  updateEntry(ctx, tuple, (entry) => {
    entry.rxBytes = id
  })
  return backend
}

/** lb4_xlate(), lb6_xlate(): the backend in place of the service; a hairpin packet gets a new source, too. 0 or a drop reason. */
function translate(
  ctx: Ctx,
  tuple: Tuple,
  packet: ServicePacket,
  backend: Backend,
  source: { readonly old: Address; readonly new: Address } | undefined,
): number {
  const { family, nexthdr } = tuple
  const { key, l4Offset, checksum, hasL4Header } = packet
  const l3Offset = ethernetLength(ctx)
  if (!packet.skipL3) {
    if (ctx.store(l3Offset + family.destinationAt, backend.address) < 0) return drop.WRITE_ERROR
    let sum = ctx.checksumDifference(key.address, backend.address, 0)
    if (source !== undefined) {
      if (ctx.store(l3Offset + family.sourceAt, source.new) < 0) return drop.WRITE_ERROR
      sum = ctx.checksumDifference(source.old, source.new, sum)
    }
    if (family === ipv4 && updateIpv4Checksum(ctx, l3Offset, sum) < 0) return drop.CSUM_L3
    const covered = checksum.offset !== 0
    if (covered && replaceL4(ctx, l4Offset, checksum, 0, sum, BPF_F_PSEUDO_HDR) < 0) return drop.CSUM_L4
  }
  const hasPorts = nexthdr === protocolNumber.TCP || nexthdr === protocolNumber.UDP
  if (backend.port === 0 || key.dport === backend.port || !hasPorts || !hasL4Header) return ctx.act.OK
  return modifyPort(ctx, l4Offset, portAt.destination, checksum, backend.port, key.dport)
}

/**
 * lb4_local(), lb6_local(): chooses the backend and sends the packet to it; the tuple and `state` say which. CTX_ACT_OK,
 * DROP_NO_SERVICE, or another drop reason.
 */
export function lbLocal(ctx: Ctx, connection: Connection): number {
  const { tuple, packet, state, client } = connection
  const { service } = packet
  const { family, flags } = tuple
  const { status } = ctLookup(ctx, tuple, packet.l4Offset, ctDirection.SERVICE, state)
  let backend: Backend | undefined
  if (status === ctStatus.NEW) backend = chooseNew(ctx, connection)
  else if (status > 0) backend = chooseAgain(ctx, connection)
  // later lookups are about the connection to the backend
  tuple.flags = flags
  if (backend === undefined) return drop.NO_SERVICE
  state.revNatIndex = service.revNatIndex
  if (hasAffinity(service)) updateAffinity(ctx, family, service, client, state.backendId)
  // the agent disables it (DISABLE_LOOPBACK_LB) but for pods
  const mayLoop = family === ipv4 && ctx.object.kind === 'bpf_lxc'
  const loopback = mayLoop && sameAddress(client, backend.address)
  if (!mayLoop || !(loopback || state.loopback)) tuple.daddr = backend.address
  if (!loopback) return translate(ctx, tuple, packet, backend, undefined)
  const { service_loopback_ipv4 } = ctx.node
  state.loopback = true
  state.address = service_loopback_ipv4
  state.serviceAddress = client
  return translate(ctx, tuple, packet, backend, { old: client, new: service_loopback_ipv4 })
}
