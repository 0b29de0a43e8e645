// To whom an endpoint has connections, as conntrack's collector looks for them: pkg/maps/ctmap/gc emitEntryCB.
import { mapKeys } from '../../bpf/user.ts'
import { type IpAddress, readIpv4, readIpv6 } from '../../net/address.ts'
import type { NodeMaps } from '../datapath/ctx.ts'
import type { Address } from '../datapath/family.ts'
import { CtEntry } from './ct-entry.ts'
import { Tuple, tupleFlag } from './tuple.ts'

function isSame(left: Address, right: Address): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at])
}

/** Destinations of entries of these sources that have not run out; `now` in seconds since boot, as entries have it. */
export function connectionsFrom(
  maps: NodeMaps,
  sources: readonly Address[],
  now: number,
): readonly IpAddress[] {
  const tables = [
    maps.cilium_ct4_global,
    maps.cilium_ct_any4_global,
    maps.cilium_ct6_global,
    maps.cilium_ct_any6_global,
  ]
  return tables.flatMap((map) =>
    mapKeys(map).flatMap((key): readonly IpAddress[] => {
      const tuple = Tuple.of(key)
      const value = map.peek(key, 0)
      if (value === undefined || tuple.flags !== tupleFlag.OUT || new CtEntry(value).lifetime < now) return []
      // addresses are stored the other way round
      if (!sources.some((source) => isSame(source, tuple.daddr))) return []
      const bytes = tuple.saddr
      return [bytes.length === 4 ? readIpv4(bytes, 0) : readIpv6(bytes, 0)]
    }),
  )
}
