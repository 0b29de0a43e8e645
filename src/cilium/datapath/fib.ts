// Where a packet goes next by the kernel's routing table, and its redirect there. lib/fib.h
import { readLe32, writeLe32 } from '../../bpf/context/byte-order.ts'
import { addressFamily, fibBytes, redirNeighAt, redirNeighBytes } from '../../bpf/context/structs.ts'
import { fibResult } from '../../bpf/fib-result.ts'
import { fibFlag } from '../../bpf/helpers/lookup.ts'
import { writeU16, writeU48 } from '../../net/bytes.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { type Address, type Family, ipv4, ipv6 } from './family.ts'
import { l3 } from './l3.ts'
import { metricDirection } from './metrics.ts'
import { neighLookup } from './neigh.ts'

/** BPF_FIB_MAP_NO_NEIGH: neither the kernel nor the neighbour map knows the next hop. */
const noNeighbourInMap = 100

/** struct bpf_fib_lookup */
export const fibAt = { ifindex: 8, source: 16, destination: 32, smac: 52, dmac: 58 } as const
const ethernetBytes = 14
const macBytes = 6
const nextHopBytes = 16

/** A struct bpf_fib_lookup for a packet from `source` to `destination` that is on this device. */
export function fibParams(ctx: Ctx, family: Family, source: Address, destination: Address): Uint8Array {
  return fillFibParams(new Uint8Array(fibBytes), ctx, family, source, destination)
}

/** Sets what every question says; the rest stays as it is. */
export function fillFibParams(
  params: Uint8Array,
  ctx: Ctx,
  family: Family,
  source: Address,
  destination: Address,
): Uint8Array {
  params[0] = family.version === 4 ? addressFamily.AF_INET : addressFamily.AF_INET6
  writeLe32(params, fibAt.ifindex, ctx.ifindex)
  params.set(source, fibAt.source)
  params.set(destination, fibAt.destination)
  return params
}

/** The device that a lookup found. */
export function fibDevice(params: Uint8Array): number {
  return readLe32(params, fibAt.ifindex)
}

function familyOf(params: Uint8Array): Family {
  return params[0] === addressFamily.AF_INET ? ipv4 : ipv6
}

/** fib_lookup_skip_neigh(): where the kernel resolves neighbours itself, a lookup need not. */
function skipNeighbour(ctx: Ctx): number {
  return !ctx.isXdp && ctx.node.supports_fib_lookup_skip_neigh ? fibFlag.BPF_FIB_LOOKUP_SKIP_NEIGH : 0
}

/** fib_lookup(): BPF_FIB_LKUP_RET_* or a negative errno; the answer is in `params`. */
export function fibLookup(ctx: Ctx, params: Uint8Array, flags = 0): number {
  return ctx.fibLookup(params, flags | skipNeighbour(ctx))
}

/** Whether a lookup tells a device: with a neighbour, or with one still to be found. */
export function fibFound(result: number): boolean {
  return result === fibResult.success || result === fibResult.noNeighbour
}

/** fib_ok() */
export function fibOk(ctx: Ctx, result: number): boolean {
  return result === ctx.act.TX || result === ctx.act.REDIRECT
}

/** neigh_resolver_without_nh_available(): redirect_neigh() that looks the route up again, which bpf_overlay may not. */
export function resolvesWithoutNextHop(ctx: Ctx): boolean {
  return !ctx.isXdp && ctx.object.kind !== 'bpf_overlay'
}

/** THIS_IS_L3_DEV */
export function isL3Device(ctx: Ctx): boolean {
  return ctx.object.eth_header_length === 0
}

/** add_l2_hdr(): an Ethernet header with empty addresses for a packet that has none. 0 or a drop reason. */
export function addL2Header(ctx: Ctx): number {
  const type = new Uint8Array(2)
  writeU16(type, 0, ctx.protocol)
  if (ctx.changeHead(ethernetBytes) !== 0) return drop.INVALID
  return ctx.store(ethernetBytes - type.length, type) < 0 ? drop.WRITE_ERROR : 0
}

/** IS_L3_DEV(): the header that maybe_add_l2_hdr() adds is not wanted on a device without Ethernet. */
export function needsL2Header(ctx: Ctx, ifindex: number): boolean {
  return !ctx.node.l3Devices.has(ifindex)
}

