// To whom an endpoint has connections, as conntrack's collector looks for them: pkg/maps/ctmap/gc emitEntryCB.
import { mapKeys } from '../../bpf/user.ts'
import { type IpAddress, readIpv4, readIpv6 } from '../../net/address.ts'
import { type Address, sameAddress } from '../datapath/family.ts'
import type { ConntrackTable } from './collect.ts'
import { Tuple, tupleFlag } from './tuple.ts'

/** Destinations of entries of these sources. */
export function connectionsFrom(
  tables: readonly ConntrackTable[],
  sources: readonly Address[],
): readonly IpAddress[] {
  return tables.flatMap(({ ctMap }) =>
    mapKeys(ctMap).flatMap((key): readonly IpAddress[] => {
      const tuple = Tuple.of(key)
      if (tuple.flags !== tupleFlag.OUT) return []
      // addresses are stored the other way round
      if (!sources.some((source) => sameAddress(source, tuple.daddr))) return []
      const bytes = tuple.saddr
      return [bytes.length === 4 ? readIpv4(bytes, 0) : readIpv6(bytes, 0)]
    }),
  )
}
