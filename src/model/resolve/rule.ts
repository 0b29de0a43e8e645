// Routing rules, as `ip rule` would take them.
import type { Report } from '../../base/diagnostic.ts'
import { isIpv4 } from '../../net/address.ts'
import type { Prefix } from '../../net/prefix.ts'
import type { RoutingRule, RuleOptionName, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { RuleModel } from '../model.ts'
import { prefixIn } from '../words/addresses.ts'
import { defined } from '../words/defined.ts'
import { integerOf, numberIn, ranges } from '../words/numbers.ts'
import { isSet, optionValue } from '../words/options.ts'
import type { HostDraft } from '../world/entities.ts'
import { named, optional, tables } from './route.ts'
import { deviceNamed, type Scope } from './scope.ts'

const protocols: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, sctp: 132 }

/** The word that a rule has for a protocol. */
export function ruleProtocolName(protocol: number): string {
  return Object.keys(protocols).find((name) => protocols[name] === protocol) ?? String(protocol)
}

/** One rule. Its family is that of `from` or `to`, IPv4 where neither stands there. */
export function readRule(item: RoutingRule, host: HostDraft, scope: Scope): RuleModel | undefined {
  const { report } = scope
  const options = item.options
  const number = (name: RuleOptionName): number | undefined =>
    optional(options, name, (word) => numberIn(word, ranges.u32, report))
  const prefix = (name: 'from' | 'to'): Prefix | undefined =>
    optional(options, name, (word) => (word.text === 'all' ? undefined : prefixIn(word, report)))
  const device = (name: 'iif' | 'oif'): string | undefined =>
    optional(options, name, (word) => (deviceNamed(word, host, scope) === undefined ? undefined : word.text))
  const from = prefix('from')
  const to = prefix('to')
  const action = actionOf(item, report)
  if (action === undefined) return undefined
  const family: 4 | 6 = [from, to].some((each) => each !== undefined && !isIpv4(each.address)) ? 6 : 4
  if (from !== undefined && to !== undefined && isIpv4(from.address) !== isIpv4(to.address)) {
    const word = optionValue(options, 'to')
    const hint = 'a rule is one of IPv4 or one of IPv6'
    if (word !== undefined)
      report(mistakeIn('S143', word, `\`from\` and \`to\` of a rule are of two families`, { hint }))
    return undefined
  }
  const port = (name: 'sport' | 'dport'): { first: number; last: number } | undefined => {
    const value = optional(options, name, (word) => numberIn(word, ranges.port, report))
    return value === undefined ? undefined : { first: value, last: value }
  }
  return defined({
    family,
    priority: number('pref'),
    not: isSet(options, 'not'),
    from,
    to,
    mark: optional(options, 'fwmark', (word) => readMark(word, report)),
    inDevice: device('iif'),
    outDevice: device('oif'),
    tos: optional(options, 'tos', (word) => numberIn(word, ranges.u8, report)),
    protocol: optional(options, 'ipproto', (word) => named(word, protocols, 'protocol', report)),
    sport: port('sport'),
    dport: port('dport'),
    suppressPrefixLength: number('suppress_prefixlength'),
    action,
    span: item.span,
  })
}

function readMark(word: Word, report: Report): { value: number; mask: number } | undefined {
  const [value, mask] = word.text.split('/').map(integerOf)
  if (value !== undefined && (mask !== undefined || !word.text.includes('/'))) {
    return { value: value >>> 0, mask: (mask ?? 0xffff_ffff) >>> 0 }
  }
  report(
    mistakeIn('S144', word, `\`${word.text}\` is not a mark`, { hint: 'write it as `0x1` or `0x1/0xff`' }),
  )
  return undefined
}

function actionOf(item: RoutingRule, report: Report): RuleModel['action'] | undefined {
  const options = item.options
  for (const kind of ['blackhole', 'unreachable', 'prohibit'] as const)
    if (isSet(options, kind)) return { kind }
  const goto = optionValue(options, 'goto')
  if (goto !== undefined) {
    const priority = numberIn(goto, ranges.u32, report)
    return priority === undefined ? undefined : { kind: 'goto', priority }
  }
  const lookup = optionValue(options, 'lookup')
  if (lookup === undefined) {
    report(
      mistake('S126', item.span, 'this rule does nothing', {
        hint: 'it needs `lookup TABLE`, `goto PREF` or `blackhole`',
      }),
    )
    return undefined
  }
  const table = named(lookup, tables, 'table', report)
  return table === undefined ? undefined : { kind: 'lookup', table }
}
