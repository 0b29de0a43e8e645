// ipsets of a namespace: named sets that rules ask for membership. What kinds there are and how packets become members is in
// members.ts; the text of `ipset save` is read by parse-set.ts.
import type { IpAddress } from '../../../net/address.ts'
import type { Namespace } from '../../namespace.ts'

/** Types of sets that are modelled. */
export const setTypes = [
  'hash:ip',
  'hash:net',
  'hash:ip,port',
  'hash:ip,port,ip',
  'hash:ip,port,net',
  'hash:net,port',
  'hash:mac',
  'bitmap:port',
  'bitmap:ip',
  'list:set',
] as const
export type SetType = (typeof setTypes)[number]

/** One member; fields that its type does not have are absent. */
export interface SetMember {
  readonly address?: IpAddress
  /** Leading bits of `address` that count. */
  readonly length?: number
  readonly protocol?: number
  readonly port?: number
  readonly second?: IpAddress
  readonly secondLength?: number
  readonly mac?: number
  /** The name of a set, for `list:set`. */
  readonly set?: string
  readonly nomatch?: boolean
  /** Virtual time at which it goes; undefined for never. */
  readonly expires?: number
}

export interface IpSet {
  readonly name: string
  readonly type: SetType
  readonly family: 4 | 6
  /** First and last port or address of a bitmap. */
  readonly range?: readonly [number, number]
  /** Seconds that a member stays which does not say so itself, 0 for ever; absent where no member has a time (SET_WITH_TIMEOUT). */
  readonly timeout?: number
  /** What else of the extensions members may have: `comment`, `counters`. */
  readonly extensions: ReadonlySet<string>
  /** Members under a key of their fields, in order of addition. */
  readonly members: Map<string, SetMember>
  /** Prefix lengths in use, longest first: what a look-up in a `net` set tries. */
  readonly lengths: Set<number>
}

/** The sets of one namespace, by name. */
export type SetTable = Map<string, IpSet>

/** What the rules of a set must know of it. */
export type KnownSets = ReadonlyMap<string, Pick<IpSet, 'type' | 'family'>>

/** Whether rules of a family may name a set: one without addresses fits both (libxt_set.h get_set_byname). */
export function setFits({ type, family }: Pick<IpSet, 'type' | 'family'>, wanted: 4 | 6): boolean {
  return type === 'hash:mac' || type === 'bitmap:port' || type === 'list:set' || family === wanted
}

/** The sets of a namespace; made on first use. */
export function setsOf(ns: Namespace): SetTable {
  const sets = ns.netfilter.sets ?? new Map<string, IpSet>()
  ns.netfilter.sets = sets
  return sets
}
