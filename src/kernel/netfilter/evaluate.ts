// A packet in a table: net/ipv4/netfilter/ip_tables.c ipt_do_table(). What enters is a built-in chain and a packet; what
// leaves is a verdict. Nothing here makes a string unless a trace asks for the rules.
import { readU32 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { Fact } from '../../trace/event.ts'
import type { BoundChain, BoundRule } from './bound.ts'
import { type ActionVerdict, actionVerdict, type ChainPacket } from './extension.ts'
import { headerMatches, packetLength } from './header-match.ts'
import { printRule } from './print.ts'

interface Frame {
  readonly chain: BoundChain
  readonly at: number
}

function matches(rule: BoundRule, packet: ChainPacket): boolean {
  if (!headerMatches(rule.header, packet)) return false
  for (const matcher of rule.matchers) if (!matcher(packet)) return false
  return true
}

/** The word of the destination that `quick` is about, as a signed number. */
function quickWord({ skb, l3, family }: ChainPacket): number {
  return readU32(skb.bytes, l3 + (family === 4 ? ipv4At.destination : ipv6At.destination + 12)) | 0
}

/** The next rule from `at` on whose destination may be the packet's. */
function passOver({ quick }: BoundChain, at: number, word: number): number {
  let next = at * 2
  while (next < quick.length && (word & (quick[next] as number)) !== (quick[next + 1] as number)) next += 2
  return next >> 1
}

function policyOf(chain: BoundChain, packet: ChainPacket): ActionVerdict {
  chain.counters.packets += 1
  chain.counters.bytes += packetLength(packet)
  return chain.spec.policy === 'DROP' ? actionVerdict.drop : actionVerdict.accept
}

/** Runs a packet through a built-in chain; every rule that matches is written to `facts`, if there are any. */
export function evaluate(base: BoundChain, packet: ChainPacket, facts: Fact[] | undefined): ActionVerdict {
  const stack: Frame[] = []
  const word = quickWord(packet)
  let chain = base
  let at = 0
  const { netfilter } = packet.ns
  for (;;) {
    const from = at
    at = passOver(chain, at, word)
    const rule = chain.rules[at]
    netfilter.rulesEvaluated += at - from + (rule === undefined ? 0 : 1)
    let verdict: ActionVerdict = actionVerdict.return
    if (rule !== undefined) {
      at += 1
      if (!matches(rule, packet)) {
        if (packet.broken) return actionVerdict.drop
        continue
      }
      rule.counters.packets += 1
      rule.counters.bytes += packetLength(packet)
      facts?.push({ kind: 'kernel', word: 'rule', text: printRule(chain.spec.name, rule.spec) })
      const { target } = rule
      if (target.kind === 'none') continue
      if (target.kind === 'chain') {
        if (!target.goto) stack.push({ chain, at })
        chain = target.chain
        at = 0
        continue
      }
      verdict = target.kind === 'verdict' ? target.verdict : target.run(packet)
      if (verdict === actionVerdict.next) continue
    }
    if (verdict !== actionVerdict.return) return verdict
    const frame = stack.pop()
    if (frame === undefined) return policyOf(base, packet)
    chain = frame.chain
    at = frame.at
  }
}
