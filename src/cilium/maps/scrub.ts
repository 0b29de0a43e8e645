// What the agent takes out of the connections of a node when an endpoint comes or goes: everything from or to its addresses, with
// the translations that belong to it. pkg/maps/ctmap GCFilter.MatchIPs, natMapNext(); pkg/maps/nat DeleteMapping4()
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

function isOneOf(address: Address, addresses: readonly Address[]): boolean {
  return addresses.some((each) => sameAddress(each, address))
}

/** The two entries of the translation of a connection: both directions, or neither. */
function mappingOf(natMap: BpfMap, tuple: Tuple): readonly Stale[] {
  const key = tuple.copy()
  // addresses of entries of connections are stored the other way round
  key.saddr = tuple.daddr.slice()
  key.daddr = tuple.saddr.slice()
  const value = natMap.peek(key.bytes, 0)
  if (value === undefined) return []
  const entry = new NatEntry(tuple.family, value)
  const reverse = key.copy()
  reverse.saddr = key.daddr.slice()
  reverse.sport = key.dport
  reverse.daddr = entry.toAddress.slice()
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
  key.sport = tuple.dport
  key.dport = tuple.sport
  key.flags = tupleFlag.OUT
  return natMap.peek(key.bytes, 0) === undefined ? [] : [{ map: natMap, key: key.bytes }]
}

/** The entries of a node's maps that speak of these addresses (4 or 16 bytes, in the order of the wire). */
export function staleEntries(maps: NodeMaps, addresses: readonly Address[]): readonly Stale[] {
  const tables = [
    [maps.cilium_ct4_global, maps.cilium_snat_v4_external],
    [maps.cilium_ct_any4_global, maps.cilium_snat_v4_external],
    [maps.cilium_ct6_global, maps.cilium_snat_v6_external],
    [maps.cilium_ct_any6_global, maps.cilium_snat_v6_external],
  ] as const
  return tables.flatMap(([ctMap, natMap]) =>
    mapKeys(ctMap).flatMap((key): readonly Stale[] => {
      const tuple = Tuple.of(key)
      const value = ctMap.peek(key, 0)
      if (value === undefined) return []
      if (!isOneOf(tuple.saddr, addresses) && !isOneOf(tuple.daddr, addresses)) return []
      const own = { map: ctMap, key: key.slice() }
      if (tuple.flags !== tupleFlag.OUT) return [own]
      const isDsr = new CtEntry(value).is('dsr_internal')
      return [own, ...(isDsr ? swappedMappingOf(natMap, tuple) : mappingOf(natMap, tuple))]
    }),
  )
}
