// Which cases are meant: `path`, `path::scenario`, `path::scenario[case]` (exact), `-k TEXT` (fuzzy), `-t 'a and not b'`.
import { UsageError } from './usage.ts'

/** An exact selector, taken apart. */
export interface Selector {
  readonly path: string
  readonly scenario?: string
  readonly id?: string
}

/** `path::scenario[case]` to its parts; the case is the last pair of brackets. */
export function parseSelector(text: string): Selector {
  const at = text.indexOf('::')
  if (at === -1) return { path: text }
  const path = text.slice(0, at)
  const rest = text.slice(at + 2)
  const named = /^([^[\]]+)(?:\[([^[\]]+)\])?$/.exec(rest)
  if (named === null || path === '') {
    throw new UsageError(`\`${text}\` is not a selector; write path::scenario or path::scenario[case]`)
  }
  const [, scenario = '', id] = named
  return id === undefined ? { path, scenario } : { path, scenario, id }
}

/** The exact selector of a case. */
export function selectorText(path: string, scenario: string, id: string | undefined): string {
  return id === undefined ? `${path}::${scenario}` : `${path}::${scenario}[${id}]`
}

/** What a case shows to a filter. */
export interface Selectable {
  readonly path: string
  readonly scenario: string
  readonly id: string | undefined
  readonly title: string
  readonly tags: readonly string[]
}

/** A case of a scenario, as a filter sees it. */
export function selectable(
  path: string,
  scenario: { readonly name: string; readonly tags: readonly string[] },
  one: { readonly id?: string; readonly title: string },
): Selectable {
  return { path, scenario: scenario.name, id: one.id, title: one.title, tags: scenario.tags }
}

export type Filter = (item: Selectable) => boolean

/** Whether an exact selector of this file means a case. */
export function selects(selector: Selector, item: Selectable): boolean {
  if (selector.scenario !== undefined && selector.scenario !== item.scenario) return false
  return selector.id === undefined || selector.id === item.id
}

/** `-k TEXT`: every word of the text stands somewhere in path, scenario, case or title. */
export function keywordFilter(text: string): Filter {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  return (item) => {
    const all = `${item.path} ${item.scenario} ${item.id ?? ''} ${item.title}`.toLowerCase()
    return words.every((word) => all.includes(word))
  }
}

/** `-t 'nodeport and not (slow or lb)'` over a case's tags. */
export function tagFilter(expression: string): Filter {
  const tokens = expression.match(/\(|\)|[^\s()]+/g) ?? []
  let at = 0
  const fail = (): never => {
    throw new UsageError(
      `\`${expression}\` is not a tag expression; write tags with and, or, not and brackets`,
    )
  }
  const either = (): Filter => {
    let left = both()
    while (tokens[at] === 'or') {
      at += 1
      const [first, second] = [left, both()]
      left = (item) => first(item) || second(item)
    }
    return left
  }
  const both = (): Filter => {
    let left = atom()
    while (tokens[at] === 'and') {
      at += 1
      const [first, second] = [left, atom()]
      left = (item) => first(item) && second(item)
    }
    return left
  }
  const atom = (): Filter => {
    const token = tokens[at]
    at += 1
    if (token === undefined || token === ')' || token === 'and' || token === 'or') return fail()
    if (token === 'not') {
      const inner = atom()
      return (item) => !inner(item)
    }
    if (token !== '(') return (item) => item.tags.includes(token)
    const inner = either()
    if (tokens[at] !== ')') return fail()
    at += 1
    return inner
  }
  const filter = either()
  return at === tokens.length ? filter : fail()
}
