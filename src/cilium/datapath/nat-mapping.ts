// The two entries of a translated connection, one for requests (OUT) and one for replies (IN), and the choice of a port
// that no other connection to the same place uses. lib/nat.h snat_v4_new_mapping(), snat_v4_nat_handle_mapping(),
// snat_v4_rev_nat_handle_mapping() and their IPv6 siblings
import { readLe32, writeLe32 } from '../../bpf/context/byte-order.ts'
import { updateFlag } from '../../bpf/maps/map.ts'
import { NatEntry } from '../maps/nat-entry.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import { ctCreate, ctLazyLookup, ctMapOf } from './conntrack.ts'
import { ctDirection, ctScope, ctStatus } from './ct-state.ts'
import { type Ctx, isError } from './ctx.ts'
import { drop } from './drop-reason.ts'
import type { Address, Family } from './family.ts'
import { sameAddress } from './family.ts'
import type { FragmentInfo } from './fragments.ts'
import type { TraceContext } from './notify.ts'
import { signalNatFillUp } from './signal.ts'
import { monoNow } from './time.ts'

/** struct ipv4_nat_target, ipv6_nat_target: what a connection is to be translated to. */
export interface NatTarget {
  address: Address
  minPort: number
  maxPort: number
  /** The source is an endpoint of this node, whose conntrack entries exist. */
  fromLocalEndpoint: boolean
  /** An egress gateway policy wants it. */
  egressGateway: boolean
  /** The translation keeps a conntrack entry of its own. */
  needsCt: boolean
  /** The device that an egress gateway policy names; 0 for none. */
  ifindex: number
}

/** A target with the ports of masquerading and without address. */
export function newNatTarget(ctx: Ctx, family: Family): NatTarget {
  return {
    address: new Uint8Array(family.addressBytes),
    minPort: ctx.node.NODEPORT_PORT_MIN_NAT,
    maxPort: ctx.node.NODEPORT_PORT_MAX_NAT,
    fromLocalEndpoint: false,
    egressGateway: false,
    needsCt: false,
    ifindex: 0,
  }
}

/** Where the packet's headers are. */
export interface PacketPlace {
  readonly l3Offset: number
  readonly l4Offset: number
  readonly fragment: FragmentInfo
}

function natMapOf(ctx: Ctx, family: Family) {
  return family.version === 4 ? ctx.maps.cilium_snat_v4_external : ctx.maps.cilium_snat_v6_external
}

function retriesMapOf(ctx: Ctx, family: Family) {
  return family.version === 4 ? ctx.maps.cilium_snat_v4_alloc_retries : ctx.maps.snat6AllocRetries
}

/** snat_v4_lookup(), snat_v6_lookup() */
export function natLookup(ctx: Ctx, tuple: Tuple): NatEntry | undefined {
  const found = ctx.lookup(natMapOf(ctx, tuple.family), tuple.bytes)
  return found === undefined ? undefined : new NatEntry(tuple.family, found)
}

export function natCreate(
  ctx: Ctx,
  tuple: Tuple,
  entry: NatEntry,
  flags: number = updateFlag.BPF_ANY,
): number {
  return ctx.update(natMapOf(ctx, tuple.family), tuple.bytes, entry.raw, flags)
}

export function natDelete(ctx: Ctx, tuple: Tuple): number {
  return ctx.remove(natMapOf(ctx, tuple.family), tuple.bytes)
}

/** __snat_clamp_port_range(): a 16-bit number brought into the range, by multiplication. */
export function clampPort(min: number, max: number, value: number): number {
  return min + Math.floor((value * (max - min + 1)) / 0x1_0000)
}

/** __snat_try_keep_port(): the port itself where the range has it. */
function tryKeepPort(ctx: Ctx, min: number, max: number, port: number): number {
  return port >= min && port <= max ? port : clampPort(min, max, ctx.random32() & 0xffff)
}

/** set_v4_rtuple(), set_v6_rtuple(): how replies to a translated connection look. */
export function replyTuple(original: Tuple, address: Address, port: number): Tuple {
  const reply = new Tuple(original.family)
  reply.flags = tupleFlag.IN
  reply.nexthdr = original.nexthdr
  reply.saddr = original.daddr
  reply.daddr = address
  reply.sport = original.dport
  reply.dport = port
  return reply
}

/** An entry made now. */
export function newEntry(
  ctx: Ctx,
  family: Family,
  address: Address,
  port: number,
  needsCt: boolean,
): NatEntry {
  const entry = new NatEntry(family)
  entry.created = monoNow(ctx)
  entry.needsCt = needsCt
  entry.toAddress = address
  entry.toPort = port
  return entry
}

/** Counts how many attempts a connection took: cilium_snat_v4_alloc_retries, cilium_snat_v6_alloc_retries. */
function countRetries(ctx: Ctx, family: Family, retries: number): void {
  const key = new Uint8Array(4)
  writeLe32(key, 0, retries)
  const slot = ctx.lookup(retriesMapOf(ctx, family), key)
  if (slot !== undefined) writeLe32(slot, 0, readLe32(slot, 0) + 1)
}

/** Tries ports until the entry for replies is ours. The number of failed attempts; `reply` has the last port tried. */
function claimPort(ctx: Ctx, reply: Tuple, entry: NatEntry, target: NatTarget, port: number): number {
  const { minPort, maxPort } = target
  let candidate = port
  let retries = 0
  for (; retries < ctx.node.SNAT_COLLISION_RETRIES; retries += 1) {
    reply.dport = candidate
    if (natCreate(ctx, reply, entry, updateFlag.BPF_NOEXIST) === 0) return retries
    const next = retries === 0 ? ctx.random32() : candidate + 1
    candidate = clampPort(minPort, maxPort, next & 0xffff)
  }
  return retries
}

