// Routes and policy rules between the steps of a recorded case: what `ip route del|flush` and `ip rule del|flush` mean.
import { addRoute, dropRoute, type RouteMode, removeRoute } from '../../src/kernel/ip/admin-route.ts'
import { removeRule, rulesOf } from '../../src/kernel/ip/admin-rule.ts'
import { type FibRoute, routeProtocol, routeTable } from '../../src/kernel/ip/route.ts'
import type { RuleSpec } from '../../src/kernel/ip/rule.ts'
import { familyState } from '../../src/kernel/ip/state.ts'
import { isIpv4, sameIp } from '../../src/net/address.ts'
import {
  address,
  type Call,
  must,
  numberOf,
  prefixText,
  readWords,
  routeOf,
  ruleOf,
  scopes,
  tables,
} from './words.ts'

/** `ip route add|replace|append`; IPv6 takes next hops without a gateway only where there is one without `nexthop`. */
export function putRoute({ ns, family, words }: Call, mode: RouteMode): void {
  const spec = routeOf(ns, words.join(' '), family)
  const six = !isIpv4(spec.prefix.address) && words.includes('nexthop')
  if (six && spec.nextHops.some(({ gateway }) => gateway === undefined)) return
  addRoute(ns, spec, mode)
}

/** `ip route del`: a local or broadcast route is looked for in the table local. */
export function deleteRoute({ ns, family, words }: Call): void {
  const { nextHops, scope: _scope, ...route } = routeOf(ns, words.join(' '), family)
  const local = route.type === 'local' || route.type === 'broadcast'
  removeRoute(ns, { ...(local ? { table: routeTable.local } : {}), ...route, ...nextHops[0] })
}

/** What iproute2's filter_nlmsg() asks of a route; one with several next hops has no device and no gateway of its own. */
function routeFilter({ family, words }: Call): (route: FibRoute) => boolean {
  const [first = ''] = words
  const bare = /^(default|all|[\da-f]*[.:][\da-f.:]*(\/\d+)?)$/.test(first) ? first : undefined
  const pairs = ['dev', 'proto', 'scope', 'type', 'via', 'exact', 'root', 'table', 'to']
  const { given } = readWords(bare === undefined ? words : words.slice(1), pairs, [])
  const exact = bare === 'all' ? undefined : (bare ?? given.get('exact') ?? given.get('to'))
  const prefix = exact === undefined ? undefined : prefixText(exact, family)
  must(given.has('root') ? undefined : true, 'ip route flush root')
  const [dev, type, via] = ['dev', 'type', 'via'].map((word) => given.get(word))
  const number = (word: string, names: Readonly<Record<string, number>>): number | undefined => {
    const text = given.get(word)
    return text === undefined ? undefined : numberOf(text, names)
  }
  const [protocol, scope] = [number('proto', routeProtocol), number('scope', scopes)]
  return (route) => {
    const alone = route.nextHops.length === 1 ? route.nextHops[0] : undefined
    const sameTarget =
      prefix === undefined ||
      (route.prefix.length === prefix.length && sameIp(route.prefix.address, prefix.address))
    const sameKind = (type ?? route.type) === route.type && (scope ?? route.scope) === route.scope
    const sameGateway =
      via === undefined || (alone?.gateway !== undefined && sameIp(alone.gateway, address(via)))
    const sameDevice = dev === undefined || alone?.device?.name === dev
    const sameProtocol = (protocol ?? route.protocol) === route.protocol
    return sameTarget && sameKind && sameGateway && sameDevice && sameProtocol
  }
}

/** `ip route flush cache` (what was learned about single destinations), or `flush [PREFIX] [table N|all] [dev DEV] ...`. */
export function flushRoutes(call: Call): void {
  const { ns, family, words } = call
  const state = familyState(ns, family)
  if (words[0] === 'cache') {
    for (const { destination } of [...state.exceptions.values()]) state.exceptions.delete(destination)
    state.generation += 1
    return
  }
  must(words.length === 0 ? undefined : true, 'ip route flush of nothing')
  const meant = routeFilter(call)
  const at = words.indexOf('table')
  const table = at === -1 ? 'main' : (words[at + 1] ?? '')
  const every = table === 'all' || table === '0'
  const among = every ? [...state.tables.values()] : [state.tables.get(numberOf(table, tables))]
  for (const one of among)
    for (const route of [...(one?.routes() ?? [])]) if (meant(route)) dropRoute(ns, route)
}

/** The words of a rule that is looked for: what is not named does not matter. */
function ruleMatch(line: string, family: 4 | 6): Partial<RuleSpec> & { readonly family: 4 | 6 } {
  if (/\b(lookup|table|goto|blackhole|unreachable|prohibit|nop)\b/.test(line)) return ruleOf(line, family)
  const { action: _action, ...match } = ruleOf(`${line} nop`.trim(), family)
  return match
}

/** `ip rule del` */
export function deleteRule({ ns, family, words }: Call): void {
  removeRule(ns, ruleMatch(words.join(' '), family))
}

/** `ip rule flush [table N ...]`: iproute2 leaves the rule of preference 0, by which the table local is asked. */
export function flushRules({ ns, family, words }: Call): void {
  const match = ruleMatch(words.join(' '), family)
  for (const { priority } of [...rulesOf(ns, family)])
    while (priority !== 0 && removeRule(ns, { ...match, priority }).ok);
}
