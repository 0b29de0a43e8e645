// One conntrack entry and one packet: lifetime, closing, counters, and whether the packet is worth a report.
// lib/conntrack.h __ct_lookup(), ct_update_timeout()
import type { AnyMap } from '../../bpf/maps/create.ts'
import { CtEntry } from '../maps/ct-entry.ts'
import type { Tuple } from '../maps/tuple.ts'
import { type CtDirection, type CtState, ctDirection, ctEntryType, ctStatus } from './ct-state.ts'
import type { Ctx } from './ctx.ts'
import { monoNow, secToMono } from './time.ts'

export const tcpFlag = { FIN: 0x01, SYN: 0x02, RST: 0x04, ACK: 0x10 } as const

/** enum ct_action */
export const ctAction = { UNSPEC: 0, CREATE: 1, CLOSE: 2 } as const

/** ct_tcp_select_action() */
function selectAction(flags: number): number {
  if ((flags & (tcpFlag.RST | tcpFlag.FIN)) !== 0) return ctAction.CLOSE
  if ((flags & tcpFlag.SYN) !== 0 && (flags & tcpFlag.ACK) === 0) return ctAction.CREATE
  return ctAction.UNSPEC
}

/** __ct_update_timeout(): `lifetime` in seconds from now. Bytes to report, 0 for nothing new. */
export function refresh(
  ctx: Ctx,
  entry: CtEntry,
  lifetime: number,
  direction: CtDirection,
  flags: number,
): number {
  const now = monoNow(ctx)
  const { CT_REPORT_INTERVAL, CT_REPORT_FLAGS, trace_payload_len } = ctx.node
  const ingress = direction === ctDirection.INGRESS
  entry.lifetime = now + secToMono(ctx.node, lifetime)
  const before = ingress ? entry.rxFlagsSeen : entry.txFlagsSeen
  const lastReport = ingress ? entry.lastRxReport : entry.lastTxReport
  const seen = (flags & CT_REPORT_FLAGS) | before
  if (lastReport + secToMono(ctx.node, CT_REPORT_INTERVAL) >= now && before === seen) return 0
  if (ingress) {
    entry.rxFlagsSeen = seen
    entry.lastRxReport = now
  } else {
    entry.txFlagsSeen = seen
    entry.lastTxReport = now
  }
  return trace_payload_len
}

/** ct_update_timeout(): gives the entry the lifetime of its state. Bytes to report. */
export function updateTimeout(
  ctx: Ctx,
  entry: CtEntry,
  isTcp: boolean,
  direction: CtDirection,
  flags: number,
): number {
  const service = direction === ctDirection.SERVICE
  const { node } = ctx
  let lifetime = service ? node.CT_SERVICE_LIFETIME_NONTCP : node.CT_CONNECTION_LIFETIME_NONTCP
  if (isTcp) {
    if ((flags & tcpFlag.SYN) === 0) entry.set('seen_non_syn', true)
    if (!entry.is('seen_non_syn')) lifetime = node.CT_SYN_TIMEOUT
    else lifetime = service ? node.CT_SERVICE_LIFETIME_TCP : node.CT_CONNECTION_LIFETIME_TCP
  }
  return refresh(ctx, entry, lifetime, direction, flags)
}

/** Whether a FIN or RST was seen in either direction. */
export function isClosing(entry: CtEntry): boolean {
  return entry.is('tx_closing') || entry.is('rx_closing')
}

/** ct_entry_alive() */
export function isAlive(entry: CtEntry): boolean {
  return !entry.is('rx_closing') || !entry.is('tx_closing')
}

/** ct_entry_matches_types() */
function matchesTypes(ctx: Ctx, entry: CtEntry, types: number, state: CtState | undefined): boolean {
  if (types === ctEntryType.ANY) return true
  if ((types & ctEntryType.SVC) !== 0 && entry.revNatIndex === state?.revNatIndex) return true
  if (!ctx.node.ENABLE_NODEPORT) return false
  if ((types & ctEntryType.NODEPORT) !== 0 && entry.is('node_port') && entry.revNatIndex !== 0) {
    if (state === undefined || state.revNatIndex === 0) return true
    if (entry.revNatIndex === state.revNatIndex) return true
  }
  return ctx.node.ENABLE_DSR && (types & ctEntryType.DSR) !== 0 && entry.is('dsr_internal')
}

