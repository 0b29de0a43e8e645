// A packet in a table: net/ipv4/netfilter/ip_tables.c ipt_do_table(). What enters is a built-in chain and a packet; what
// leaves is a verdict. Nothing here makes a string unless a trace asks for the rules.
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

function policyOf(chain: BoundChain, packet: ChainPacket): ActionVerdict {
  chain.counters.packets += 1
  chain.counters.bytes += packetLength(packet)
  return chain.spec.policy === 'DROP' ? actionVerdict.drop : actionVerdict.accept
}

/** Runs a packet through a built-in chain; every rule that matches is written to `facts`, if there are any. */
export function evaluate(base: BoundChain, packet: ChainPacket, facts: Fact[] | undefined): ActionVerdict {
  const stack: Frame[] = []
  let chain = base
  let at = 0
  for (;;) {
    const rule = chain.rules[at]
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
