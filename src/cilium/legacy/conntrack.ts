// Conntrack of Cilium 1.10: reverse first, then forward, always both; a closing entry that sees a SYN is reopened in place;
// entries count each direction apart; a packet to or from port 53 is captured whole. bpf/lib/conntrack.h
import type { AnyMap } from '../../bpf/maps/create.ts'
import { ctAnyMap, ctMapOf, echoIdAt, icmp4, icmp6, reverseTuple } from '../datapath/conntrack.ts'
import { type CtDirection, type CtResult, ctDirection } from '../datapath/ct-state.ts'
import { ctAction, isAlive, isClosing, refresh, tcpFlag, updateTimeout } from '../datapath/ct-update.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Family, ipv4, protocolNumber } from '../datapath/family.ts'
import { signalCtFillUp } from '../datapath/signal.ts'
import { type Tuple, tupleFlag } from '../maps/tuple.ts'
import { LegacyCtEntry } from './ct-entry.ts'
import { type CtState, ctStatus } from './ct-state.ts'
import { loadPorts } from './ports.ts'

const tcpFlagsAt = 12
const dnsPort = 53

/** What the packet means for an entry. */
interface Seen {
  readonly direction: CtDirection
  readonly action: number
  readonly isTcp: boolean
  readonly flags: number
  readonly state: CtState
}

function readState(entry: LegacyCtEntry, state: CtState, direction: CtDirection): void {
  state.revNatIndex = entry.revNatIndex
  state.loopback = entry.is('lb_loopback')
  state.nodePort = entry.is('node_port')
  state.ifindex = entry.ifindex
  state.dsr = entry.is('dsr_internal')
  state.proxyRedirect = entry.is('proxy_redirect')
  // ct_state.backend_id has 16 bits
  if (direction === ctDirection.SERVICE) state.backendId = entry.rxBytes & 0xffff
}

function account(ctx: Ctx, entry: LegacyCtEntry, direction: CtDirection): void {
  if (!ctx.node.CONNTRACK_ACCOUNTING) return
  if (direction === ctDirection.INGRESS) {
    entry.rxPackets += 1
    entry.rxBytes += ctx.length
  } else if (direction === ctDirection.EGRESS) {
    entry.txPackets += 1
    entry.txBytes += ctx.length
  }
}

/**
 * FIN or RST. An RST closes both directions whatever was seen before: ct_entry_seen_both_syns() compares the byte of seen flags
 * with a 32-bit constant in network order, which never matches.
 */
function close(ctx: Ctx, entry: LegacyCtEntry, { direction, flags }: Seen): void {
  const both = (flags & tcpFlag.RST) !== 0 && direction !== ctDirection.SERVICE
  if (both || direction === ctDirection.INGRESS) entry.set('rx_closing', true)
  if (both || direction !== ctDirection.INGRESS) entry.set('tx_closing', true)
  if (!isAlive(entry)) refresh(ctx, entry, ctx.node.CT_CLOSE_TIMEOUT, direction, flags)
}

/** __ct_lookup(): exactly this tuple. `before` is what an earlier lookup of the packet said about reporting it. */
function lookupEntry(ctx: Ctx, map: AnyMap, tuple: Tuple, seen: Seen, before: number): CtResult {
  const { direction, flags, isTcp } = seen
  const raw = ctx.lookup(map, tuple.bytes)
  const { trace_payload_len } = ctx.node
  if (raw === undefined) return { status: ctStatus.NEW, monitor: trace_payload_len }
  const entry = new LegacyCtEntry(raw)
  let monitor = isAlive(entry) ? updateTimeout(ctx, entry, isTcp, direction, flags) : before
  readState(entry, seen.state, direction)
  account(ctx, entry, direction)
  if (seen.action === ctAction.CREATE && isClosing(entry) && (flags & tcpFlag.SYN) !== 0) {
    entry.set('rx_closing', false)
    entry.set('tx_closing', false)
    monitor = updateTimeout(ctx, entry, isTcp, direction, flags)
    return { status: ctStatus.REOPENED, monitor }
  }
  if (seen.action === ctAction.CLOSE) {
    close(ctx, entry, seen)
    monitor = trace_payload_len
  }
  return { status: ctStatus.ESTABLISHED, monitor }
}

