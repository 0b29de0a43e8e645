// Which chains a packet went through at one hook: the built-in one, and those that its matching rules stand in or lead to.
import type { HookEvent } from '../../trace/event.ts'

/** Targets that are no chains. */
const targets: ReadonlySet<string> = new Set(
  'ACCEPT DROP RETURN QUEUE MARK CONNMARK MASQUERADE SNAT DNAT NETMAP REDIRECT TPROXY REJECT NOTRACK CT TCPMSS LOG NFLOG SET'.split(
    ' ',
  ),
)

/** The chains of an event in order, each named once where it follows itself. */
export function visitedChains(event: HookEvent): readonly string[] {
  const visited = [(event.chain ?? '').split('/').at(-1) ?? '']
  const visit = (chain: string | undefined): void => {
    if (chain !== undefined && visited.at(-1) !== chain) visited.push(chain)
  }
  for (const fact of event.facts) {
    if (fact.kind !== 'kernel' || fact.word !== 'rule') continue
    visit(/^-A (\S+)/.exec(fact.text)?.[1])
    const target = / -[jg] (\S+)/.exec(fact.text)?.[1]
    if (target !== undefined && !targets.has(target)) visit(target)
  }
  return visited
}
