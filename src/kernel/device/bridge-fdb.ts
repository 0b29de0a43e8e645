// The forwarding database of a bridge (net/bridge/br_fdb.c): which port a MAC address is behind.
import type { BridgePort, BridgeState } from './bridge-state.ts'

/** An address and where it is. */
export interface FdbEntry {
  /** undefined: the bridge device itself. */
  readonly port: BridgePort | undefined
  /** An address of this host (`permanent` in `bridge fdb`): frames for it go up, it never ages. */
  readonly local: boolean
  /** Virtual time of the last frame from it; infinite for a static entry, which never ages. */
  updated: number
}

/** Where an address is, unless the entry is older than the ageing time. */
export function fdbLookup(state: BridgeState, mac: number, now: number): FdbEntry | undefined {
  const entry = state.fdb.get(mac)
  if (entry === undefined || entry.local) return entry
  return now - entry.updated >= state.ageingNanoseconds ? undefined : entry
}

/** br_fdb_update(): a source address is behind a port, unless it is one of this host's own. True when that was news. */
export function fdbLearn(state: BridgeState, mac: number, port: BridgePort, now: number): boolean {
  const entry = state.fdb.get(mac)
  if (entry?.local) return false
  if (entry !== undefined && entry.port === port) {
    entry.updated = Math.max(entry.updated, now)
    return false
  }
  // BR_FDB_STATIC stays when an address is seen elsewhere
  const updated = entry?.updated === Number.POSITIVE_INFINITY ? entry.updated : now
  state.fdb.set(mac, { port, local: false, updated })
  return true
}

/** br_fdb_change_mac_address(), fdb_add_local(): an address of this host. */
export function fdbAddLocal(state: BridgeState, mac: number, port: BridgePort | undefined): void {
  const entry = state.fdb.get(mac)
  if (entry?.local && entry.port === undefined) return
  state.fdb.set(mac, { port, local: true, updated: 0 })
}

/** Forgets the local entry of a port or of the bridge (its address changed, or it left). */
export function fdbRemoveLocal(state: BridgeState, port: BridgePort | undefined): void {
  for (const [mac, entry] of state.fdb) if (entry.local && entry.port === port) state.fdb.delete(mac)
}

/** br_fdb_delete_by_port(): what was learned on a port, or, when it leaves the bridge, everything. */
export function fdbForgetPort(state: BridgeState, port: BridgePort, which: 'learned' | 'all'): void {
  for (const [mac, { port: at, local, updated }] of state.fdb) {
    const fixed = local || updated === Number.POSITIVE_INFINITY
    if (at === port && (which === 'all' || !fixed)) state.fdb.delete(mac)
  }
}
