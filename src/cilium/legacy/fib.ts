// Sending a packet on without the kernel's stack, in Cilium 1.10. bpf/lib/fib.h
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import { redirNeighAt, redirNeighBytes } from '../../bpf/context/structs.ts'
import { fibResult } from '../../bpf/fib-result.ts'
import { fibFlag } from '../../bpf/helpers/lookup.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { storeMacs } from '../datapath/ethernet.ts'
import type { Family } from '../datapath/family.ts'
import { fibAt, fibDevice, fibParams, noMacs } from '../datapath/fib.ts'
import { ethernetLength } from '../datapath/headers.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { l3 } from './l3.ts'

const macBytes = 6
const nextHopBytes = 16

/** The answer of the routing table with what it needs; undefined where it has none. */
interface Route {
  readonly oif: number
  /** Both MACs where the neighbour is known. */
  readonly macs: { readonly source: Uint8Array; readonly destination: Uint8Array } | undefined
  /** A struct bpf_redir_neigh: undefined leaves the next hop to the kernel. */
  readonly next: Uint8Array | undefined
}

function lookupRoute(ctx: Ctx, family: Family): Route | undefined {
  const l3Offset = ethernetLength(ctx)
  const { packet } = ctx
  const source = packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const destination = packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const params = fibParams(ctx, family, source, destination)
  writeLe32(params, fibAt.ifindex, ctx.ingressIfindex)
  const result = ctx.fibLookup(params, fibFlag.BPF_FIB_LOOKUP_DIRECT)
  const oif = fibDevice(params)
  const bytes = (at: number, size: number): Uint8Array => params.slice(at, at + size)
  if (result === fibResult.success) {
    const macs = { source: bytes(fibAt.smac, macBytes), destination: bytes(fibAt.dmac, macBytes) }
    return { oif, macs, next: undefined }
  }
  if (result !== fibResult.noNeighbour) return undefined
  const next = new Uint8Array(redirNeighBytes)
  writeLe32(next, redirNeighAt.nh_family, params[0] as number)
  next.set(bytes(fibAt.destination, nextHopBytes), redirNeighAt.nh)
  return { oif, macs: undefined, next }
}

/**
 * redirect_direct_v4(), redirect_direct_v6(): one hop less to live, then out of the device that the routing table says, or of
 * the only one there is. CTX_ACT_DROP without a route.
 */
export function redirectDirect(ctx: Ctx, family: Family): number {
  const { ENABLE_SKIP_FIB, direct_routing_dev_ifindex } = ctx.node
  const route = ENABLE_SKIP_FIB
    ? { oif: direct_routing_dev_ifindex, macs: undefined, next: undefined }
    : lookupRoute(ctx, family)
  if (route === undefined) return ctx.act.DROP
  const hop = l3(ctx, family, noMacs, metricDirection.EGRESS)
  if (hop !== ctx.act.OK) return hop
  if (route.macs === undefined) return ctx.redirectNeigh(route.oif, route.next)
  if (storeMacs(ctx, route.macs.source, route.macs.destination) < 0) return ctx.act.DROP
  return ctx.redirect(route.oif, 0)
}