/**
 * snat_v4_new_mapping(), snat_v6_new_mapping(): makes both entries for a connection. The entry for requests, or
 * DROP_NAT_NO_MAPPING where no port was free within SNAT_COLLISION_RETRIES attempts.
 */
export function newMapping(ctx: Ctx, original: Tuple, target: NatTarget): NatEntry | number {
  const { family } = original
  const { needsCt, address } = target
  const reply = replyTuple(original, address, 0)
  const replyEntry = newEntry(ctx, family, original.saddr, original.sport, needsCt)
  const port = tryKeepPort(ctx, target.minPort, target.maxPort, original.sport)
  const retries = claimPort(ctx, reply, replyEntry, target, port)
  countRetries(ctx, family, retries)
  let result: NatEntry | number = drop.NAT_NO_MAPPING
  if (retries < ctx.node.SNAT_COLLISION_RETRIES) {
    const entry = newEntry(ctx, family, address, reply.dport, needsCt)
    const made = natCreate(ctx, original, entry)
    if (made < 0) {
      natDelete(ctx, reply)
      ctx.extErr = made
    } else result = entry
  }
  if (retries > Math.floor(ctx.node.SNAT_COLLISION_RETRIES / 2)) signalNatFillUp(ctx, family)
  return result
}

/** The conntrack entry of a translated connection that nobody else tracks. 0 or a drop reason. */
function trackRequest(ctx: Ctx, tuple: Tuple, place: PacketPlace, trace: TraceContext): number {
  const tracked = tuple.copy()
  // ports are in the layout of conntrack already
  tracked.swapAddresses()
  const map = ctMapOf(ctx, tracked)
  const found = ctLazyLookup(ctx, map, tracked, {
    ...place,
    direction: ctDirection.EGRESS,
    scope: ctScope.FORWARD,
  })
  trace.monitor = found.monitor
  if (found.status < 0) return found.status
  trace.reason = found.status
  if (found.status !== ctStatus.NEW) return 0
  const made = ctCreate(ctx, map, undefined, tracked, ctDirection.EGRESS, undefined)
  return isError(ctx, made) ? made : 0
}

/** Makes the entry for replies again where it is gone (LRU eviction). 0 or a drop reason. */
function restoreReply(ctx: Ctx, tuple: Tuple, reply: Tuple, needsCt: boolean): number {
  if (natLookup(ctx, reply) !== undefined) return 0
  const made = natCreate(ctx, reply, newEntry(ctx, tuple.family, tuple.saddr, tuple.sport, needsCt))
  if (made >= 0) return 0
  ctx.extErr = made
  return drop.NAT_NO_MAPPING
}

/**
 * snat_v4_nat_handle_mapping(): the entry of a request, an old one that still fits or a new one. A drop reason otherwise.
 */
export function handleMapping(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  target: NatTarget,
  trace: TraceContext,
): NatEntry | number {
  const { needsCt } = target
  const known = natLookup(ctx, tuple)
  if (needsCt) {
    const tracked = trackRequest(ctx, tuple, place, trace)
    if (tracked !== 0) return tracked
  }
  if (known !== undefined) {
    const reply = replyTuple(tuple, known.toAddress, known.toPort)
    if (sameAddress(target.address, known.toAddress) && needsCt === known.needsCt) {
      const restored = restoreReply(ctx, tuple, reply, needsCt)
      return restored === 0 ? known : restored
    }
    // made for another address: both go
    const removed = natDelete(ctx, tuple)
    if (isError(ctx, removed)) return removed
    if (natLookup(ctx, reply) !== undefined) natDelete(ctx, reply)
  }
  return newMapping(ctx, tuple, target)
}

/** Makes the entry for requests again where it is gone (LRU eviction). 0 or a drop reason. */
function restoreRequest(ctx: Ctx, tuple: Tuple, reply: NatEntry): number {
  const original = new Tuple(tuple.family)
  original.saddr = reply.toAddress
  original.sport = reply.toPort
  original.daddr = tuple.saddr
  original.dport = tuple.sport
  original.nexthdr = tuple.nexthdr
  original.flags = tupleFlag.OUT
  if (natLookup(ctx, original) !== undefined) return 0
  const entry = newEntry(ctx, tuple.family, tuple.daddr, tuple.dport, reply.needsCt)
  return natCreate(ctx, original, entry) < 0 ? drop.NAT_NO_MAPPING : 0
}

/** snat_v4_rev_nat_handle_mapping(): the entry of a reply, or DROP_NAT_NO_MAPPING. */
export function handleReverseMapping(
  ctx: Ctx,
  tuple: Tuple,
  place: PacketPlace,
  trace: TraceContext,
): NatEntry | number {
  const known = natLookup(ctx, tuple)
  if (known === undefined) return drop.NAT_NO_MAPPING
  const restored = restoreRequest(ctx, tuple, known)
  if (restored !== 0) return restored
  if (!known.needsCt) return known
  const tracked = tuple.copy()
  tracked.daddr = known.toAddress
  tracked.dport = known.toPort
  // conntrack names the ports the other way round
  tracked.swapPorts()
  const found = ctLazyLookup(ctx, ctMapOf(ctx, tracked), tracked, {
    ...place,
    direction: ctDirection.INGRESS,
    scope: ctScope.REVERSE,
  })
  trace.monitor = found.monitor
  if (found.status < 0) return found.status
  trace.reason = found.status
  return known
}
