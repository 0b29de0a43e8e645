// The identification field: net/ipv4/route.c __ip_select_ident(). Linux starts its counters at random and shares them
// between hashed buckets; here a counter belongs to one (source, destination, protocol) and starts at a function of the
// seed, so that unrelated packets never change each other's.
import type { Ipv4 } from '../../net/address.ts'
import type { Namespace } from '../namespace.ts'

/** The next identification between two addresses (16 bits). */
export function nextIdent(
  ns: Namespace,
  ends: { readonly source: Ipv4; readonly destination: Ipv4; readonly protocol: number },
): number {
  const { identifiers } = ns.ip
  let bySource = identifiers.get(ends.destination)
  if (bySource === undefined) {
    bySource = new Map()
    identifiers.set(ends.destination, bySource)
  }
  const key = ends.source * 256 + ends.protocol
  const next = bySource.get(key) ?? ns.machine.random(`ident ${ends.destination}`, key) & 0xffff
  bySource.set(key, (next + 1) & 0xffff)
  return next
}

/**
 * ip_select_ident(): `connected` is the socket's own counter if it has one; an unconnected packet that must not be
 * fragmented has 0; everything else counts by addresses.
 */
export function selectIdent(
  ns: Namespace,
  packet: {
    readonly source: Ipv4
    readonly destination: Ipv4
    readonly protocol: number
    readonly dontFragment: boolean
    /** skb->ignore_df: DF is wished for (IP_PMTUDISC_WANT), not demanded. */
    readonly ignoreDontFragment: boolean
    readonly connected?: { identification: number } | undefined
  },
): number {
  if (packet.connected !== undefined) {
    const { identification } = packet.connected
    packet.connected.identification = (identification + 1) & 0xffff
    return identification
  }
  if (packet.dontFragment && !packet.ignoreDontFragment) return 0
  return nextIdent(ns, packet)
}
