// Structural schemas: what the API server knows of an object's shape. A schema reads a YAML node into a plain value and
// says at the node what does not fit. Unknown fields are mistakes, as under kubectl's strict validation.
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Scalar, type YAMLMap } from 'yaml'
import { didYouMean } from '../base/closest.ts'
import type { Mistake, Places, Range } from './text.ts'

/** What the readers of one document share. */
export interface Reading {
  readonly document: Document
  readonly places: Places
  readonly report: (mistake: Mistake) => void
}

/** Reads a node; undefined where it does not fit, which has been reported then. */
export interface Schema<T> {
  /** `a string`, for messages. */
  readonly name: string
  readonly read: (node: Node | null, reading: Reading) => T | undefined
}

/** The value that a schema reads. */
export type Infer<S> = S extends Schema<infer T> ? T : never

/** Adds what is wrong with a value; `field` names the part of an object that is meant. */
export type Check<T> = (value: T, wrong: (message: string, hint?: string, field?: string) => void) => void

/** The place of a node's text. */
export function rangeOf(node: Node | null): Range {
  const [start = 0, end = 0] = node?.range ?? []
  return { start, end: Math.max(end, start + 1) }
}

function wrongNode(node: Node | null, message: string, { report }: Reading, hint?: string): undefined {
  report({ severity: 'error', ...rangeOf(node), message, ...(hint === undefined ? {} : { hint }) })
  return undefined
}

function resolved(node: Node | null, { document }: Reading): Node | null {
  return isAlias(node) ? (node.resolve(document) ?? null) : node
}

function describe(node: Node | null): string {
  if (node === null || (isScalar(node) && node.value === null)) return 'nothing'
  if (isMap(node)) return 'a map'
  if (isSeq(node)) return 'a list'
  if (!isScalar(node)) return 'something else'
  if (typeof node.value === 'string') return `the string \`${node.value}\``
  return `the ${typeof node.value} \`${String(node.value)}\``
}

function scalar<T>(
  name: string,
  accept: (node: Scalar) => T | undefined,
  hint: (node: Scalar) => string | undefined,
  check?: Check<T>,
): Schema<T> {
  return {
    name,
    read: (raw, reading) => {
      const node = resolved(raw, reading)
      const value = isScalar(node) ? accept(node) : undefined
      if (value === undefined) {
        const advice = isScalar(node) ? hint(node) : undefined
        return wrongNode(node, `${name} is expected here, not ${describe(node)}`, reading, advice)
      }
      check?.(value, (message, advice) => wrongNode(node, message, reading, advice))
      return value
    },
  }
}

/** What YAML 1.1, which kubectl reads, takes for a boolean. */
const oldBooleans = /^(y|yes|n|no|on|off)$/i

/** A string. Unquoted words that YAML 1.1 reads as booleans are refused, as kubectl refuses them. */
export function string(check?: Check<string>): Schema<string> {
  return scalar(
    'a string',
    (node) =>
      typeof node.value === 'string' && !(node.type === 'PLAIN' && oldBooleans.test(node.value))
        ? node.value
        : undefined,
    (node) => `write it in quotes: "${node.source ?? String(node.value)}"`,
    check,
  )
}

/** One of a closed list of strings. */
export function oneOf<const Word extends string>(words: readonly Word[]): Schema<Word> {
  return string((value, wrong) => {
    if (words.includes(value as Word)) return
    wrong(`there is no \`${value}\` here`, didYouMean(value, words) ?? `one of ${words.join(', ')}`)
  }) as Schema<Word>
}

/** A whole number between two bounds. */
export function integer(min: number, max: number): Schema<number> {
  return scalar(
    'a number',
    (node) => (typeof node.value === 'number' && Number.isInteger(node.value) ? node.value : undefined),
    (node) => (/^[0-9]+$/.test(String(node.value)) ? 'write it without quotes' : undefined),
    (value, wrong) => {
      if (value < min || value > max) wrong(`${value} is not between ${min} and ${max}`)
    },
  )
}

/** true or false. */
export const boolean: Schema<boolean> = scalar(
  'true or false',
  (node) => (typeof node.value === 'boolean' ? node.value : undefined),
  (node) => (/^(true|false)$/.test(String(node.value)) ? 'write it without quotes' : undefined),
)

/** A number or a string: IntOrString of Kubernetes. */
export function intOrString(check?: Check<number | string>): Schema<number | string> {
  return scalar(
    'a number or a string',
    ({ value }) => (typeof value === 'number' || typeof value === 'string' ? value : undefined),
    () => undefined,
    check,
  )
}

/** Known to Kubernetes and not read here. */
export const anything: Schema<true> = { name: 'anything', read: () => true }