/** ct_lookup_fill_state() */
function fillState(ctx: Ctx, state: CtState, entry: CtEntry, direction: CtDirection, syn: boolean): void {
  state.revNatIndex = entry.revNatIndex
  if (direction === ctDirection.SERVICE) {
    state.backendId = entry.backendId
    state.syn = syn
    return
  }
  if (knowsLoopback(ctx)) state.loopback = entry.is('lb_loopback')
  state.nodePort = entry.is('node_port')
  state.dsrInternal = entry.is('dsr_internal')
  state.proxyRedirect = entry.is('proxy_redirect')
  state.fromL7lb = entry.is('from_l7lb')
  state.fromTunnel = entry.is('from_tunnel')
  state.natAddress = entry.natAddress.slice()
  state.natPort = entry.natPort
}

/** USE_LOOPBACK_LB: hairpin connections are a pod's matter. */
export function knowsLoopback(ctx: Ctx): boolean {
  return ctx.object.kind === 'bpf_lxc'
}

/**
 * A SYN on a closing entry: it becomes as new, and the caller is told that there was none, so that it makes one. Bytes to
 * report, or undefined where the entry is not closing.
 */
function reopen(
  ctx: Ctx,
  entry: CtEntry,
  isTcp: boolean,
  direction: CtDirection,
  flags: number,
): number | undefined {
  if (!isClosing(entry)) return undefined
  entry.set('rx_closing', false)
  entry.set('tx_closing', false)
  entry.rxFlagsSeen = 0
  entry.txFlagsSeen = 0
  entry.set('seen_non_syn', false)
  return updateTimeout(ctx, entry, isTcp, direction, flags)
}

/**
 * FIN or RST. A service entry sees one direction only and closes both. An RST closes both directions, whatever was seen
 * before: ct_entry_seen_both_syns() compares the byte of seen flags with TCP_FLAG_SYN, a 32-bit constant in network order
 * (0x200 on a little-endian machine), which never matches.
 */
function close(ctx: Ctx, entry: CtEntry, direction: CtDirection, flags: number): void {
  const service = direction === ctDirection.SERVICE
  const both = service || (flags & tcpFlag.RST) !== 0
  if (both || direction === ctDirection.INGRESS) entry.set('rx_closing', true)
  if (both || direction !== ctDirection.INGRESS) entry.set('tx_closing', true)
  if (!isAlive(entry)) refresh(ctx, entry, ctx.node.CT_CLOSE_TIMEOUT, direction, flags)
}

/** What a lookup of one key needs to know about the packet. */
export interface EntryLookup {
  readonly direction: CtDirection
  readonly entryTypes: number
  readonly isTcp: boolean
  /** Byte 13 of the TCP header; 0 where there is none. */
  readonly flags: number
  /** Whether `flags` may change the state: not for later fragments and other protocols. */
  readonly hasFlags: boolean
  readonly state: CtState | undefined
}

/**
 * __ct_lookup(): looks for exactly this tuple, and lets the packet work on the entry it finds. `status` is NEW or
 * ESTABLISHED; `state` is filled in only for the latter. `monitor` undefined: this lookup left it as it was.
 */
export function lookupEntry(
  ctx: Ctx,
  map: AnyMap,
  tuple: Tuple,
  lookup: EntryLookup,
): { readonly status: number; readonly monitor: number | undefined } {
  const { direction, isTcp, flags, state } = lookup
  const payload = ctx.node.trace_payload_len
  const isNew = { status: ctStatus.NEW, monitor: payload }
  const found = ctx.lookup(map, tuple.bytes)
  if (found === undefined) return isNew
  const entry = new CtEntry(found)
  if (!matchesTypes(ctx, entry, lookup.entryTypes, state)) return isNew
  const syn = (flags & tcpFlag.SYN) !== 0
  if (direction === ctDirection.SERVICE && syn && isClosing(entry)) {
    const wait = secToMono(ctx.node, ctx.node.CT_SERVICE_CLOSE_REBALANCE)
    if (entry.lastTxReport + wait <= monoNow(ctx)) return isNew
  }
  let monitor = isAlive(entry) ? updateTimeout(ctx, entry, isTcp, direction, flags) : undefined
  if (ctx.node.CONNTRACK_ACCOUNTING) {
    entry.packets += 1
    entry.bytes += ctx.length
  }
  const action = lookup.hasFlags ? selectAction(flags) : ctAction.UNSPEC
  if (action === ctAction.CREATE) {
    const reopened = reopen(ctx, entry, isTcp, direction, flags)
    if (reopened !== undefined) return { status: ctStatus.NEW, monitor: reopened }
  } else if (action === ctAction.CLOSE) {
    close(ctx, entry, direction, flags)
    if (state !== undefined) state.closing = true
    monitor = payload
  }
  if (state !== undefined) fillState(ctx, state, entry, direction, syn)
  return { status: ctStatus.ESTABLISHED, monitor }
}
