// Which chains a packet went through at one hook: the built-in one, and those that its matching rules stand in or lead to.
import type { ClaimBody } from '../../model/claim.ts'
import type { HookEvent, PacketTrace } from '../../trace/event.ts'
import { type Answer, expectedActual, missAt } from './answer.ts'
import { eventsAt } from './places.ts'

/** Targets that are no chains. */
const targets: ReadonlySet<string> = new Set(
  'ACCEPT DROP RETURN QUEUE MARK CONNMARK MASQUERADE SNAT DNAT NETMAP REDIRECT TPROXY REJECT NOTRACK CT TCPMSS LOG NFLOG SET'.split(
    ' ',
  ),
)

/** The chain that a rule stands in, and the one that it led to: `-A CHAIN ... -j TARGET`, or nft's `CHAIN ... goto TARGET`. */
function chainsOf(rule: string): readonly (string | undefined)[] {
  const legacy = /^-A (\S+)/.exec(rule)?.[1]
  if (legacy === undefined) {
    const target = / (?:jump|goto) ([^\s)]+)\)?(?: comment "[^"]*")?$/.exec(rule)?.[1]
    return [rule.split(' ')[0], target]
  }
  const target = / -[jg] (\S+)/.exec(rule)?.[1]
  return [legacy, target !== undefined && targets.has(target) ? undefined : target]
}

/** The chains of an event in order, each named once where it follows itself. */
export function visitedChains(event: HookEvent): readonly string[] {
  const visited = [(event.chain ?? '').split('/').at(-1) ?? '']
  const visit = (chain: string | undefined): void => {
    if (chain !== undefined && visited.at(-1) !== chain) visited.push(chain)
  }
  for (const fact of event.facts) {
    if (fact.kind !== 'kernel' || fact.word !== 'rule') continue
    for (const chain of chainsOf(fact.text)) visit(chain)
  }
  return visited
}

/** Whether a packet met the chains in this order, or matched the rule. */
export function chainAnswer(
  packet: PacketTrace,
  body: Extract<ClaimBody, { kind: 'chain' | 'rule' }>,
): Answer {
  const place = body.place?.value
  const events = (place === undefined ? packet.events : eventsAt(packet, place)).filter(
    (event) => event.stage === 'nf',
  )
  if (body.kind === 'rule') {
    const matched = events.some((event) =>
      event.facts.some((fact) => fact.kind === 'kernel' && fact.text.includes(body.text.value)),
    )
    return matched === body.matched
      ? undefined
      : missAt(
          body.text,
          expectedActual(body.matched ? 'matched' : 'unmatched', matched ? 'matched' : 'unmatched'),
        )
  }
  const visited = events.flatMap(visitedChains)
  let at = 0
  for (const chain of body.chains) {
    const pattern = chain.value
    const found = visited.findIndex(
      (name, index) =>
        index >= at && (name === pattern || (pattern.endsWith('*') && name.startsWith(pattern.slice(0, -1)))),
    )
    if (found === -1)
      return missAt(chain, `the chains visited were ${visited.length === 0 ? 'none' : visited.join(' > ')}`)
    at = found + 1
  }
  return undefined
}
