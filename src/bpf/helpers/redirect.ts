// Helpers that say where a packet goes next. They only note it (struct bpf_redirect_info); the hook acts when the program
// returns REDIRECT. net/core/filter.c bpf_redirect(), bpf_redirect_neigh(), bpf_redirect_peer(), bpf_clone_redirect(),
// bpf_xdp_redirect(); include/linux/filter.h __bpf_xdp_redirect_map()
import { tcCode, xdpCode } from '../codes.ts'
import { readLe32 } from '../context/byte-order.ts'
import { addressFamily, readWords, redirNeighAt, redirNeighBytes } from '../context/structs.ts'
import type { RunContext } from '../contract.ts'
import { errno } from '../errno.ts'
import { fault } from '../fault.ts'
import { indexKey } from '../maps/array-map.ts'
import type { AnyMap } from '../maps/create.ts'
import { DevMap } from '../maps/devmap.ts'

export const redirectFlag = { BPF_F_INGRESS: 1, BPF_F_BROADCAST: 8, BPF_F_EXCLUDE_INGRESS: 16 } as const

/** Codes that may stand in the low bits of the flags of bpf_redirect_map. */
const actionMask = 3

/** bpf_redirect: TC_ACT_REDIRECT or XDP_REDIRECT; TC_ACT_SHOT or XDP_ABORTED for unknown flags. */
export function redirect(context: RunContext, ifindex: number, flags = 0): number {
  const xdp = context.type === 'xdp'
  const known = xdp ? 0 : redirectFlag.BPF_F_INGRESS
  if ((flags & ~known) !== 0) return xdp ? xdpCode.XDP_ABORTED : tcCode.TC_ACT_SHOT
  context.redirect = { kind: 'device', ifindex, ingress: (flags & redirectFlag.BPF_F_INGRESS) !== 0 }
  return xdp ? xdpCode.XDP_REDIRECT : tcCode.TC_ACT_REDIRECT
}

/** bpf_redirect_neigh: `params` is a struct bpf_redir_neigh or nothing. TC_ACT_REDIRECT, or TC_ACT_SHOT for bad arguments. */
export function redirectNeigh(
  context: RunContext,
  ifindex: number,
  params: Uint8Array | undefined,
  flags = 0,
): number {
  if (flags !== 0 || (params !== undefined && params.length < redirNeighBytes)) return tcCode.TC_ACT_SHOT
  if (params === undefined) {
    context.redirect = { kind: 'neigh', ifindex }
    return tcCode.TC_ACT_REDIRECT
  }
  const family = readLe32(params, redirNeighAt.nh_family) === addressFamily.AF_INET6 ? 6 : 4
  const address = readWords(params, redirNeighAt.nh, family)
  context.redirect = { kind: 'neigh', ifindex, nextHop: { family, address } }
  return tcCode.TC_ACT_REDIRECT
}

/** bpf_redirect_peer: TC_ACT_REDIRECT, or TC_ACT_SHOT for flags. That it works at ingress only shows when the hook acts. */
export function redirectPeer(context: RunContext, ifindex: number, flags = 0): number {
  if (flags !== 0) return tcCode.TC_ACT_SHOT
  context.redirect = { kind: 'peer', ifindex }
  return tcCode.TC_ACT_REDIRECT
}

/** bpf_clone_redirect: sends a copy at once. 0, or -EINVAL for unknown flags or a device that does not exist. */
export function cloneRedirect(context: RunContext, ifindex: number, flags = 0): number {
  if ((flags & ~redirectFlag.BPF_F_INGRESS) !== 0) return -errno.EINVAL
  return context.kernel.cloneRedirect(ifindex, flags)
}

function broadcastTargets(context: RunContext, map: DevMap, flags: number): number[] {
  const ingress = context.xdp?.ifindex
  const all = map.ifindexes()
  return (flags & redirectFlag.BPF_F_EXCLUDE_INGRESS) === 0
    ? all
    : all.filter((ifindex) => ifindex !== ingress)
}

/**
 * bpf_redirect_map: XDP_REDIRECT when the slot holds a device (or with BPF_F_BROADCAST); otherwise the code in the low
 * two bits of `flags`, and an earlier redirect is forgotten. Unknown flags: XDP_ABORTED.
 */
export function redirectMap(context: RunContext, map: AnyMap, index: number, flags = 0): number {
  if (!(map instanceof DevMap)) fault(`cannot pass map_type ${map.spec.type} into func bpf_redirect_map#51`)
  const known = actionMask | redirectFlag.BPF_F_BROADCAST | redirectFlag.BPF_F_EXCLUDE_INGRESS
  if ((flags & ~known) !== 0) return xdpCode.XDP_ABORTED
  const ifindex = map.ifindexAt(index)
  if (context.trace?.full) noteSlot(context, map, index, ifindex)
  if ((flags & redirectFlag.BPF_F_BROADCAST) !== 0) {
    context.redirect = { kind: 'map', ifindex: 0, broadcast: broadcastTargets(context, map, flags) }
    return xdpCode.XDP_REDIRECT
  }
  if (ifindex === 0) {
    context.redirect = { kind: 'none' }
    return flags & actionMask
  }
  context.redirect = { kind: 'map', ifindex }
  return xdpCode.XDP_REDIRECT
}

function noteSlot(context: RunContext, map: DevMap, index: number, ifindex: number): void {
  const found = map.peek(indexKey(index), 0) !== undefined
  context.trace?.fact({
    kind: 'lookup',
    map: map.spec.name,
    keyText: String(index),
    ...(found ? { valueText: `ifindex ${ifindex}` } : {}),
  })
}
