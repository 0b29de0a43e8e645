// A tuple with the addresses of a packet.
import { Tuple } from '../maps/tuple.ts'
import type { Ctx } from './ctx.ts'
import type { Family } from './family.ts'

/** Addresses of the IP header at `l3Offset` and a protocol; ports and flags are 0. */
export function newTuple(ctx: Ctx, family: Family, l3Offset: number, nexthdr: number): Tuple {
  const tuple = new Tuple(family)
  const { packet } = ctx
  tuple.daddr = packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  tuple.saddr = packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  tuple.nexthdr = nexthdr
  return tuple
}
