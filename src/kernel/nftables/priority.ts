// Names of priorities (src/rule.c std_prios of nftables): which numbers they are, and how nft prints a number near one.
import { type HookName, priority } from '../netfilter/hook.ts'

const everywhere = [
  ['raw', priority.raw],
  ['mangle', priority.mangle],
  ['filter', priority.filter],
  ['security', priority.security],
] as const

/** How far from a named priority a number still is printed with its name. */
const near = 10

/** The names that a hook has: `dstnat` only PREROUTING, `srcnat` only POSTROUTING. */
export function priorityNames(hook: HookName): ReadonlyMap<string, number> {
  const names = new Map<string, number>(everywhere)
  if (hook === 'PREROUTING') names.set('dstnat', priority.natDestination)
  if (hook === 'POSTROUTING') names.set('srcnat', priority.natSource)
  return names
}

/** `filter`, `dstnat - 10`, `-200`. */
export function priorityText(hook: HookName, value: number): string {
  for (const [name, base] of priorityNames(hook)) {
    const distance = value - base
    if (distance === 0) return name
    if (Math.abs(distance) <= near) return `${name} ${distance < 0 ? '-' : '+'} ${Math.abs(distance)}`
  }
  return String(value)
}
