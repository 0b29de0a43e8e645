// The two entries of a translated connection, and the choice of a port, as 1.10 makes them: it looks before it writes, and
// entries of the host's own connections say so (host_local). bpf/lib/nat.h snat_v4_handle_mapping(),
// snat_v4_new_mapping(), snat_v4_track_local() and their IPv6 siblings
import { updateFlag } from '../../bpf/maps/map.ts'
import { ctDirection } from '../datapath/ct-state.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Address, sameAddress } from '../datapath/family.ts'
import { NAT_PUNT_TO_STACK } from '../datapath/nat-embedded.ts'
import { natCreate, natDelete, natLookup, newEntry, replyTuple } from '../datapath/nat-mapping.ts'
import { signalNatFillUp } from '../datapath/signal.ts'
import type { NatEntry } from '../maps/nat-entry.ts'
import { type Tuple, tupleFlag } from '../maps/tuple.ts'
import { ctCreate, ctLookup } from './conntrack.ts'
import { ctStatus, newCtState } from './ct-state.ts'

/** struct ipv4_nat_target, ipv6_nat_target: what a connection is to be translated to. */
export interface NatTarget {
  readonly address: Address
  readonly minPort: number
  readonly maxPort: number
  /** The source is not of this node: no port of it may be kept out (`src_from_world`). */
  readonly fromWorld: boolean
}

/** A target with the ports of masquerading. */
export function natTarget(ctx: Ctx, address: Address, fromWorld: boolean): NatTarget {
  const { NODEPORT_PORT_MIN_NAT: minPort, NODEPORT_PORT_MAX_NAT: maxPort } = ctx.node
  return { address, minPort, maxPort, fromWorld }
}

/** __snat_clamp_port_range(): by the remainder, so that the last port of the range is never chosen. */
export function clampPort(min: number, max: number, value: number): number {
  return ((value & 0xffff) % (max - min)) + min
}

/** __snat_update(): the entry of replies, then that of requests; both or none. */
function writeBoth(ctx: Ctx, original: Tuple, entry: NatEntry, reply: Tuple, replyEntry: NatEntry): number {
  const made = natCreate(ctx, reply, replyEntry, updateFlag.BPF_NOEXIST)
  if (made !== 0) return made
  const second = natCreate(ctx, original, entry, updateFlag.BPF_NOEXIST)
  if (second !== 0) natDelete(ctx, reply)
  return second
}

/** snat_v4_new_mapping(), snat_v6_new_mapping(): the entry of requests, or DROP_NAT_NO_MAPPING. */
function newMapping(ctx: Ctx, original: Tuple, target: NatTarget): NatEntry | number {
  const { family } = original
  const { minPort, maxPort, address } = target
  const { SNAT_COLLISION_RETRIES } = ctx.node
  const hostLocal = sameAddress(original.saddr, address)
  const kept = original.sport >= minPort && original.sport <= maxPort
  let port = kept ? original.sport : clampPort(minPort, maxPort, ctx.random32())
  let retries = 0
  let result: NatEntry | number = drop.NAT_NO_MAPPING
  for (; retries < SNAT_COLLISION_RETRIES; retries += 1) {
    const reply = replyTuple(original, address, port)
    if (natLookup(ctx, reply) === undefined) {
      const entry = newEntry(ctx, family, address, port, hostLocal)
      const replyEntry = newEntry(ctx, family, original.saddr, original.sport, hostLocal)
      if (writeBoth(ctx, original, entry, reply, replyEntry) === 0) {
        result = entry
        break
      }
    }
    port = clampPort(minPort, maxPort, retries === 0 ? ctx.random32() : port + 1)
  }
  if (retries > Math.floor(SNAT_COLLISION_RETRIES / 2)) signalNatFillUp(ctx, family)
  return result
}

/** snat_v4_track_local(), snat_v6_track_local(): the conntrack entry of the host's own connection. 0 or a drop reason. */
function trackLocal(
  ctx: Ctx,
  tuple: Tuple,
  known: NatEntry | undefined,
  l4Offset: number,
  target: NatTarget,
): number {
  const isEgress = tuple.flags === tupleFlag.OUT
  const isLocal = known?.needsCt ?? (isEgress && sameAddress(tuple.saddr, target.address))
  if (!isLocal) return 0
  const tracked = tuple.copy()
  const direction = isEgress ? ctDirection.EGRESS : ctDirection.INGRESS
  const state = newCtState()
  const { status } = ctLookup(ctx, tracked, l4Offset, direction, state)
  if (status !== ctStatus.NEW) return Math.min(status, 0)
  const made = ctCreate(ctx, tracked, { direction, state, related: false })
  return isError(ctx, made) ? made : 0
}

/**
 * snat_v4_handle_mapping(), snat_v6_handle_mapping(): the entry of a packet, whose tuple's flag says the direction. A request
 * without one gets one; a reply without one is NAT_PUNT_TO_STACK or DROP_NAT_NO_MAPPING.
 */
export function handleMapping(
  ctx: Ctx,
  tuple: Tuple,
  l4Offset: number,
  target: NatTarget,
): NatEntry | number {
  const known = natLookup(ctx, tuple)
  const tracked = trackLocal(ctx, tuple, known, l4Offset, target)
  if (tracked < 0) return tracked
  if (known !== undefined) return known
  if (tuple.flags === tupleFlag.OUT) return newMapping(ctx, tuple, target)
  const punt = tuple.nexthdr !== tuple.family.icmp && tuple.dport < target.minPort
  return punt ? NAT_PUNT_TO_STACK : drop.NAT_NO_MAPPING
}
