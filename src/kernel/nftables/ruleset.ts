// A rule set of nft as it stands in a text, checked but not yet bound to a namespace: tables, sets, chains, rules. Printing it
// gives what `nft list ruleset` prints; binding it (bind.ts) gives what packets run through.
import type { ChainPacket } from '../netfilter/extension.ts'
import type { HookName } from '../netfilter/hook.ts'
import type { Place } from '../netfilter/words.ts'
import type { Binding, BoundChain } from './bound.ts'
import type { DataType, Words } from './types.ts'

export type TableFamily = 'ip' | 'ip6' | 'inet'
export type ChainType = 'filter' | 'nat' | 'route'

/** Loads a value into the registers; false ends the rule (NFT_BREAK): the packet has no such value. */
export type Loader = (packet: ChainPacket, registers: Uint32Array, at: number) => boolean

/** What stands on the left of a test, or is looked up in a set: one field of a packet, or several joined by dots. */
export interface Expression {
  readonly types: readonly DataType[]
  /** As nft prints it. */
  readonly text: string
  readonly conntrack: boolean
  /** The transport protocol whose header it reads: a test of the protocol in front of it is not printed. */
  readonly protocol: number | undefined
  readonly family: 4 | 6 | undefined
  readonly bind: (binding: Binding) => Loader
}

/** A constant, a prefix or a range of one type; both ends belong to it. */
export interface Span {
  readonly first: Words
  readonly last: Words
  readonly text: string
}

export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'continue' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string; readonly place: Place }

/** One element of a set or map. */
export interface ElementSpec {
  /** One span for each field of the key. */
  readonly key: readonly Span[]
  readonly data: Words | undefined
  readonly dataText: string
  readonly verdict: Verdict | undefined
  /** Seconds until it goes. */
  readonly timeout: number | undefined
  readonly comment: string | undefined
  readonly place: Place
}

export interface SetSpec {
  /** '' for a set that stands in a rule. */
  readonly name: string
  handle: number
  readonly kind: 'set' | 'map'
  readonly types: readonly DataType[]
  /** Of a map: the types of its data, or `verdict`. */
  readonly data: readonly DataType[] | 'verdict' | undefined
  readonly flags: readonly string[]
  /** Seconds that elements stay; 0 for ever. */
  readonly timeout: number
  /** undefined for no limit, until a rule adds elements to it. */
  size: number | undefined
  readonly comment: string | undefined
  readonly elements: ElementSpec[]
  /** How often it was emptied: elements that packets made go with it. */
  flushed: number
}

/** Steps of a rule: what each answers (enum nft_verdicts, and NFT_BREAK for a test that does not hold). */
export const code = {
  next: 0,
  broken: 1,
  accept: 2,
  drop: 3,
  stolen: 4,
  return: 5,
  jump: 6,
  goto: 7,
} as const
export type Code = (typeof code)[keyof typeof code]

/** A packet in a base chain. */
export interface Run {
  readonly packet: ChainPacket
  readonly registers: Uint32Array
  /** Of `jump` and `goto`. */
  target: BoundChain | undefined
  /** What a verdict map said, for the trace. */
  verdict: string
}
export type Step = (run: Run) => Code

/** Where a statement may stand: in chains reached from base chains of these types and hooks only. */
export interface Requirement {
  readonly type: ChainType | undefined
  readonly hooks: readonly HookName[]
  readonly place: Place
  readonly name: string
}

export interface Statement {
  readonly text: string
  /** The families whose packets it needs tracked (nf_ct_netns_get()): NAT of an inet table is for one of them. */
  readonly conntrack: readonly (4 | 6)[]
  /** The families whose datagrams it needs whole (nf_defrag). */
  readonly defrag: readonly (4 | 6)[]
  /** Transport protocol that its expressions read. */
  readonly protocol: number | undefined
  readonly family: 4 | 6 | undefined
  /** It only asks for a protocol or family, which what follows implies. */
  readonly implied: { readonly protocol?: number; readonly family?: 4 | 6 } | undefined
  /** Verdicts that it may come to; a map may get more of them by later commands. */
  readonly verdicts: () => readonly Verdict[]
  readonly requires: Requirement | undefined
  /** It does something: what stands before it is not left out for what stands behind. */
  readonly acts: boolean
  /** A test that stands in front of the whole rule for its sake. */
  readonly guard: Statement | undefined
  /** Nothing may follow. */
  readonly terminal: boolean
  readonly bind: (binding: Binding) => Step
  /** Sets of its own without a name, which take a handle each. */
  readonly sets: number
  /** What is printed, if packets change it: counters. */
  readonly counter: CounterStart | undefined
}

/** Where a counter begins. */
export interface CounterStart {
  readonly packets: number
  readonly bytes: number
}

export interface RuleSpec {
  /** By which `delete rule` and its kin name it; 0 until it has one. */
  handle: number
  readonly statements: readonly Statement[]
  readonly comment: string | undefined
  readonly place: Place
}

export interface BaseChain {
  readonly type: ChainType
  readonly hook: HookName
  readonly priority: number
  readonly policy: 'accept' | 'drop'
}

export interface ChainSpec {
  readonly name: string
  handle: number
  base: BaseChain | undefined
  comment: string | undefined
  readonly rules: RuleSpec[]
}

export interface CounterSpec {
  readonly name: string
  handle: number
  readonly comment: string | undefined
  readonly start: CounterStart
}

export interface TableSpec {
  readonly family: TableFamily
  readonly name: string
  readonly handle: number
  /** table->hgenerator: the last handle given to one of its parts. */
  handles: number
  comment: string | undefined
  readonly counters: Map<string, CounterSpec>
  readonly sets: Map<string, SetSpec>
  readonly chains: Map<string, ChainSpec>
}

/** The tables of a namespace, by `FAMILY NAME`, in the order in which they were made. */
export class Ruleset extends Map<string, TableSpec> {
  /** The last handle given to a table. */
  tableHandles = 0
}
