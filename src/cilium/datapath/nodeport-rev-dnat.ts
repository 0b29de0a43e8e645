// A reply of a service that leaves gets the service's address back. lib/nodeport_egress.h nodeport_rev_dnat_fwd_ipv4()
import { natAddressOf } from '../maps/ct-entry.ts'
import type { NatEntry } from '../maps/nat-entry.ts'
import { type Tuple, tupleFlag } from '../maps/tuple.ts'
import { ctLazyLookup, ctMapOf } from './conntrack.ts'
import { ctEgressEntry } from './ct-entries.ts'
import { ctDirection, ctEntryType, ctScope, ctStatus } from './ct-state.ts'
import { type Ctx, isError } from './ctx.ts'
import { drop } from './drop-reason.ts'
import type { Address, Family } from './family.ts'
import { fibDevice, fibDoRedirect, fibFound, fibLookup, fibParams } from './fib.ts'
import { ethernetLength, hasHeader, walkHeaders } from './headers.ts'
import { lbExtractTuple, lbTuple, lookupReverseNat, reverseNat } from './lb.ts'
import { natLookup, type PacketPlace } from './nat-mapping.ts'
import type { TraceContext } from './notify.ts'
import { traceReason } from './trace-point.ts'
export function placeOf(
  ctx: Ctx,
  family: Family,
): { readonly place: PacketPlace; readonly nexthdr: number } | number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  return {
    place: { l3Offset, l4Offset: l3Offset + walk.length, fragment: walk.fragment },
    nexthdr: walk.nexthdr,
  }
}

/** Where a service's reply gets its source from. */
interface NatInfo {
  readonly address: Address
  readonly port: number
}

/** nodeport_rev_dnat_get_info_ipv4(): by the entry of a connection that came through a service here. */
function revDnatInfo(ctx: Ctx, tuple: Tuple): NatInfo | undefined {
  const { family } = tuple
  const entry = ctEgressEntry(ctx, ctMapOf(ctx, tuple), tuple)
  if (entry === undefined) return undefined
  if (entry.is('node_port')) {
    return entry.revNatIndex === 0 ? undefined : lookupReverseNat(ctx, family, entry.revNatIndex)
  }
  if (!ctx.node.ENABLE_DSR || !entry.is('dsr_internal')) return undefined
  if (entry.natPort !== 0) {
    return { address: natAddressOf(entry.natAddress, family.addressBytes), port: entry.natPort }
  }
  const found = natLookup(ctx, dsrTuple(tuple))
  return found === undefined ? undefined : infoOf(found)
}

function infoOf(entry: NatEntry): NatInfo {
  return { address: entry.toAddress.slice(), port: entry.toPort }
}

function dsrTuple(tuple: Tuple): Tuple {
  const dsr = tuple.copy()
  dsr.flags = tupleFlag.OUT
  dsr.swapPorts()
  return dsr
}

/** nodeport_fib_lookup_and_redirect(): to the device that the reply, with the service's address, belongs to. */
function fibLookupAndRedirect(ctx: Ctx, family: Family, source: Address, destination: Address): number {
  const params = fibParams(ctx, family, source, destination)
  const result = fibLookup(ctx, params)
  if (!fibFound(result)) {
    ctx.extErr = result
    return drop.NO_FIB
  }
  const oif = fibDevice(params)
  if (oif === ctx.object.interface_ifindex) return ctx.act.OK
  return fibDoRedirect(ctx, params, result, oif, { needsL2Check: true, useMap: true })
}

/** What nodeport_rev_dnat_fwd_ipv4() comes to. */
interface RevDnat {
  readonly result: number
  readonly snatDone: boolean
}

/** nodeport_rev_dnat_fwd_ipv4(), nodeport_rev_dnat_fwd_ipv6() */
export function revDnatForward(ctx: Ctx, family: Family, revDnatOnly: boolean, trace: TraceContext): RevDnat {
  const parsed = placeOf(ctx, family)
  if (typeof parsed === 'number') return { result: parsed, snatDone: false }
  const { place, nexthdr } = parsed
  const tuple = lbTuple(family, nexthdr)
  const extracted = lbExtractTuple(ctx, tuple, place)
  const untouched = { result: ctx.act.OK, snatDone: false }
  if (extracted === drop.UNSUPP_SERVICE_PROTO || extracted === drop.UNKNOWN_L4) return untouched
  if (extracted < 0) return { result: extracted, snatDone: false }
  const nat = revDnatInfo(ctx, tuple)
  if (nat === undefined) return untouched
  if (ctx.object.kind === 'bpf_host' && !revDnatOnly) {
    const result = fibLookupAndRedirect(ctx, family, nat.address, tuple.daddr)
    if (result !== ctx.act.OK) return { result, snatDone: false }
  }
  const found = ctLazyLookup(ctx, ctMapOf(ctx, tuple), tuple, {
    ...place,
    direction: ctDirection.INGRESS,
    scope: ctScope.REVERSE,
    entryTypes: ctEntryType.NODEPORT | ctEntryType.DSR,
  })
  if (found.status !== ctStatus.REPLY) return untouched
  trace.reason = traceReason.CT_REPLY
  trace.monitor = found.monitor
  const result = reverseNat(ctx, tuple, place, { nat, loopback: false })
  return isError(ctx, result) ? { result, snatDone: false } : { result: ctx.act.OK, snatDone: true }
}
