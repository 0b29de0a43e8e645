// Rules and tables as `nft list ruleset` prints them (src/rule.c, src/expression.c of nftables 1.0.6).
import type { Counters } from '../netfilter/ruleset.ts'
import type { BoundChain, BoundTable } from './bound.ts'
import { durationText } from './duration.ts'
import { sortElements } from './elements.ts'
import { priorityText } from './priority.ts'
import type { ChainSpec, RuleSpec, SetSpec, Statement } from './ruleset.ts'
import type { Element, SetStore } from './set-store.ts'
import { typesText } from './types.ts'

/**
 * A test for a protocol is not printed when a field behind it, or a way to reject, says the same and only tests stand
 * between (payload_dependency_kill(), stmt_reject_postprocess()).
 */
function isSaid({ implied }: Statement, behind: readonly Statement[]): boolean {
  if (implied === undefined) return false
  for (const { protocol, family, acts } of behind) {
    if (implied.protocol !== undefined && protocol === implied.protocol) return true
    if (implied.family !== undefined && family === implied.family) return true
    if (acts) return false
  }
  return false
}

/** A rule as nft prints it; with its counters, if they are given. */
export function ruleText({ statements, comment }: RuleSpec, counters?: readonly Counters[]): string {
  let next = 0
  const texts: string[] = []
  for (const [index, statement] of statements.entries()) {
    if (isSaid(statement, statements.slice(index + 1))) continue
    const own = statement.counter === undefined ? undefined : counters?.[next++]
    texts.push(own === undefined ? statement.text : `counter packets ${own.packets} bytes ${own.bytes}`)
  }
  if (comment !== undefined) texts.push(`comment "${comment}"`)
  return texts.join(' ')
}

/** How many elements of a set stand in one line. */
function elementsInLine({ types }: SetSpec): number {
  const [type] = types
  if (types.length > 1 || type === undefined || type.words === 4) return 1
  return type.name === 'ipv4_addr' ? 2 : 5
}

const nanoseconds = 1_000_000_000

function elementText(element: Element, store: SetStore, now: number): string {
  const { spec, timeout, expires } = element
  const spans = store.spansOf(element)
  let text = spans.map((span) => span.text).join(' . ')
  if (timeout !== undefined) {
    const seconds = timeout / nanoseconds
    if (seconds !== store.spec.timeout) text += ` timeout ${durationText(seconds)}`
    text += ` expires ${durationText((expires - now) / nanoseconds)}`
  }
  if (spec?.comment !== undefined) text += ` comment "${spec.comment}"`
  const data = spec === undefined ? store.dataText(element) : spec.dataText
  return data === '' ? text : `${text} : ${data}`
}

function elementsText(store: SetStore, now: number): string {
  const sorted = sortElements(store.list().map((element) => ({ element, key: store.spansOf(element) })))
  const texts = sorted.map(({ element }) => elementText(element, store, now))
  const perLine = elementsInLine(store.spec)
  const lines: string[] = []
  for (let at = 0; at < texts.length; at += perLine) lines.push(texts.slice(at, at + perLine).join(', '))
  return lines.join(',\n\t\t\t     ')
}

/** ` # handle 3`, if handles are asked for. */
function handleOf({ handle }: { readonly handle: number }, handles: boolean): string {
  return handles ? ` # handle ${handle}` : ''
}

function setLines(store: SetStore, now: number, handles: boolean): string[] {
  const { spec } = store
  const data =
    spec.data === undefined ? '' : ` : ${spec.data === 'verdict' ? 'verdict' : typesText(spec.data)}`
  const lines = [
    `\t${spec.kind} ${spec.name} {${handleOf(spec, handles)}`,
    `\t\ttype ${typesText(spec.types)}${data}`,
  ]
  if (spec.size !== undefined) lines.push(`\t\tsize ${spec.size}`)
  if (spec.flags.length > 0) lines.push(`\t\tflags ${spec.flags.join(',')}`)
  if (spec.timeout > 0) lines.push(`\t\ttimeout ${durationText(spec.timeout)}`)
  if (spec.comment !== undefined) lines.push(`\t\tcomment "${spec.comment}"`)
  const elements = elementsText(store, now)
  if (elements !== '') lines.push(`\t\telements = { ${elements} }`)
  return [...lines, '\t}', '']
}

function headLines({ base, comment }: ChainSpec): string[] {
  const lines = comment === undefined ? [] : [`\t\tcomment "${comment}"`]
  if (base === undefined) return lines
  const { type, hook, priority, policy } = base
  return [
    ...lines,
    `\t\ttype ${type} hook ${hook.toLowerCase()} priority ${priorityText(hook, priority)}; policy ${policy};`,
  ]
}

function chainLines({ spec, rules }: BoundChain, handles: boolean): string[] {
  const lines = rules.map(
    (rule) => `\t\t${ruleText(rule.spec, rule.counters)}${handleOf(rule.spec, handles)}`,
  )
  return [`\tchain ${spec.name} {${handleOf(spec, handles)}`, ...headLines(spec), ...lines, '\t}', '']
}

/** One table, as a block; with the handles of its parts, if they are asked for. */
export function tableText(
  { spec, counters, sets, chains }: BoundTable,
  now: number,
  handles = false,
): string {
  const lines: string[] = []
  for (const counter of spec.counters.values()) {
    const { name, comment } = counter
    const count = counters.get(name)
    lines.push(`\tcounter ${name} {${handleOf(counter, handles)}`)
    if (comment !== undefined) lines.push(`\t\tcomment "${comment}"`)
    lines.push(`\t\tpackets ${count?.packets ?? 0} bytes ${count?.bytes ?? 0}`, '\t}', '')
  }
  for (const store of sets.values()) lines.push(...setLines(store, now, handles))
  for (const chain of chains.values()) lines.push(...chainLines(chain, handles))
  if (lines.at(-1) === '') lines.pop()
  const head = spec.comment === undefined ? [] : [`\tcomment "${spec.comment}"`]
  if (head.length > 0 && lines.length > 0 && spec.counters.size + sets.size === 0) head.push('')
  return `${[`table ${spec.family} ${spec.name} {${handleOf(spec, handles)}`, ...head, ...lines, '}'].join('\n')}\n`
}
