// Which address and port NAT gives a flow: get_unique_tuple() of net/netfilter/nf_nat_core.c. What enters is the tuple as it
// is and what the rule allows; what leaves is a tuple whose answer belongs to no other flow, if there is one.
// Facts: linux 8.1 to 8.4.
import { type IpAddress, type Ipv6, ipv4From, isIpv4, sameIp } from '../../net/address.ts'
import { compareIp } from '../netfilter/values.ts'
import { type Connection, tupleOf } from './connection.ts'
import { jhash2 } from './jhash.ts'
import type { ConntrackTable } from './table.ts'
import { tcpState } from './tcp-track.ts'
import { hasPorts, invertTuple, isIcmp, type Tuple, tupleHash } from './tuple.ts'

/** What is rewritten: the source (SNAT, MASQUERADE) or the destination (DNAT, REDIRECT) of the first packet. */
export type Manip = 'source' | 'destination'

/** struct nf_nat_range2. */
export interface NatRange {
  /** NF_NAT_RANGE_MAP_IPS; undefined keeps the address. */
  readonly addresses: { readonly first: IpAddress; readonly last: IpAddress } | undefined
  /** NF_NAT_RANGE_PROTO_SPECIFIED: ports, or ICMP identifiers. */
  readonly ports: { readonly first: number; readonly last: number } | undefined
  /** NF_NAT_RANGE_PROTO_RANDOM or RANDOM_FULLY. */
  readonly random: boolean
  /** NF_NAT_RANGE_PERSISTENT: the address does not depend on the destination. */
  readonly persistent: boolean
  /** NF_NAT_RANGE_PROTO_OFFSET: the port's distance from this one is kept. */
  readonly basePort: number | undefined
}

interface Wish {
  readonly table: ConntrackTable
  readonly connection: Connection
  readonly range: NatRange
  readonly manip: Manip
}

/** Tries in one window of ports before another is drawn. */
const attemptsMax = 128
/** NF_NAT_HARDER_THRESH: with fewer tries left, finished TCP connections give way. */
const evictBelow = 32

function takenBy({ table, connection }: Wish, tuple: Tuple): Connection | undefined {
  const reply = invertTuple(tuple)
  return reply === undefined ? undefined : table.taken(reply, connection)
}

/** nf_nat_used_tuple_harder(): a TCP connection in TIME_WAIT or CLOSE is removed rather than in the way. */
function isUsed(wish: Wish, tuple: Tuple, left: number): boolean {
  const other = takenBy(wish, tuple)
  if (other === undefined) return false
  const state = other.tcp?.state
  const over = state === tcpState.timeWait || state === tcpState.close
  if (left > evictBelow || !over) return true
  wish.table.remove(other)
  return false
}

function portOf(tuple: Tuple, manip: Manip): number {
  if (isIcmp(tuple.protocol)) return tuple.sport
  return manip === 'source' ? tuple.sport : tuple.dport
}

/** l4proto_in_range(). */
function portFits(tuple: Tuple, manip: Manip, ports: NonNullable<NatRange['ports']>): boolean {
  if (!hasPorts(tuple.protocol) && !isIcmp(tuple.protocol)) return true
  const port = portOf(tuple, manip)
  return port >= ports.first && port <= ports.last
}

/** nf_in_range(): whether the source of a tuple is what the rule allows. */
function sourceFits(tuple: Tuple, range: NatRange): boolean {
  const { addresses, ports } = range
  if (addresses !== undefined) {
    if (compareIp(tuple.source, addresses.first) < 0 || compareIp(tuple.source, addresses.last) > 0)
      return false
  }
  return ports === undefined || portFits(tuple, 'source', ports)
}

/** find_appropriate_src(): the mapping that this source already has for another destination. */
function knownMapping({ table, connection, range }: Wish, tuple: Tuple): Tuple | undefined {
  for (const other of table.mappedSources(tuple, connection.zone)) {
    const { original } = other
    const same =
      original.protocol === tuple.protocol &&
      original.sport === tuple.sport &&
      sameIp(original.source, tuple.source)
    const mapped = same ? invertTuple(tupleOf(other, 1)) : undefined
    if (mapped === undefined) continue
    const result = { ...tuple, source: mapped.source, sport: mapped.sport }
    if (sourceFits(result, range)) return result
  }
  return undefined
}

function swapBytes(word: number): number {
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
}

function wordsInMemory(address: IpAddress): readonly number[] {
  return isIpv4(address) ? [swapBytes(address), 0, 0, 0] : address.map(swapBytes)
}

/** reciprocal_scale(): a 32-bit number scaled into [0, size). */
function scale(value: number, size: number): number {
  return Number((BigInt(value >>> 0) * BigInt(size)) >> 32n)
}

