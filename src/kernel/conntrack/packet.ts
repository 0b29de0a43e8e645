// A packet on its way through conntrack: the parts of nf_hook_state and of the header parse that trackers share.
import type { Namespace } from '../namespace.ts'
import type { HookName } from '../netfilter/hook.ts'
import type { Skb } from '../skb.ts'
import type { ConntrackTable } from './table.ts'

/** What a tracker says: the packet belongs to the flow, is INVALID (but not dropped), or the look-up must start again. */
export type TrackVerdict = 'ok' | 'invalid' | 'repeat' | 'drop'

export interface TrackedPacket {
  readonly ns: Namespace
  readonly table: ConntrackTable
  readonly family: 4 | 6
  readonly hook: HookName
  readonly skb: Skb
  readonly l3: number
  readonly l4: number
  readonly protocol: number
}
