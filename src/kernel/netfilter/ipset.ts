// ipsets and a namespace: attaching the text of `ipset save`, and printing it back.
import type { Namespace } from '../namespace.ts'
import { parseSets, printMember } from './set/parse-set.ts'
import { setsOf } from './set/set-table.ts'
import type { RulesetProblem } from './words.ts'

/** Makes the sets of an `ipset save` text in a namespace; answers its mistakes, and then changes nothing. */
export function attachIpset(ns: Namespace, text: string): readonly RulesetProblem[] {
  const sets = setsOf(ns)
  const parsed = parseSets(text, sets, { now: ns.machine.clock.now })
  if (!parsed.ok) return parsed.problems
  for (const [name, set] of parsed.sets) sets.set(name, set)
  return []
}

/** What `ipset save` prints, without the sizes of hash tables. */
export function ipsetSave(ns: Namespace): string {
  const lines: string[] = []
  const { now } = ns.machine.clock
  for (const set of ns.netfilter.sets?.values() ?? []) {
    const family = set.type.startsWith('hash:') ? ` family ${set.family === 4 ? 'inet' : 'inet6'}` : ''
    const range = set.range === undefined ? '' : ` range ${set.range[0]}-${set.range[1]}`
    const timeout = set.timeout === undefined ? '' : ` timeout ${set.timeout}`
    const others = [...set.extensions].map((word) => ` ${word}`).join('')
    lines.push(`create ${set.name} ${set.type}${family}${range}${timeout}${others}`)
    for (const member of set.members.values()) {
      if (member.expires === undefined || member.expires > now)
        lines.push(`add ${set.name} ${printMember(member)}`)
    }
  }
  return lines.map((line) => `${line}\n`).join('')
}
