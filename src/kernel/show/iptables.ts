// `iptables-save`, `iptables -S` and their IPv6 twins: the rule sets of a namespace as text. The remarks with the date, which
// iptables-save puts around each table, are left out.

import type { Namespace } from '../namespace.ts'
import { iptablesSave } from '../netfilter/iptables.ts'

export interface SaveOptions {
  readonly family: 4 | 6
  readonly counters: boolean
  /** `-t TABLE`; undefined: all. */
  readonly table: string | undefined
}

/** `iptables-save [-c] [-t TABLE]`. */
export function showIptables(ns: Namespace, { family, counters, table }: SaveOptions): string {
  const text = iptablesSave(ns, family, { counters })
  if (table === undefined) return text
  const parts = text.split(/(?<=^COMMIT\n)/m)
  return parts.filter((part) => part.startsWith(`*${table}\n`)).join('')
}

/** `iptables [-t TABLE] -S`: policies, chains, rules of one table. */
export function showRuleCommands(
  ns: Namespace,
  options: { readonly family: 4 | 6; readonly table: string },
): string {
  const lines = showIptables(ns, { ...options, counters: false }).split('\n')
  return lines
    .filter((line) => line.startsWith(':') || line.startsWith('-A'))
    .map((line) => {
      const [, chain = '', policy = ''] = /^:(\S+) (\S+)/.exec(line) ?? []
      if (chain === '') return `${line}\n`
      return policy === '-' ? `-N ${chain}\n` : `-P ${chain} ${policy}\n`
    })
    .join('')
}
