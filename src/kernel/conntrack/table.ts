// The flows of one namespace (nf_conntrack_hash): both directions under numeric keys, plus the sources that NAT has mapped.
// Nothing runs by timer: an entry that is past its time is gone when somebody looks.
import type { Namespace } from '../namespace.ts'
import { type Connection, connStatus, type Direction, type FlowCounter, tupleOf } from './connection.ts'
import { sameTuple, sourceHash, type Tuple, tupleHash } from './tuple.ts'

/** What `conntrack -S` counts. */
export interface ConntrackStatistics {
  found: number
  invalid: number
  insert: number
  insert_failed: number
  drop: number
  early_drop: number
  clash_resolve: number
}

/** A flow found by one of its tuples. */
export interface Hit {
  readonly connection: Connection
  readonly direction: Direction
}

/** nf_conntrack_buckets of a machine with some memory. */
const buckets = 262_144
/** NF_CT_EVICTION_RANGE: so many buckets are looked at for a flow that may give way. */
const evictionRange = 8

/** reciprocal_scale(): where a hash lies in the table. */
function bucketOf(hash: number): number {
  return Math.floor((hash / 0x1_0000_0000) * buckets)
}

function noTraffic(): FlowCounter {
  return { packets: 0, bytes: 0 }
}

function add<T>(map: Map<number, T[]>, key: number, value: T): void {
  const chain = map.get(key)
  if (chain === undefined) map.set(key, [value])
  else chain.push(value)
}

/** All flows of a namespace. */
export class ConntrackTable {
  readonly ns: Namespace
  readonly statistics: ConntrackStatistics = {
    found: 0,
    invalid: 0,
    insert: 0,
    insert_failed: 0,
    drop: 0,
    early_drop: 0,
    clash_resolve: 0,
  }
  /** Families whose hooks are registered. */
  readonly active = new Set<4 | 6>()
  /** Ports that NAT chose by chance: numbers that nobody promised. */
  readonly chosenPorts = new Set<number>()
  /** Confirmed flows in the order of their confirmation. */
  private readonly entries = new Set<Connection>()
  private readonly byTuple = new Map<number, Hit[]>()
  private readonly bySource = new Map<number, Connection[]>()
  private created = 0
  private sweepAt = 1024

  constructor(ns: Namespace) {
    this.ns = ns
  }

  /** nf_conntrack_acct: whether flows that begin now are accounted. */
  private get accounts(): boolean {
    return this.ns.sysctls.get('net.netfilter.nf_conntrack_acct') !== 0
  }

  get size(): number {
    return this.entries.size
  }

  /** __nf_conntrack_alloc(): a flow that is not in the table yet. */
  create(original: Tuple, reply: Tuple, zone: number): Connection {
    this.created += 1
    return {
      original,
      reply,
      zone,
      status: 0,
      mark: 0,
      expires: 0,
      template: false,
      tcp: undefined,
      sctp: undefined,
      gre: undefined,
      counters: this.accounts ? [noTraffic(), noTraffic()] : undefined,
      streamFrom: 0,
      masqueradeIndex: 0,
      id: this.created,
    }
  }

  /** nf_conntrack_find_get(): the flow that has this tuple in a zone, in either direction. */
  find(tuple: Tuple, zone: number): Hit | undefined {
    const chain = this.byTuple.get(tupleHash(tuple, zone))
    if (chain === undefined) return undefined
    for (const hit of chain) {
      const { connection } = hit
      if (connection.zone !== zone || !sameTuple(tupleOf(connection, hit.direction), tuple)) continue
      if (!this.isOver(connection)) return hit
      this.remove(connection)
      return this.find(tuple, zone)
    }
    return undefined
  }

  /** nf_conntrack_tuple_taken(): whether a reply tuple belongs to another flow than `ignored`. */
  taken(reply: Tuple, ignored: Connection): Connection | undefined {
    const hit = this.find(reply, ignored.zone)
    if (hit === undefined || hit.connection === ignored) return undefined
    return sameTuple(hit.connection.original, ignored.original) ? undefined : hit.connection
  }

  /** nf_nat's bysource: flows of a source that has been decided about. */
  mappedSources(tuple: Tuple, zone: number): readonly Connection[] {
    return this.bySource.get(sourceHash(tuple, zone)) ?? []
  }

  /** Remembers that the source of a flow has been decided about. */
  rememberSource(connection: Connection): void {
    add(this.bySource, sourceHash(connection.original, connection.zone), connection)
  }

  /** Whether there is room for one more flow (__nf_conntrack_alloc()): nf_conntrack_max of 0 is no limit. */
  makeRoom(tuple: Tuple, zone: number): boolean {
    const max = this.ns.sysctls.get('net.netfilter.nf_conntrack_max')
    if (max === 0 || this.entries.size < max) return true
    this.sweep()
    if (this.entries.size < max || this.dropEarly(bucketOf(tupleHash(tuple, zone)))) return true
    this.statistics.drop += 1
    return false
  }

  /** early_drop(): flows that are not assured give way, those of the first bucket that has any, from `first` on. */
  private dropEarly(first: number): boolean {
    let nearest = evictionRange
    let found: Connection[] = []
    for (const connection of this.entries) {
      if ((connection.status & connStatus.assured) !== 0) continue
      for (const direction of [0, 1] as const) {
        const bucket = bucketOf(tupleHash(tupleOf(connection, direction), connection.zone))
        const distance = (bucket - first + buckets) % buckets
        if (distance > nearest || distance === evictionRange) continue
        if (distance < nearest) found = []
        nearest = distance
        found.push(connection)
      }
    }
    for (const connection of found) this.remove(connection)
    this.statistics.early_drop += found.length === 0 ? 0 : 1
    return found.length > 0
  }

  /** Puts a flow into the table; the caller has seen to it that neither tuple is taken. */
  insert(connection: Connection): void {
    connection.status |= connStatus.confirmed
    this.entries.add(connection)
    for (const direction of [0, 1] as const) {
      const hash = tupleHash(tupleOf(connection, direction), connection.zone)
      add(this.byTuple, hash, { connection, direction })
    }
    this.statistics.insert += 1
    if (this.entries.size > this.sweepAt) this.sweep()
  }

  /** nf_ct_delete(). */
  remove(connection: Connection): void {
    connection.status |= connStatus.dying
    this.forgetSource(connection)
    if (!this.entries.delete(connection)) return
    for (const direction of [0, 1] as const) {
      const hash = tupleHash(tupleOf(connection, direction), connection.zone)
      const rest = (this.byTuple.get(hash) ?? []).filter((hit) => hit.connection !== connection)
      if (rest.length === 0) this.byTuple.delete(hash)
      else this.byTuple.set(hash, rest)
    }
  }

  /** Every flow that is still alive, in order of confirmation. */
  list(): Connection[] {
    return [...this.entries].filter((connection) => !this.isOver(connection))
  }

  private isOver(connection: Connection): boolean {
    return connection.expires <= this.ns.machine.clock.now
  }

  private forgetSource(connection: Connection): void {
    const key = sourceHash(connection.original, connection.zone)
    const chain = this.bySource.get(key)
    if (chain === undefined) return
    const rest = chain.filter((other) => other !== connection)
    if (rest.length === 0) this.bySource.delete(key)
    else this.bySource.set(key, rest)
  }

  private sweep(): void {
    for (const connection of this.entries) if (this.isOver(connection)) this.remove(connection)
    this.sweepAt = Math.max(1024, this.entries.size * 2)
  }
}
