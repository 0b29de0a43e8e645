// The forwarding database of a VXLAN device: behind which remote hosts a MAC address is. drivers/net/vxlan/vxlan_core.c
// vxlan_find_mac(), vxlan_fdb_append(), vxlan_snoop(). The entry of 00:00:00:00:00:00 is for everything without one.
import { type IpAddress, sameIp } from '../../net/address.ts'
import { isMulticastMac, macFrom } from '../../net/mac.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'

/** One remote host of an entry (struct vxlan_rdst). */
export interface VxlanRemote {
  readonly address: IpAddress
  /** undefined: the device's own. */
  readonly port: number | undefined
  readonly vni: number | undefined
  /** ifindex the outer packet must leave by, 0 for any. */
  readonly via: number
}

export interface VxlanEntry {
  /** In order of addition; several stand only at group addresses and at the default entry. */
  readonly remotes: VxlanRemote[]
  /** Never aged, never moved by learning (`permanent`, `static`). */
  readonly fixed: boolean
  /** Virtual time of the last frame from it. */
  updated: number
}

export type VxlanFdb = Map<number, VxlanEntry>

/** FDB_AGE_DEFAULT. */
export const vxlanAgeing = 300_000_000_000

/** Where frames for a MAC address go: its own entry, else the default one. */
export function vxlanRemotes(fdb: VxlanFdb, mac: number, now: number): VxlanEntry | undefined {
  const own = fdb.get(mac)
  if (own !== undefined && (own.fixed || now - own.updated < vxlanAgeing)) {
    own.updated = own.fixed ? own.updated : now
    return own
  }
  return fdb.get(0)
}

/** Whether several remotes may stand at an address: groups and the default entry (vxlan_fdb_update). */
function takesSeveral(mac: number): boolean {
  return mac === 0 || isMulticastMac(macFrom(mac))
}

/**
 * `bridge fdb append MAC dev DEV dst ADDRESS` (`add` is the same where there is none yet). EOPNOTSUPP for a second
 * remote of a unicast address, EEXIST for the same remote again.
 */
export function addVxlanRemote(
  fdb: VxlanFdb,
  mac: number,
  remote: VxlanRemote,
  options: { readonly fixed: boolean; readonly now: number },
): 'ok' | 'EEXIST' | 'EOPNOTSUPP' {
  const entry = fdb.get(mac)
  if (entry === undefined) {
    fdb.set(mac, { remotes: [remote], fixed: options.fixed, updated: options.now })
    return 'ok'
  }
  if (entry.remotes.some((other) => sameRemote(other, remote))) return 'EEXIST'
  if (!takesSeveral(mac)) return 'EOPNOTSUPP'
  entry.remotes.push(remote)
  return 'ok'
}

/** vxlan_fdb_find_rdst(). */
export function sameRemote(left: VxlanRemote, right: VxlanRemote): boolean {
  const sameAddress = sameIp(left.address, right.address)
  return sameAddress && left.port === right.port && left.vni === right.vni && left.via === right.via
}

/** vxlan_snoop(): the sender of a frame is behind an address. Answers why the frame must be dropped, if it must. */
export function learnVxlan(
  fdb: VxlanFdb,
  mac: number,
  address: IpAddress,
  now: number,
): KernelDropReason | undefined {
  if (mac === 0 || isMulticastMac(macFrom(mac))) return 'SKB_DROP_REASON_MAC_INVALID_SOURCE'
  const entry = fdb.get(mac)
  const first = entry?.remotes[0]
  if (entry !== undefined && first !== undefined && sameIp(first.address, address)) {
    if (!entry.fixed) entry.updated = now
    return undefined
  }
  if (entry?.fixed) return 'SKB_DROP_REASON_VXLAN_ENTRY_EXISTS'
  const remote: VxlanRemote = { address, port: undefined, vni: undefined, via: 0 }
  fdb.set(mac, { remotes: [remote], fixed: false, updated: now })
  return undefined
}
