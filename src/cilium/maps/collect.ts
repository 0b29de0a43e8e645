// What the agent takes out of the conntrack maps of a node, with the translations that belong to it: what has run out, and all that
// is from or to the addresses of an endpoint that comes or goes. pkg/maps/ctmap GCFilter.doFiltering(), natMapNext(); pkg/maps/nat
// DeleteMapping4(), DeleteSwappedMapping4()
import type { BpfMap } from '../../bpf/maps/map.ts'
import { mapKeys } from '../../bpf/user.ts'
import type { NodeMaps } from '../datapath/ctx.ts'
import { type Address, sameAddress } from '../datapath/family.ts'
import { CtEntry } from './ct-entry.ts'
import { NatEntry } from './nat-entry.ts'
import { Tuple, tupleFlag } from './tuple.ts'

/** An entry to delete. */
export interface Stale {
  readonly map: BpfMap
  readonly key: Uint8Array
}

/** Which connections go. */
export interface GcFilter {
  /** Those whose lifetime is before this time of Cilium's clock (u32). */
  readonly expiredBefore?: number
  /** Those from or to these addresses (4 or 16 bytes, in the order of the wire). */
  readonly addresses?: readonly Address[]
}

/** Flush(): everything there is runs out before this. */
export const everything: GcFilter = { expiredBefore: 0xffff_ffff }

/** The conntrack maps of a node, each with the map of its translations. */
export interface ConntrackTable {
  readonly version: 4 | 6
  readonly ctMap: BpfMap
  readonly natMap: BpfMap
}

/** In the order in which the agent goes through them: TCP first, in pairs. */
export function conntrackTables(maps: NodeMaps): readonly ConntrackTable[] {
  const [snat4, snat6] = [maps.cilium_snat_v4_external, maps.cilium_snat_v6_external]
  return [
    { version: 4, ctMap: maps.cilium_ct4_global, natMap: snat4 },
    { version: 4, ctMap: maps.cilium_ct_any4_global, natMap: snat4 },
    { version: 6, ctMap: maps.cilium_ct6_global, natMap: snat6 },
    { version: 6, ctMap: maps.cilium_ct_any6_global, natMap: snat6 },
  ]
}

/** The two entries of the translation of a connection: both directions, or neither. */
function mappingOf(natMap: BpfMap, tuple: Tuple): readonly Stale[] {
  const key = tuple.copy()
  // addresses of entries of connections are stored the other way round
  key.swapAddresses()
  const value = natMap.peek(key.bytes, 0)
  if (value === undefined) return []
  const entry = new NatEntry(tuple.family, value)
  const reverse = key.copy()
  reverse.saddr = key.daddr
  reverse.sport = key.dport
  reverse.daddr = entry.toAddress
  reverse.dport = entry.toPort
  reverse.flags = tupleFlag.IN
  return [
    { map: natMap, key: key.bytes },
    { map: natMap, key: reverse.bytes },
  ]
}

/** Of a DSR backend's own entry only the ports are turned. */
function swappedMappingOf(natMap: BpfMap, tuple: Tuple): readonly Stale[] {
  const key = tuple.copy()
  key.swapPorts()
  key.flags = tupleFlag.OUT
  return natMap.peek(key.bytes, 0) === undefined ? [] : [{ map: natMap, key: key.bytes }]
}

/** natMapNext(): the translation that goes with a connection. DSR backends have theirs behind an entry of ingress in 1.10. */
function translationOf(natMap: BpfMap, tuple: Tuple, value: Uint8Array, legacy: boolean): readonly Stale[] {
  if (legacy)
    return (tuple.flags & tupleFlag.IN) !== 0 ? swappedMappingOf(natMap, tuple) : mappingOf(natMap, tuple)
  if (tuple.flags !== tupleFlag.OUT) return []
  return new CtEntry(value).is('dsr_internal') ? swappedMappingOf(natMap, tuple) : mappingOf(natMap, tuple)
}

function goes(key: Uint8Array, value: Uint8Array, { expiredBefore, addresses }: GcFilter): boolean {
  if (expiredBefore !== undefined && new CtEntry(value).lifetime < expiredBefore) return true
  if (addresses === undefined) return false
  const tuple = Tuple.of(key)
  return addresses.some((each) => sameAddress(tuple.saddr, each) || sameAddress(tuple.daddr, each))
}

/** The entries of these maps that go, each connection with its translation behind it. */
export function staleEntries(
  tables: readonly ConntrackTable[],
  filter: GcFilter,
  legacy: boolean,
): readonly Stale[] {
  return tables.flatMap(({ ctMap, natMap }) =>
    mapKeys(ctMap).flatMap((key): readonly Stale[] => {
      const value = ctMap.peek(key, 0)
      if (value === undefined || !goes(key, value, filter)) return []
      return [{ map: ctMap, key }, ...translationOf(natMap, Tuple.of(key), value, legacy)]
    }),
  )
}
