// Translations whose connection is gone, because the kernel has evicted it or the datapath has made another one of it. The agent
// looks for them when a program has asked for ports. pkg/maps/ctmap PurgeOrphanNATEntries()
import { mapKeys } from '../../bpf/user.ts'
import { protocolNumber } from '../datapath/family.ts'
import type { ConntrackTable, Stale } from './collect.ts'
import { CtEntry } from './ct-entry.ts'
import { NatEntry } from './nat-entry.ts'
import { Tuple, tupleFlag } from './tuple.ts'

/** The conntrack maps of one family, which share a map of translations. */
export interface ConntrackPair {
  readonly tcp: ConntrackTable
  readonly any: ConntrackTable
}

/** The tuple of the packets that an entry of replies translates back: whose they were, and to whom. */
function originalOf(reply: Tuple, value: Uint8Array): Tuple {
  const entry = new NatEntry(reply.family, value)
  const original = reply.copy()
  original.saddr = entry.toAddress
  original.sport = entry.toPort
  original.daddr = reply.saddr
  original.dport = reply.sport
  original.flags = tupleFlag.OUT
  return original
}

/** The connection's entry for a packet's tuple, whose addresses are stored the other way round. */
function connectionOf({ tcp, any }: ConntrackPair, packet: Tuple): CtEntry | undefined {
  const key = packet.copy()
  key.swapAddresses()
  const { ctMap } = packet.nexthdr === protocolNumber.TCP ? tcp : any
  const value = ctMap.peek(key.bytes, 0)
  return value === undefined ? undefined : new CtEntry(value)
}

/** Whether a DSR backend has been asked by a connection whose answers leave by this tuple. */
function answersDsr(pair: ConntrackPair, packet: Tuple): boolean {
  const asked = packet.copy()
  asked.swapAddresses()
  asked.swapPorts()
  return connectionOf(pair, asked)?.is('dsr_internal') === true
}

/** The orphans of one family, those of the way out first. */
export function orphanedTranslations(pair: ConntrackPair): readonly Stale[] {
  const map = pair.tcp.natMap
  const [out, back]: [Stale[], Stale[]] = [[], []]
  for (const key of mapKeys(map)) {
    const tuple = Tuple.of(key)
    const value = map.peek(key, 0)
    if (value === undefined) continue
    if ((tuple.flags & tupleFlag.IN) !== 0) {
      if (connectionOf(pair, originalOf(tuple, value)) === undefined) back.push({ map, key })
    } else if (connectionOf(pair, tuple) === undefined && !answersDsr(pair, tuple)) out.push({ map, key })
  }
  return [...out, ...back]
}

/** Those of 1.10: it looks at replies alone, and takes both directions away. */
export function legacyOrphanedTranslations(pair: ConntrackPair): readonly Stale[] {
  const map = pair.tcp.natMap
  return mapKeys(map).flatMap((key): readonly Stale[] => {
    const tuple = Tuple.of(key)
    const value = map.peek(key, 0)
    if (value === undefined || (tuple.flags & tupleFlag.IN) === 0) return []
    const original = originalOf(tuple, value)
    if (connectionOf(pair, original) !== undefined) return []
    return [
      { map, key: original.bytes },
      { map, key },
    ]
  })
}
