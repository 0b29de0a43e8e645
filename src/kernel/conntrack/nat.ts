// NAT decisions and what they do to packets: nf_nat_setup_info(), nf_nat_packet() and null bindings of nf_nat_core.c. Rules
// are asked once for a flow; every packet of it is then rewritten towards the inverse of the other direction's tuple.

import type { HookName } from '../netfilter/hook.ts'
import type { Skb } from '../skb.ts'
import { type Connection, connStatus, directionOf, isConfirmed, tupleOf } from './connection.ts'
import { chooseTuple, type Manip, type NatRange } from './nat-choose.ts'
import { defiesNat, rewriteHeader } from './nat-rewrite.ts'
import type { ConntrackTable } from './table.ts'
import { invertTuple, sameTuple } from './tuple.ts'

/** HOOK2MANIP. */
export function manipOf(hook: HookName): Manip {
  return hook === 'PREROUTING' || hook === 'OUTPUT' ? 'destination' : 'source'
}

/** nf_nat_initialized(): whether this kind of NAT has been decided about. */
export function isDecided(connection: Connection, manip: Manip): boolean {
  const bit = manip === 'source' ? connStatus.sourceNatDone : connStatus.destinationNatDone
  return (connection.status & bit) !== 0
}

/** nf_nat_setup_info(): decides about a flow that is not confirmed yet. */
export function setupNat(
  table: ConntrackTable,
  connection: Connection,
  range: NatRange,
  manip: Manip,
): 'accept' | 'drop' {
  if (isConfirmed(connection)) return 'accept'
  if (isDecided(connection, manip)) return 'drop'
  const current = invertTuple(connection.reply)
  if (current === undefined) return 'drop'
  const chosen = chooseTuple(current, { table, connection, range, manip })
  if (!sameTuple(chosen, current)) {
    const reply = invertTuple(chosen)
    if (reply === undefined) return 'drop'
    connection.reply = reply
    connection.status |= manip === 'source' ? connStatus.sourceNat : connStatus.destinationNat
  }
  if (manip === 'source') table.rememberSource(connection)
  connection.status |= manip === 'source' ? connStatus.sourceNatDone : connStatus.destinationNatDone
  return 'accept'
}

/** nf_nat_alloc_null_binding(): no rule spoke, but ports may still have to give way to another flow. Facts: linux 8.3. */
export function bindNull(table: ConntrackTable, connection: Connection, manip: Manip): 'accept' | 'drop' {
  const { reply } = connection
  const address = manip === 'source' ? reply.destination : reply.source
  const range: NatRange = {
    addresses: { first: address, last: address },
    ports: undefined,
    random: false,
    persistent: false,
    basePort: undefined,
  }
  return setupNat(table, connection, range, manip)
}

/** The status bit that says whether packets of a direction are rewritten in this way. */
export function natBit(manip: Manip, info: number): number {
  const bit = manip === 'source' ? connStatus.sourceNat : connStatus.destinationNat
  return directionOf(info) === 0 ? bit : bit ^ connStatus.natMask
}

/** nf_nat_packet(): true when the packet was changed, `drop` when it cannot be. */
export function natPacket(connection: Connection, skb: Skb, manip: Manip): boolean | 'drop' {
  const info = skb.nfctInfo
  if ((connection.status & natBit(manip, info)) === 0) return false
  const target = invertTuple(tupleOf(connection, directionOf(info) === 0 ? 1 : 0))
  if (target === undefined) return false
  const place = { l3: skb.networkHeader, end: skb.tail, skb }
  return defiesNat(skb.bytes, place, target) ? 'drop' : rewriteHeader(skb.bytes, place, target, manip)
}
