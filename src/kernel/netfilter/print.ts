// Rules and tables as iptables-save prints them: header, matches in their order, target; options in the tool's own order.
import type { BoundTables } from './bound.ts'
import { printHeader } from './header-match.ts'
import type { Counters, RuleSpec, RuleTarget } from './ruleset.ts'

function targetText(target: RuleTarget): string {
  switch (target.kind) {
    case 'none':
      return ''
    case 'verdict':
      return ` -j ${target.verdict}`
    case 'chain':
      return ` ${target.goto ? '-g' : '-j'} ${target.chain}`
    case 'extension':
      return ` -j ${target.name}${target.spec.text === '' ? '' : ` ${target.spec.text}`}`
  }
}

/** `-A CHAIN -d 10.96.0.10/32 -p udp -m udp --dport 53 -j KUBE-SVC`. */
export function printRule(chain: string, rule: RuleSpec): string {
  const matches = rule.matches.map(
    ({ name, spec }) => ` -m ${name}${spec.text === '' ? '' : ` ${spec.text}`}`,
  )
  const header = printHeader(rule.header).trimEnd()
  return `-A ${chain}${header === '' ? '' : ` ${header}`}${matches.join('')}${targetText(rule.target)}`
}

const none: Counters = { packets: 0, bytes: 0 }

function counters({ packets, bytes }: Counters): string {
  return `[${packets}:${bytes}]`
}

/** The tables that exist, the one made last first, as /proc/net/ip_tables_names lists them. `counters` is `-c`. */
export function printTables(tables: BoundTables, options: { readonly counters: boolean }): string {
  const lines: string[] = []
  for (const [name, table] of [...tables].reverse()) {
    lines.push(`*${name}`)
    for (const { spec, counters: own } of table.chains.values()) {
      lines.push(`:${spec.name} ${spec.policy ?? '-'} ${counters(spec.policy === undefined ? none : own)}`)
    }
    for (const chain of table.chains.values()) {
      for (const rule of chain.rules) {
        const front = options.counters ? `${counters(rule.counters)} ` : ''
        lines.push(`${front}${printRule(chain.spec.name, rule.spec)}`)
      }
    }
    lines.push('COMMIT')
  }
  return lines.map((line) => `${line}\n`).join('')
}
