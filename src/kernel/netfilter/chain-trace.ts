// What a trace says of chains: at level full each built-in chain with the rules that matched; below, only chains that
// changed or dropped the packet.
import type { Decision, Fact } from '../../trace/event.ts'
import { connInfo } from '../conntrack/connection.ts'
import { endPacket } from '../drop.ts'
import type { Skb } from '../skb.ts'
import type { ChainPacket } from './extension.ts'
import type { HookVerdict } from './hook.ts'
import type { TableName } from './ruleset.ts'

const reason = 'SKB_DROP_REASON_NETFILTER_DROP'

/** A list for the rules that match, when somebody wants to read them. */
export function factsWanted(packet: ChainPacket): Fact[] | undefined {
  return packet.ns.machine.trace?.full === true ? [] : undefined
}

/** The conntrack state of a packet as rules name it. */
export function stateText(skb: Skb): string {
  if (skb.nfct === undefined) return skb.nfctInfo === connInfo.untracked ? 'UNTRACKED' : 'INVALID'
  switch (skb.nfctInfo) {
    case connInfo.new:
      return 'NEW'
    case connInfo.related:
    case connInfo.relatedReply:
      return 'RELATED'
    default:
      return 'ESTABLISHED'
  }
}

function stateFact(packet: ChainPacket, early: boolean): readonly Fact[] {
  const tracked = packet.ns.netfilter.conntrack?.active.has(packet.family) === true
  if (!tracked || early) return []
  return [{ kind: 'kernel', word: 'ct', text: stateText(packet.skb) }]
}

function decisionOf(packet: ChainPacket, verdict: HookVerdict): Decision {
  if (packet.rejectedWith !== undefined) return { code: 'REJECT', target: packet.rejectedWith }
  switch (verdict) {
    case 'accept':
      return { code: 'ACCEPT' }
    case 'drop':
      return { code: 'DROP' }
    case 'stolen':
      return { code: 'STOLEN' }
  }
}

/** Writes the event of a chain of iptables, and the end of a packet that it dropped. */
export function noteChain(
  packet: ChainPacket,
  table: TableName,
  verdict: HookVerdict,
  facts: readonly Fact[] | undefined,
): void {
  if (packet.ns.machine.trace === undefined) return
  noteAt(packet, { chain: `${table}/${packet.hook}`, early: table === 'raw' }, verdict, facts)
}

/** A chain as the trace names it; `early` says that conntrack comes behind it. */
export interface ChainPlace {
  readonly chain: string
  readonly early: boolean
}

/** Writes the event of any chain, and the end of a packet that it dropped. */
export function noteAt(
  packet: ChainPacket,
  { chain, early }: ChainPlace,
  verdict: HookVerdict,
  facts: readonly Fact[] | undefined,
): void {
  const { trace } = packet.ns.machine
  if (trace === undefined) return
  if (facts === undefined && verdict === 'accept' && !packet.changed) return
  const site = { node: packet.ns.name, device: '', stage: 'nf' } as const
  const state = facts === undefined ? [] : stateFact(packet, early)
  const drop: readonly Fact[] = verdict === 'drop' ? [{ kind: 'drop', reason }] : []
  trace.note(
    packet.skb,
    { ...site, chain },
    { actor: 'kernel', decision: decisionOf(packet, verdict), facts: [...state, ...(facts ?? []), ...drop] },
  )
  if (verdict === 'drop') endPacket(packet.skb, { ...site, kind: 'dropped', reason })
}