/** Whatever it is, as text: two that read alike were written alike. */
export const asWritten: Schema<string> = { name: 'anything', read: (node) => JSON.stringify(node) ?? '' }

function itemsOf(node: YAMLMap): readonly { readonly key: Node | null; readonly value: Node | null }[] {
  return node.items.map(({ key, value }) => ({ key: key as Node | null, value: value as Node | null }))
}

function keyText(key: Node | null): string {
  return isScalar(key) ? String(key.value) : ''
}

/** A list; items that do not fit are left out after they have been reported. */
export function list<T>(of: Schema<T>, check?: Check<readonly T[]>): Schema<readonly T[]> {
  return {
    name: 'a list',
    read: (raw, reading) => {
      const node = resolved(raw, reading)
      if (!isSeq(node)) {
        return wrongNode(
          node,
          `a list is expected here, not ${describe(node)}`,
          reading,
          'write `- ` before it',
        )
      }
      const items = (node.items as (Node | null)[]).flatMap((item) => {
        const value = of.read(item, reading)
        return value === undefined ? [] : [value]
      })
      reading.places.set(items, { whole: rangeOf(node), keys: new Map(), values: new Map() })
      check?.(items, (message, hint) => wrongNode(node, message, reading, hint))
      return items
    },
  }
}

/** A map from any key to one kind of value: labels, annotations. */
export function map<T>(of: Schema<T>, check?: Check<string>): Schema<Readonly<Record<string, T>>> {
  return {
    name: 'a map',
    read: (raw, reading) => {
      const node = resolved(raw, reading)
      if (!isMap(node)) return wrongNode(node, `a map is expected here, not ${describe(node)}`, reading)
      const entries: [string, T][] = []
      for (const { key, value } of itemsOf(node)) {
        const text = keyText(key)
        check?.(text, (message, hint) => wrongNode(key, message, reading, hint))
        const item = of.read(value, reading)
        if (item !== undefined) entries.push([text, item])
      }
      return Object.fromEntries(entries)
    },
  }
}

type Fields = Readonly<Record<string, Schema<unknown>>>
type Values<Required extends Fields, Optional extends Fields> = {
  readonly [K in keyof Required]: Infer<Required[K]>
} & { readonly [K in keyof Optional]?: Infer<Optional[K]> }

/** An object with closed lists of fields: those that must be there and those that may. */
export function object<const Required extends Fields, const Optional extends Fields>(
  required: Required,
  optional: Optional,
  check?: Check<Values<Required, Optional>>,
): Schema<Values<Required, Optional>> {
  const known: Fields = { ...required, ...optional }
  return {
    name: 'a map',
    read: (raw, reading) => {
      const node = resolved(raw, reading)
      if (!isMap(node)) return wrongNode(node, `a map is expected here, not ${describe(node)}`, reading)
      const { value, keys, values } = readFields(node, known, reading)
      const missing = Object.keys(required).filter((name) => value[name] === undefined)
      for (const name of missing.filter((each) => !keys.has(each))) {
        wrongNode(node, `the field \`${name}\` is missing`, reading)
      }
      reading.places.set(value, { whole: rangeOf(node), keys, values })
      if (missing.length > 0) return undefined
      const whole = value as Values<Required, Optional>
      check?.(whole, (message, hint, field) => {
        const place = (field === undefined ? undefined : values.get(field)) ?? rangeOf(node)
        reading.report({ severity: 'error', ...place, message, ...(hint === undefined ? {} : { hint }) })
      })
      return whole
    },
  }
}

function readFields(
  node: YAMLMap,
  known: Fields,
  reading: Reading,
): {
  readonly value: Record<string, unknown>
  readonly keys: ReadonlyMap<string, Range>
  readonly values: ReadonlyMap<string, Range>
} {
  const value: Record<string, unknown> = {}
  const keys = new Map<string, Range>()
  const values = new Map<string, Range>()
  for (const { key, value: item } of itemsOf(node)) {
    const name = keyText(key)
    const schema = Object.hasOwn(known, name) ? known[name] : undefined
    keys.set(name, rangeOf(key))
    if (schema === undefined) {
      wrongNode(key, `unknown field \`${name}\``, reading, didYouMean(name, Object.keys(known)))
      continue
    }
    values.set(name, item === null || item.range?.[0] === item.range?.[1] ? rangeOf(key) : rangeOf(item))
    // `field:` without a value is null, which is the same as leaving the field out
    if (item === null || (isScalar(item) && item.value === null)) continue
    const read = schema.read(item, reading)
    if (read !== undefined) value[name] = read
  }
  return { value, keys, values }
}

/** A field that is right and that nothing carries out yet. */
export function later(what: string): Schema<true> {
  return {
    name: 'anything',
    read: (node, { report }) => {
      report({ severity: 'later', ...rangeOf(node), message: what })
      return true
    },
  }
}