/** The ICMP half of ct_lookup4() and ct_lookup6(): the action, or a drop reason. */
function extractIcmp(ctx: Ctx, tuple: Tuple, l4Offset: number): number {
  const { family } = tuple
  const head = ctx.load(l4Offset, 1)
  if (head === undefined) return drop.CT_INVALID_HDR
  const type = head[0] as number
  const names = family === ipv4 ? icmp4 : icmp6
  const isEcho = type === names.echo || type === names.echoReply
  const id = isEcho ? ctx.load(l4Offset + echoIdAt, 2) : undefined
  if (isEcho && id === undefined) return drop.CT_INVALID_HDR
  tuple.sport = 0
  tuple.dport = 0
  if (id !== undefined) {
    tuple.bytes.set(id, family.addressBytes * 2 + (type === names.echo ? 0 : 2))
    return type === names.echo ? ctAction.CREATE : ctAction.UNSPEC
  }
  const error =
    type === names.unreachable ||
    type === names.timeExceeded ||
    type === names.parameterProblem ||
    (family !== ipv4 && type === icmp6.tooBig)
  if (!error) return ctAction.CREATE
  tuple.flags |= tupleFlag.RELATED
  return ctAction.UNSPEC
}

type PacketMeaning = Pick<Seen, 'action' | 'flags' | 'isTcp'>

/** Ports, flags and what the packet means for an entry; a drop reason where it cannot be read. */
function readPacket(
  ctx: Ctx,
  tuple: Tuple,
  l4Offset: number,
  direction: CtDirection,
): PacketMeaning | number {
  const { nexthdr, family } = tuple
  if (nexthdr === family.icmp) {
    const action = extractIcmp(ctx, tuple, l4Offset)
    return action < 0 ? action : { action, flags: 0, isTcp: false }
  }
  const isTcp = nexthdr === protocolNumber.TCP
  if (!isTcp && nexthdr !== protocolNumber.UDP) return drop.CT_UNKNOWN_PROTO
  const { result, hasL4Header } = loadPorts(ctx, tuple, l4Offset, direction)
  if (result < 0) return result
  if (!isTcp || !hasL4Header) return { action: ctAction.CREATE, flags: 0, isTcp }
  const bytes = ctx.load(l4Offset + tcpFlagsAt, 2)
  if (bytes === undefined) return drop.CT_INVALID_HDR
  const flags = bytes[1] as number
  const closes = (flags & (tcpFlag.RST | tcpFlag.FIN)) !== 0
  return { action: closes ? ctAction.CLOSE : ctAction.CREATE, flags, isTcp }
}

function flagsOf(direction: CtDirection): number {
  if (direction === ctDirection.SERVICE) return tupleFlag.SERVICE
  return direction === ctDirection.INGRESS ? tupleFlag.OUT : tupleFlag.IN
}

/**
 * ct_lookup4(), ct_lookup6(): of a tuple that has the packet's addresses and protocol. `status` is a ctStatus or a drop reason;
 * `state` is filled in from the entry that was found. The tuple is left in forward form for NEW and ESTABLISHED, as the
 * packet has it for REPLY and RELATED.
 */