/** maybe_add_l2_hdr() for a device that needs the header. */
export function maybeAddL2Header(ctx: Ctx): number {
  return isL3Device(ctx) ? addL2Header(ctx) : 0
}

/** Writes both MAC addresses from a lookup, or from the neighbour map. 0 or a drop reason. */
function resolveMacs(ctx: Ctx, params: Uint8Array, result: number, oif: number, useMap: boolean): number {
  if (result === fibResult.success) {
    if (ctx.store(0, params.slice(fibAt.dmac, fibAt.dmac + macBytes)) < 0) return drop.WRITE_ERROR
    return ctx.store(macBytes, params.slice(fibAt.smac, fibAt.smac + macBytes)) < 0 ? drop.WRITE_ERROR : 0
  }
  const family = familyOf(params)
  const nextHop = params.slice(fibAt.destination, fibAt.destination + family.addressBytes)
  const destination = useMap ? neighLookup(ctx, family, nextHop) : undefined
  if (destination === undefined) {
    ctx.extErr = noNeighbourInMap
    return drop.NO_FIB
  }
  const source = new Uint8Array(macBytes)
  writeU48(source, 0, ctx.node.nativeDeviceMacs.get(oif) ?? 0)
  if (ctx.store(0, destination) < 0) return drop.WRITE_ERROR
  return ctx.store(macBytes, source) < 0 ? drop.WRITE_ERROR : 0
}

/**
 * fib_do_redirect(): sends the packet out of `oif` to the next hop that `params` holds after a lookup with `result`. In tc
 * the kernel finds the neighbour; in XDP the lookup or, with `useMap`, the neighbour map must know it.
 */
export function fibDoRedirect(
  ctx: Ctx,
  params: Uint8Array,
  result: number,
  oif: number,
  options: { readonly needsL2Check: boolean; readonly useMap: boolean },
): number {
  if (options.needsL2Check) {
    if (!needsL2Header(ctx, oif)) return ctx.redirect(oif, 0)
    const added = maybeAddL2Header(ctx)
    if (added !== 0) return added
  }
  if (!ctx.isXdp) {
    const next = new Uint8Array(redirNeighBytes)
    writeLe32(next, redirNeighAt.nh_family, params[0] as number)
    next.set(params.subarray(fibAt.destination, fibAt.destination + nextHopBytes), redirNeighAt.nh)
    return ctx.redirectNeigh(oif, next)
  }
  const resolved = resolveMacs(ctx, params, result, oif, options.useMap)
  return resolved === 0 ? ctx.redirect(oif, 0) : resolved
}

/** fib_redirect(): lookup and redirect. */
export function fibRedirect(ctx: Ctx, params: Uint8Array, useMap: boolean): number {
  const result = fibLookup(ctx, params)
  if (!fibFound(result)) {
    ctx.extErr = result
    return drop.NO_FIB
  }
  return fibDoRedirect(ctx, params, result, fibDevice(params), { needsL2Check: true, useMap })
}

/** What became of a packet, and the device it was meant for (0 where none was found). */
export interface FibOutcome {
  readonly result: number
  readonly oif: number
}

/** A routing hop that leaves the addresses to whoever finds the neighbour. */
export const noMacs = { source: undefined, destination: undefined } as const

/** fib_redirect_v4(), fib_redirect_v6(): lookup by the packet's addresses, one hop less to live, redirect. */
export function fibRedirectPacket(
  ctx: Ctx,
  family: Family,
  l3Offset: number,
  options: { readonly needsL2Check: boolean; readonly useMap: boolean },
): FibOutcome {
  const { packet } = ctx
  const source = packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const params = fibParams(
    ctx,
    family,
    source,
    packet.copy(l3Offset + family.destinationAt, family.addressBytes),
  )
  const result = fibLookup(ctx, params)
  if (!fibFound(result)) {
    ctx.extErr = result
    return { result: drop.NO_FIB, oif: 0 }
  }
  const oif = fibDevice(params)
  const hop = l3(ctx, family, l3Offset, noMacs, metricDirection.EGRESS)
  if (hop !== 0) return { result: hop, oif }
  return { result: fibDoRedirect(ctx, params, result, oif, options), oif }
}
