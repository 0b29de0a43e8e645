// A packet in a base chain: net/netfilter/nf_tables_core.c nft_do_chain(). Nothing here makes a string unless a trace asks for
// the rules.
import type { Fact } from '../../trace/event.ts'
import { type ActionVerdict, actionVerdict, type ChainPacket } from '../netfilter/extension.ts'
import type { BoundChain, BoundRule } from './bound.ts'
import { ruleText } from './print.ts'
import { type Code, code, type Run } from './ruleset.ts'

/** Expressions of at most this many words: four IPv6 addresses. */
const registers = new Uint32Array(32)

interface Frame {
  readonly chain: BoundChain
  readonly at: number
}

/** Carries out the statements of a rule, up to the first that does not hold or decides. */
function runRule({ steps }: BoundRule, run: Run): Code {
  for (const step of steps) {
    const answer = step(run)
    if (answer !== code.next) return answer
  }
  return code.next
}

function note(facts: Fact[], chain: BoundChain, rule: BoundRule, run: Run): void {
  const verdict = run.verdict === '' ? '' : ` (verdict ${run.verdict})`
  facts.push({ kind: 'kernel', word: 'rule', text: `${chain.spec.name} ${ruleText(rule.spec)}${verdict}` })
}

function policyOf({ spec }: BoundChain): ActionVerdict {
  return spec.base?.policy === 'drop' ? actionVerdict.drop : actionVerdict.accept
}

/** Runs a packet through a base chain; every rule whose statements all held is written to `facts`, if there are any. */
export function evaluateNft(base: BoundChain, packet: ChainPacket, facts: Fact[] | undefined): ActionVerdict {
  const run: Run = { packet, registers, target: undefined, verdict: '' }
  const stack: Frame[] = []
  let chain = base
  let at = 0
  const { netfilter } = packet.ns
  for (;;) {
    const rule = chain.rules[at]
    let answer: Code = code.return
    if (rule !== undefined) {
      at += 1
      netfilter.rulesEvaluated += 1
      run.verdict = ''
      answer = runRule(rule, run)
      if (answer === code.broken) continue
      if (facts !== undefined) note(facts, chain, rule, run)
    }
    switch (answer) {
      case code.accept:
        return actionVerdict.accept
      case code.drop:
        return actionVerdict.drop
      case code.stolen:
        return actionVerdict.stolen
      case code.jump:
      case code.goto:
        if (answer === code.jump) stack.push({ chain, at })
        chain = run.target ?? chain
        at = 0
        break
      case code.return: {
        const frame = stack.pop()
        if (frame === undefined) return policyOf(base)
        chain = frame.chain
        at = frame.at
        break
      }
      default:
        break
    }
  }
}
