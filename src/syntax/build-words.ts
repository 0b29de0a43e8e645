// Builders of the leaves: words with their variables, places, endpoints, options, tests.
import { spanning } from '../base/text.ts'
import type * as ast from './ast.ts'

const noParts: readonly never[] = []
const variable = /\$(?:\{([A-Za-z_][A-Za-z0-9_-]*)\}|([A-Za-z_](?:[A-Za-z0-9_]|-(?=[A-Za-z0-9]))*))/g

/**
 * The pieces of a raw text that starts at `start`; `plain` is what makes a value of the text between variables.
 * Without variables the result is the shared empty list.
 */
function partsOf(
  span: ast.Span,
  start: number,
  raw: string,
  plain: (text: string) => string,
): ast.Word['parts'] {
  if (!raw.includes('$')) return noParts
  const parts: (string | ast.VariablePart)[] = []
  let end = 0
  for (const match of raw.matchAll(variable)) {
    if (raw[match.index - 1] === '\\') continue
    if (match.index > end) parts.push(plain(raw.slice(end, match.index)))
    end = match.index + match[0].length
    const at = { source: span.source, start: start + match.index, end: start + end }
    parts.push({ span: at, name: match[1] ?? match[2] ?? '' })
  }
  if (parts.length > 0 && end < raw.length) parts.push(plain(raw.slice(end)))
  return parts
}

function asWritten(text: string): string {
  return text
}

function unescaped(text: string): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\(.)/g, (_, sign: string) => (sign === 'n' ? '\n' : sign === 't' ? '\t' : sign))
}

/** A bare word; `text` is the end of the span (some words leave out a sign before it). */
export function word(span: ast.Span, text: string): ast.Word {
  const parts = text.includes('$') ? partsOf(span, span.end - text.length, text, asWritten) : noParts
  return { kind: 'word', span, text, form: 'bare', parts }
}

/** A quoted string; `raw` is what stands between the quotes. */
export function string(span: ast.Span, raw: string): ast.Word {
  return {
    kind: 'word',
    span,
    text: unescaped(raw),
    form: 'quoted',
    parts: partsOf(span, span.start + 1, raw, unescaped),
  }
}

/** A `"""` block, as it is: no escapes, no variables, LF line ends, without the line break after the opening quotes. */
export function block(span: ast.Span, written: string): ast.Word {
  const raw = written.includes('\r') ? written.replaceAll('\r\n', '\n') : written
  return { kind: 'word', span, text: raw.replace(/^[ \t]*\n/, ''), form: 'block', parts: noParts }
}

/** A cell of a table: the blanks around it are not part of it. */
export function cell(span: ast.Span, text: string): ast.Word {
  const trimmed = text.trim()
  const start = trimmed === '' ? span.start : span.source.text.indexOf(trimmed, span.start)
  return word({ source: span.source, start, end: start + trimmed.length }, trimmed)
}

/** The name of a cgroup hook, which the grammar matches as a whole. */
export function cgroupHook(_span: ast.Span, matched: string): ast.CgroupHook {
  return `cgroup/${matched.slice('cgroup/'.length)}`
}

export function place(span: ast.Span, segments: readonly ast.Word[]): ast.Place {
  return { kind: 'place', span, segments }
}

export function placePath(span: ast.Span, first: ast.Word, rest: readonly ast.Word[]): ast.Place {
  return { kind: 'place', span, segments: [first, ...rest] }
}

/** The place `-`: nothing, nowhere. */
export function nowhere(span: ast.Span, dash: ast.Word): ast.Place {
  return { kind: 'place', span, segments: [dash] }
}

export function endpoint(span: ast.Span, host: ast.Word, port: ast.Word | null): ast.Endpoint {
  return { kind: 'endpoint', span, host, port }
}

export function label(span: ast.Span, key: ast.Word, value: ast.Word): ast.Label {
  return { kind: 'label', span, key, value }
}

/** What stands after an option's name: nothing, one word, or several. */
export type OptionValue = ast.Word | readonly ast.Word[] | null

/** Makes an option of any closed list of names. */
export function makeOption<Name extends string>(
  span: ast.Span,
  name: Name,
  value: OptionValue,
): ast.Option<Name> {
  const values = value === null ? noParts : 'kind' in value ? [value] : value
  return { kind: 'option', span, name, values }
}

export function option(span: ast.Span, name: string, value: OptionValue): ast.Option {
  return makeOption(span, name, value)
}

// ---- values and tests

export function field(span: ast.Span, path: string): ast.Field {
  return { kind: 'field', span, path }
}

export function mapEntry(span: ast.Span, map: ast.Word, key: ast.Expr): ast.MapEntry {
  return { kind: 'map-entry', span, map, key }
}

export function list(span: ast.Span, items: readonly ast.Expr[]): ast.List {
  return { kind: 'list', span, items }
}

/** An operator and its right side, before they are joined with the left one. */
export interface Tail {
  readonly operator: ast.Arithmetic['operator']
  readonly right: ast.Expr
}

export function tail(_span: ast.Span, operator: ast.Arithmetic['operator'], right: ast.Expr): Tail {
  return { operator, right }
}

/** Joins from left to right; without a tail it is the first part itself. */
export function arithmetic(_span: ast.Span, first: ast.Expr, rest: readonly Tail[]): ast.Expr {
  let left = first
  for (const { operator, right } of rest) {
    left = { kind: 'arithmetic', span: spanning(left.span, right.span), operator, left, right }
  }
  return left
}

export function compare(
  span: ast.Span,
  left: ast.Expr,
  operator: ast.CompareOperator,
  right: ast.Expr,
): ast.Compare {
  return { kind: 'compare', span, left, operator, right }
}

export function present(span: ast.Span, of: ast.Field): ast.Present {
  return { kind: 'present', span, field: of }
}

export function not(span: ast.Span, test: ast.Test): ast.Not {
  return { kind: 'not', span, test }
}

export function and(span: ast.Span, first: ast.Test, rest: readonly ast.Test[]): ast.Test {
  return rest.length === 0 ? first : { kind: 'and', span, tests: [first, ...rest] }
}

export function or(span: ast.Span, first: ast.Test, rest: readonly ast.Test[]): ast.Test {
  return rest.length === 0 ? first : { kind: 'or', span, tests: [first, ...rest] }
}
