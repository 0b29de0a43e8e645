// Words of iproute2 as the recorded topologies and commands have them: routes, rules, neighbours. A word that is not known here is
// an error, so that no case is played without what it asks for.
import type { RouteSpec } from '../../src/kernel/ip/admin-route.ts'
import { type RouteType, routeProtocol, routeScope, routeTable } from '../../src/kernel/ip/route.ts'
import type { RuleSpec } from '../../src/kernel/ip/rule.ts'
import type { Namespace } from '../../src/kernel/namespace.ts'
import { type IpAddress, isIpv4, parseIp } from '../../src/net/address.ts'
import { parseMac } from '../../src/net/mac.ts'
import { type Prefix, parsePrefix, prefixOf } from '../../src/net/prefix.ts'
import { ipProtocol } from '../../src/net/protocol.ts'
import { deviceOf } from './named.ts'

export function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the recorded case names something unknown: ${what}`)
  return value
}

export function address(text: string): IpAddress {
  return must(parseIp(text), text)
}

/** Words in pairs, and those that stand alone. */
export interface Words {
  readonly given: ReadonlyMap<string, string>
  readonly flags: ReadonlySet<string>
}

/** Reads words; one that is in neither list is an error. */
export function readWords(
  words: readonly string[],
  pairs: readonly string[],
  alone: readonly string[],
): Words {
  const given = new Map<string, string>()
  const flags = new Set<string>()
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (alone.includes(word)) flags.add(word)
    else {
      given.set(must(pairs.includes(word) ? word : undefined, `word ${word}`), must(words[at + 1], word))
      at += 1
    }
  }
  return { given, flags }
}

/** One command that is to be run: where, in which family (`asked`: the one that was named), and its words behind the verb. */
export interface Call {
  readonly ns: Namespace
  readonly asked: 4 | 6 | undefined
  readonly family: 4 | 6
  readonly words: readonly string[]
}

export function macOf(text: string): number {
  return must(parseMac(text), text)
}

const onOff: Readonly<Record<string, boolean>> = { on: true, off: false }

export function switched(text: string | undefined): boolean {
  return must(onOff[text ?? ''], String(text))
}

/** A number, `inherit`, or undefined for what the kernel chooses. */
export function hopOrTos(text: string | undefined): number | 'inherit' | undefined {
  return text === undefined || text === 'auto' ? undefined : text === 'inherit' ? text : Number(text)
}

export function numberOf(text: string, names: Readonly<Record<string, number>> = {}): number {
  const value = names[text] ?? Number(text)
  return must(Number.isInteger(value) ? value : undefined, text)
}

/** `name: value` where there is a value: absent fields stay absent. */
function optional<Name extends string, T>(name: Name, value: T | undefined): Partial<Record<Name, T>> {
  return value === undefined ? {} : ({ [name]: value } as Record<Name, T>)
}

/** A prefix, or a bare address as one of full length; `default` needs the family. */
export function prefixText(text: string, family: 4 | 6): Prefix {
  if (text === 'default') return prefixOf(address(family === 4 ? '0.0.0.0' : '::'), 0)
  if (text.includes('/')) return must(parsePrefix(text), text)
  const host = address(text)
  return prefixOf(host, isIpv4(host) ? 32 : 128)
}

export const tables = { default: routeTable.default, main: routeTable.main, local: routeTable.local }
const routeTypes = ['unicast', 'local', 'broadcast', 'blackhole', 'unreachable', 'prohibit', 'throw']
const deviceless = new Set(['blackhole', 'unreachable', 'prohibit', 'throw'])
const routePairs = ['via', 'dev', 'table', 'scope', 'proto', 'metric', 'src', 'mtu', 'tos']
export const scopes = { ...routeScope, global: routeScope.universe }

/** `via ADDRESS dev DEV weight N onlink`: one next hop of a route. */
function nextHopOf(ns: Namespace, { given, flags }: Words): RouteSpec['nextHops'][number] {
  const [via, dev, weight] = ['via', 'dev', 'weight'].map((word) => given.get(word))
  return {
    ...optional('gateway', via === undefined ? undefined : address(via)),
    ...optional('device', dev === undefined ? undefined : deviceOf(ns, dev)),
    ...optional('weight', weight === undefined ? undefined : numberOf(weight)),
    onlink: flags.has('onlink'),
  }
}

/** The words before the first `nexthop`, and the next hops behind. */
function splitHops(words: readonly string[]): readonly (readonly string[])[] {
  const starts = words.flatMap((word, at) => (word === 'nexthop' ? [at] : []))
  const hops = starts.map((at, i) => words.slice(at + 1, starts[i + 1] ?? words.length))
  return [words.slice(0, starts[0] ?? words.length), ...hops]
}

/** The words that follow `ip route add`; `asked` is the family where no address says it. */
export function routeOf(ns: Namespace, line: string, asked: 4 | 6 = 4): RouteSpec {
  const words = line.split(/\s+/)
  const type = routeTypes.includes(words[0] ?? '') ? (words.shift() as RouteType) : undefined
  const target = words.shift() ?? ''
  must(/\bmtu lock\b/.test(line) ? undefined : true, 'mtu lock')
  const [own = [], ...hops] = splitHops(words)
  const read = readWords(own, routePairs, ['onlink'])
  const { given } = read
  const via = given.get('via')
  const dev = given.get('dev')
  const source = given.get('src')
  const family = [via, source, target, ...hops.flat()].some((text) => text?.includes(':')) ? 6 : asked
  const several = hops.map((hop) => nextHopOf(ns, readWords(hop, ['via', 'dev', 'weight'], ['onlink'])))
  const number = (word: string, names: Readonly<Record<string, number>> = {}): number | undefined => {
    const text = given.get(word)
    return text === undefined ? undefined : numberOf(text, names)
  }
  return {
    prefix: prefixText(target, family),
    ...optional('type', type),
    ...optional('table', number('table', tables)),
    ...optional('scope', number('scope', scopes)),
    ...optional('protocol', number('proto', routeProtocol)),
    ...optional('metric', number('metric')),
    ...optional('mtu', number('mtu')),
    ...optional('tos', number('tos')),
    ...optional('source', source === undefined ? undefined : address(source)),
    nextHops:
      deviceless.has(type ?? '') && dev === undefined
        ? []
        : several.length > 0
          ? several
          : [nextHopOf(ns, read)],
  }
}

const rulePairs = [
  ...[
    'from',
    'to',
    'iif',
    'oif',
    'fwmark',
    'priority',
    'pref',
    'preference',
    'lookup',
    'table',
    'goto',
    'tos',
    'ipproto',
  ],
  ...['sport', 'dport', 'suppress_prefixlength', 'protocol'],
]
const refusals = ['blackhole', 'unreachable', 'prohibit', 'nop'] as const
const protocols: Readonly<Record<string, number>> = ipProtocol

/** Without a word of it a rule asks the table main. */
function actionOf({ given, flags }: Words): RuleSpec['action'] {
  const table = given.get('lookup') ?? given.get('table')
  if (table !== undefined) return { kind: 'lookup', table: numberOf(table, tables) }
  const target = given.get('goto')
  if (target !== undefined) return { kind: 'goto', priority: numberOf(target) }
  const refusal = refusals.find((word) => flags.has(word))
  return refusal === undefined ? { kind: 'lookup', table: routeTable.main } : { kind: refusal }
}

function portRange(text: string): readonly [number, number] {
  const [first = '', last = first] = text.split('-')
  return [numberOf(first), numberOf(last)]
}

/** The words that follow `ip rule add`. */
export function ruleOf(line: string, asked: 4 | 6 = 4): RuleSpec {
  const words = readWords(line.split(/\s+/), rulePairs, [...refusals, 'not'])
  const { given } = words
  const [mark, mask] = given.get('fwmark')?.split('/') ?? []
  const family = ['from', 'to'].some((word) => given.get(word)?.includes(':')) ? 6 : asked
  const prefix = (word: string): Prefix | undefined => {
    const text = given.get(word)
    return text === undefined || text === 'all' ? undefined : prefixText(text, family)
  }
  const taken = <T>(word: string, read: (text: string) => T): T | undefined => {
    const text = given.get(word)
    return text === undefined ? undefined : read(text)
  }
  const text = (word: string): string => word
  return {
    family,
    ...optional(
      'priority',
      taken('priority', numberOf) ?? taken('pref', numberOf) ?? taken('preference', numberOf),
    ),
    ...(words.flags.has('not') ? { invert: true } : {}),
    ...optional('from', prefix('from')),
    ...optional('to', prefix('to')),
    ...optional('iif', taken('iif', text)),
    ...optional('oif', taken('oif', text)),
    ...optional('fwmark', mark === undefined ? undefined : numberOf(mark)),
    ...optional('fwmask', mask === undefined ? undefined : numberOf(mask)),
    ...optional('tos', taken('tos', numberOf)),
    ...optional(
      'protocol',
      taken('ipproto', (name) => numberOf(name, protocols)),
    ),
    ...optional('sport', taken('sport', portRange)),
    ...optional('dport', taken('dport', portRange)),
    ...optional('suppressPrefixLength', taken('suppress_prefixlength', numberOf)),
    action: actionOf(words),
  }
}
