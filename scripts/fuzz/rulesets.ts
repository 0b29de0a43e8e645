// Rule sets of iptables and ip6tables: every table, user chains of two levels, jumps and gotos.
import type { Dice } from './dice.ts'
import type { Draft, DraftHost } from './host.ts'
import { matches, setText, type Table, type Where } from './matches.ts'
import { target } from './targets.ts'

const chains: Readonly<Record<Table, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
}

interface Kind {
  readonly table: Table
  readonly six: boolean
  readonly each: DraftHost
}

/** Rules of user chains are made first as if every hook led to them; X1 may jump to X2, not back. */
function rule(dice: Dice, { table, six, each }: Kind, chain: string, number: number): string {
  const hooks = chain.startsWith('X') ? chains[table] : [chain]
  const where: Where = { table, chain, hooks, six, each, number }
  const match = matches(dice, where)
  const action = target(dice, where, match)
  const end = action === '' ? [] : [action.startsWith('-g') ? action : `-j ${action}`]
  return ['-A', chain, ...match, ...end].join(' ')
}

function tableText(dice: Dice, kind: Kind): string[] {
  const { table } = kind
  const lines: string[] = []
  const most = table === 'filter' || table === 'nat' ? 5 : 4
  for (let left = dice.number(1, most); left > 0; left -= 1) {
    const chain = dice.once(4) ? dice.pick(['X1', 'X2']) : dice.pick(chains[table])
    lines.push(rule(dice, kind, chain, kind.each.lines.length * 10 + lines.length + (kind.six ? 1000 : 0)))
  }
  const policy = table !== 'nat' && dice.once(8) ? [`:${dice.pick(chains[table])} DROP [0:0]`] : []
  return [`*${table}`, ...policy, ':X1 - [0:0]', ':X2 - [0:0]', ...lines, 'COMMIT']
}

/** Rule sets in the middle, seldom at the ends. */
export function rulesets(dice: Dice, draft: Draft): void {
  for (const each of draft.hosts) {
    if (each.name !== 'R' && !dice.once(5)) continue
    const texts: string[] = []
    for (const six of draft.ipv6 ? [false, true] : [false]) {
      if (six && dice.once(2)) continue
      const chosen = dice.some(['raw', 'mangle', 'nat', 'filter'] as const, 3)
      if (chosen.length === 0) continue
      const text = chosen.flatMap((table) => tableText(dice, { table, six, each }))
      texts.push(six ? 'ip6tables """' : 'iptables """', ...text, '"""')
    }
    const named = texts.some((line) => / --(?:match|add|del)-set /.test(line))
    if (named) each.lines.push('ipset """', ...setText, '"""')
    each.lines.push(...texts)
  }
}
