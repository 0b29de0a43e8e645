// Entries of connections that are looked at or changed beside their lookup: no packet is counted. lib/conntrack.h
import type { AnyMap } from '../../bpf/maps/create.ts'
import { CtEntry } from '../maps/ct-entry.ts'
import { type Tuple, tupleFlag } from '../maps/tuple.ts'
import type { Ctx } from './ctx.ts'

/** The entry of a tuple with other flags; the tuple stays as it is. No packet is counted. */
function entryWithFlags(ctx: Ctx, map: AnyMap, tuple: Tuple, flags: number): CtEntry | undefined {
  const before = tuple.flags
  tuple.flags = flags
  const found = ctx.lookup(map, tuple.bytes)
  tuple.flags = before
  return found === undefined ? undefined : new CtEntry(found)
}

/** ct_is_reply4(), ct_is_reply6(): whether a packet that leaves answers a connection from outside; a tuple as the packet has it, with CT's port order. */
export function ctIsReply(ctx: Ctx, map: AnyMap, tuple: Tuple): boolean {
  return entryWithFlags(ctx, map, tuple, tupleFlag.IN) !== undefined
}

/** ct_has_egress_entry4(), ct_get_nodeport_egress_entry4() */
export function ctEgressEntry(ctx: Ctx, map: AnyMap, tuple: Tuple): CtEntry | undefined {
  return entryWithFlags(ctx, map, tuple, tupleFlag.OUT)
}

/** ct_has_loopback_egress_entry4(): whether the pod that this packet goes to has sent it itself, through a service. */
export function ctHasLoopbackEgressEntry(ctx: Ctx, map: AnyMap, tuple: Tuple): boolean {
  return ctEgressEntry(ctx, map, tuple)?.is('lb_loopback') ?? false
}

/** ct_has_dsr_egress_entry4() */
export function ctHasDsrEgressEntry(ctx: Ctx, map: AnyMap, tuple: Tuple): boolean {
  return ctEgressEntry(ctx, map, tuple)?.is('dsr_internal') ?? false
}

/** ct_update_svc_entry() */
export function ctUpdateServiceEntry(
  ctx: Ctx,
  map: AnyMap,
  tuple: Tuple,
  backendId: number,
  revNatIndex: number,
): void {
  const found = ctx.lookup(map, tuple.bytes)
  if (found === undefined) return
  const entry = new CtEntry(found)
  entry.backendId = backendId
  entry.revNatIndex = revNatIndex
}

/** ct_update_dsr() */
export function ctUpdateDsr(ctx: Ctx, map: AnyMap, tuple: Tuple, dsr: boolean): void {
  const found = ctx.lookup(map, tuple.bytes)
  if (found !== undefined) new CtEntry(found).set('dsr_internal', dsr)
}
