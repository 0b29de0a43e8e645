// `iptables-save`, `iptables -S`, `nft list`, `conntrack -L` and their IPv6 forms: the words behind each.
import { conntrackText } from '../conntrack/text.ts'
import { nftText } from '../nftables/nftables.ts'
import { tableText } from '../nftables/print.ts'
import { isStray, type ShowContext, type Shown, shown, unknown, Words } from './command-words.ts'
import { showIptables, showRuleCommands } from './iptables.ts'

/** `iptables-save [-c] [-t T]`, `iptables [-t T] -S`; ip6tables alike. */
export function iptablesCommand(words: readonly string[], { ns }: ShowContext): Shown {
  const [tool = ''] = words
  const family = tool.startsWith('ip6') ? 6 : 4
  let counters = false
  let table: string | undefined
  let lists = tool.endsWith('-save')
  const rest = new Words(words, 1)
  for (let word = rest.next(); word !== undefined; word = rest.next()) {
    if (word === '-t') table = rest.next()
    else if (word === '-c' || word === '--counters') counters = true
    else if (word === '-S' && !tool.endsWith('-save')) lists = true
    else return unknown(word)
  }
  if (!lists) return unknown(tool)
  if (tool.endsWith('-save')) return shown(showIptables(ns, { family, counters, table }))
  return shown(showRuleCommands(ns, { family, table: table ?? 'filter' }))
}

/** `nft [-a] list ruleset`, `nft [-a] list table [FAMILY] NAME`. */
export function nftCommand(words: readonly string[], { ns }: ShowContext): Shown {
  const handles = words[1] === '-a' || words[1] === '--handle'
  const [verb = '', what = '', ...rest] = words.slice(handles ? 2 : 1)
  if (verb !== 'list') return unknown(verb === '' ? 'nft' : verb)
  if (what === 'ruleset') return rest[0] === undefined ? shown(nftText(ns, handles)) : unknown(rest[0])
  if (what !== 'table') return unknown(what)
  const [family, name] = rest.length > 1 ? rest : ['ip', rest[0]]
  const table = ns.netfilter.nftables?.find(({ spec }) => spec.family === family && spec.name === name)
  if (name === undefined) return unknown(what)
  if (table === undefined) return { kind: 'missing', message: 'Error: No such file or directory' }
  return shown(tableText(table, ns.machine.clock.now, handles))
}

/** `conntrack -L [-f ipv4|ipv6] [-p PROTOCOL]`. */
export function conntrackCommand(words: readonly string[], { ns }: ShowContext): Shown {
  const rest = new Words(words, 1)
  const flags = rest.flags(['-L', '--dump'])
  if (flags.size === 0) return unknown(rest.next() ?? 'conntrack')
  const options = rest.pairs(['-f', '-p'])
  if (isStray(options)) return unknown(options.word)
  return shown(conntrackText(ns, options.get('-f') === 'ipv6' ? 6 : 4, options.get('-p')))
}