function addressOfRange(
  range: NonNullable<NatRange['addresses']>,
  hash: (word: number) => number,
): IpAddress {
  const { first, last } = range
  if (isIpv4(first) || isIpv4(last)) {
    const low = isIpv4(first) ? first : 0
    const high = isIpv4(last) ? last : low
    return ipv4From(low + scale(hash(0), high - low + 1))
  }
  // From the most significant word on; once a word lies above the least one, the rest is free.
  let full = false
  return first.map((low, word) => {
    const high = last[word as 0 | 1 | 2 | 3]
    const size = full ? 0x1_0000_0000 : high - low + 1
    const base = full ? 0 : low
    const chosen = base + scale(hash(word), size)
    if (chosen > low) full = true
    return chosen >>> 0
  }) as unknown as Ipv6
}

/** find_best_ips_proto(): one address of the range, the same one for the same source and destination. */
function withAddress(tuple: Tuple, { range, manip, connection }: Wish): Tuple {
  const { addresses } = range
  if (addresses === undefined) return tuple
  const source = wordsInMemory(tuple.source)
  const last = wordsInMemory(tuple.destination)[isIpv4(tuple.destination) ? 0 : 3] ?? 0
  const seed = range.persistent ? 0 : (last ^ connection.zone) >>> 0
  const first = jhash2(source, seed)
  const address = sameIp(addresses.first, addresses.last)
    ? addresses.first
    : addressOfRange(addresses, (word) => (word === 0 ? first : jhash2([...source.slice(word), first], seed)))
  return manip === 'source' ? { ...tuple, source: address } : { ...tuple, destination: address }
}

function withPort(tuple: Tuple, manip: Manip, port: number): Tuple {
  if (isIcmp(tuple.protocol) || manip === 'source') return { ...tuple, sport: port }
  return { ...tuple, dport: port }
}

/** The ports to choose from; undefined when the port may not change. Facts: linux 8.1. */
function portWindow(tuple: Tuple, { range, manip }: Wish): { first: number; size: number } | undefined {
  const { ports } = range
  if (ports !== undefined) return { first: ports.first, size: ports.last - ports.first + 1 }
  if (isIcmp(tuple.protocol)) return { first: 0, size: 0x10000 }
  if (manip === 'destination') return undefined
  const port = tuple.sport
  if (port < 512) return { first: 1, size: 511 }
  if (port < 1024) return { first: 600, size: 424 }
  return { first: 1024, size: 0x10000 - 1024 }
}

/** nf_nat_l4proto_unique_tuple(): the last try may still be one that is taken; confirmation then drops the packet. */
function searchPort(tuple: Tuple, wish: Wish): Tuple {
  const { range, manip, table, connection } = wish
  if (!hasPorts(tuple.protocol) && !isIcmp(tuple.protocol)) return tuple
  const window = portWindow(tuple, wish)
  if (window === undefined) return tuple
  const key = tupleHash(tuple, connection.zone)
  const { machine } = table.ns
  const byChance = range.basePort === undefined && window.size > 1 && (range.random || manip === 'source')
  let offset = 0
  if (range.basePort !== undefined) offset = portOf(tuple, manip) - range.basePort
  else if (byChance) offset = machine.random('nat-port', key) & 0xffff
  let result = tuple
  for (let attempts = Math.min(window.size, attemptsMax); ; attempts >>= 1) {
    for (let i = 0; i < attempts; i += 1) {
      const shift = (((offset + i) % window.size) + window.size) % window.size
      result = withPort(tuple, manip, window.first + shift)
      if (isUsed(wish, result, attempts - i)) continue
      if (byChance) table.chosenPorts.add(portOf(result, manip))
      return result
    }
    if (attempts >= window.size || attempts < 16) return result
    offset = machine.random('nat-port-again', key * 256 + attempts) & 0xffff
  }
}

/** get_unique_tuple(): `tuple` is the inverse of the flow's reply as it stands. */
export function chooseTuple(tuple: Tuple, wish: Wish): Tuple {
  const { range, manip } = wish
  if (manip === 'source' && !range.random) {
    if (sourceFits(tuple, range)) {
      if (takenBy(wish, tuple) === undefined) return tuple
    } else {
      const known = knownMapping(wish, tuple)
      if (known !== undefined && takenBy(wish, known) === undefined) return known
    }
  }
  const placed = withAddress(tuple, wish)
  if (!range.random) {
    const { ports } = range
    if (ports === undefined) {
      if (takenBy(wish, placed) === undefined) return placed
    } else if (range.basePort === undefined && portFits(placed, manip, ports)) {
      if (ports.first === ports.last || takenBy(wish, placed) === undefined) return placed
    }
  }
  return searchPort(placed, wish)
}
