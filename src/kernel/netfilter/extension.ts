// What a match or target extension (xt_*) is to the parser and to the packet path. Each extension is one record in its own
// file: the options it takes, how they become a checked spec with its canonical text, and how that is bound to a namespace.
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import type { HookName } from './hook.ts'
import type { TableName } from './ruleset.ts'
import type { SetTable } from './set/set-table.ts'
import type { Place, Word } from './words.ts'

/** A packet in a chain (struct xt_action_param); made once for a table, reused for all of its rules. */
export interface ChainPacket {
  readonly ns: Namespace
  readonly family: 4 | 6
  readonly hook: HookName
  readonly skb: Skb
  readonly in: NetDevice | undefined
  readonly out: NetDevice | undefined
  /** Offset of the IP header. */
  l3: number
  /** Offset of the transport header; behind extension headers for IPv6. */
  l4: number
  protocol: number
  /** Fragment offset in bytes: later fragments have no transport header. */
  fragmentOffset: number
  /** A match found the packet itself broken: it is dropped (par->hotdrop). */
  broken: boolean
  /** A target wrote into the packet or its marks. */
  changed: boolean
  /** What REJECT answered with, when it did. */
  rejectedWith: string | undefined
}

/** Whether a packet matches. */
export type Matcher = (packet: ChainPacket) => boolean

/** What a target decided; `next` goes on with the next rule (XT_CONTINUE). */
export const actionVerdict = { next: 0, accept: 1, drop: 2, stolen: 3, return: 4 } as const
export type ActionVerdict = (typeof actionVerdict)[keyof typeof actionVerdict]
export type Action = (packet: ChainPacket) => ActionVerdict

/** What a spec is bound to when a rule set is attached. */
export interface Binding {
  readonly ns: Namespace
  readonly family: 4 | 6
  readonly table: TableName
  /** Number of the rule in its table: tells equal rules apart (state of `statistic`, `limit`; chance). */
  readonly ordinal: number
  readonly sets: SetTable
}

/**
 * What an extension needs to be on: rules with it switch connection tracking on (facts: linux 4.8), or only that packets
 * are whole from raw on.
 */
export type Need = 'conntrack' | 'defrag'

/** Where in a rule set something may stand (struct xt_match, struct xt_target: table, hooks); undefined: anywhere. */
export interface Standing {
  readonly tables?: readonly TableName[]
  /** Hooks from which packets may come to the rule. */
  readonly hooks?: readonly HookName[]
}

/** What some options of an extension ask for beyond it (checkentry). */
export interface OptionStanding extends Standing {
  /** The options, as they are named in a message. */
  readonly what: string
}

/** A match with its options read. */
export interface MatchSpec {
  /** The options as iptables-save prints them, without `-m NAME`; '' for none. */
  readonly text: string
  readonly standing?: OptionStanding
  /** Only segments with SYN match: what TCPMSS insists on. */
  readonly onlySyn?: boolean
  readonly need?: Need
  /** Names of ipsets that must exist. */
  readonly sets?: readonly SetUse[]
  readonly bind: (binding: Binding) => Matcher
}

export interface SetUse {
  readonly name: string
  readonly place: Place
}

/** A target with its options read. */
export interface TargetSpec {
  /** The options as iptables-save prints them, without `-j NAME`. */
  readonly text: string
  readonly standing?: OptionStanding
  readonly need?: Need
  readonly sets?: readonly SetUse[]
  readonly bind: (binding: Binding) => Action
}

/** An option as it may be written. */
export interface OptionShape {
  readonly names: readonly string[]
  readonly values: 0 | 1 | 2
  /** Whether `!` may stand in front. */
  readonly negatable?: boolean
  /** Values may be left out (`--reap`-like options with an optional value). */
  readonly optional?: boolean
}

/** An option as it was written; `name` is the first of its names. */
export interface Given {
  readonly name: string
  readonly inverted: boolean
  readonly values: readonly Word[]
  readonly word: Word
}

/** What an extension may know of the rule it stands in. */
export interface RuleScope {
  readonly family: 4 | 6
  readonly table: TableName
  readonly chain: string
  /** -1 without `-p`, or with a negated one. */
  readonly protocol: number
  /** A match of the rule lets only segments with SYN pass; known to targets. */
  readonly onlySyn: boolean
  /** Writes a mistake; the spec that is being read is given up. */
  readonly report: (place: Place, message: string, hint?: string) => undefined
}

interface Extension<Spec> extends Standing {
  readonly name: string
  readonly families?: readonly (4 | 6)[]
  readonly options: readonly OptionShape[]
  /** `word` is the extension's name in the text. Undefined after a report. */
  readonly read: (given: readonly Given[], scope: RuleScope, word: Word) => Spec | undefined
}

export type MatchKind = Extension<MatchSpec>

export type TargetKind = Extension<TargetSpec>