export function ctLookup(
  ctx: Ctx,
  tuple: Tuple,
  l4Offset: number,
  direction: CtDirection,
  state: CtState,
): CtResult {
  tuple.flags = flagsOf(direction)
  const read = readPacket(ctx, tuple, l4Offset, direction)
  if (typeof read === 'number') return { status: read, monitor: 0 }
  const seen: Seen = { ...read, direction, state }
  const map = ctMapOf(ctx, tuple)
  let found = lookupEntry(ctx, map, tuple, seen, 0)
  if (found.status !== ctStatus.NEW) {
    const related = (tuple.flags & tupleFlag.RELATED) !== 0
    found = { status: related ? ctStatus.RELATED : ctStatus.REPLY, monitor: found.monitor }
  } else if (direction !== ctDirection.SERVICE) {
    reverseTuple(tuple)
    found = lookupEntry(ctx, map, tuple, seen, found.monitor)
  }
  return tuple.dport === dnsPort ? { ...found, monitor: ctx.node.MTU } : found
}

function newEntry(ctx: Ctx, tuple: Tuple, direction: CtDirection, state: CtState): LegacyCtEntry {
  const entry = new LegacyCtEntry()
  entry.set('lb_loopback', state.loopback)
  entry.set('node_port', state.nodePort)
  entry.set('dsr_internal', state.dsr)
  entry.ifindex = state.ifindex
  if (direction === ctDirection.SERVICE) entry.rxBytes = state.backendId
  entry.revNatIndex = state.revNatIndex
  const isTcp = tuple.nexthdr === protocolNumber.TCP
  updateTimeout(ctx, entry, isTcp, direction, isTcp ? tcpFlag.SYN : 0)
  if (direction === ctDirection.INGRESS) {
    entry.rxPackets = 1
    entry.rxBytes = ctx.length
  } else if (direction === ctDirection.EGRESS) {
    entry.txPackets = 1
    entry.txBytes = ctx.length
  }
  entry.srcSecId = state.srcSecId
  return entry
}

/**
 * The second entry of a hairpin connection, IPv4 only: replies go to the service's address, so that they are translated back
 * before they are routed. 0 or a negative errno.
 */
function createLoopback(
  ctx: Ctx,
  map: AnyMap,
  tuple: Tuple,
  direction: CtDirection,
  entry: LegacyCtEntry,
  state: CtState,
): number {
  const { address, serviceAddress } = state
  if (!state.loopback || address === undefined || serviceAddress === undefined) return 0
  const twin = tuple.copy()
  twin.flags = tupleFlag.IN
  const ingress = direction === ctDirection.INGRESS
  twin.saddr = ingress ? address : serviceAddress
  twin.daddr = ingress ? serviceAddress : address
  return ctx.update(map, twin.bytes, entry.raw)
}

function creationFailed(ctx: Ctx, family: Family): number {
  signalCtFillUp(ctx, family)
  return drop.CT_CREATE_FAILED
}

/** What a new entry is told besides its tuple. */
export interface CtCreation {
  readonly direction: CtDirection
  readonly state: CtState
  /** Whether an entry for ICMP errors is made, too. */
  readonly related: boolean
  readonly proxyRedirect?: boolean
}

/** ct_create4(), ct_create6(): the entry of a tuple in forward form, and its twins. 0 or DROP_CT_CREATE_FAILED. */
export function ctCreate(ctx: Ctx, tuple: Tuple, creation: CtCreation): number {
  const { direction, state, related, proxyRedirect = false } = creation
  const { family } = tuple
  const map = ctMapOf(ctx, tuple)
  const entry = newEntry(ctx, tuple, direction, state)
  entry.set('proxy_redirect', proxyRedirect)
  if (ctx.update(map, tuple.bytes, entry.raw) < 0) return creationFailed(ctx, family)
  if (createLoopback(ctx, map, tuple, direction, entry, state) < 0) return creationFailed(ctx, family)
  if (!related) return 0
  const twin = tuple.copy()
  twin.sport = 0
  twin.dport = 0
  twin.nexthdr = family.icmp
  twin.flags = tuple.flags | tupleFlag.RELATED
  entry.set('seen_non_syn', true)
  return ctx.update(ctAnyMap(ctx, family), twin.bytes, entry.raw) < 0 ? creationFailed(ctx, family) : 0
}
