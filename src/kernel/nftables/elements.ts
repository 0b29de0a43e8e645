// Elements of sets and maps: `10.96.0.10 . udp . 53 timeout 3h comment "dns" : goto service-dns`.
import { readSpan, readWords } from './constant.ts'
import { type Cursor, Mistake } from './cursor.ts'
import { readDuration } from './duration.ts'
import type { ElementSpec, SetSpec, Span, Verdict } from './ruleset.ts'
import { type DataType, typesText, type Words } from './types.ts'

/** `accept`, `drop`, `continue`, `return`, `jump CHAIN`, `goto CHAIN`; undefined when none begins here. */
export function readVerdict(cursor: Cursor): Verdict | undefined {
  if (cursor.isAny('accept', 'drop', 'continue', 'return'))
    return { kind: cursor.take().text as 'accept' | 'drop' | 'continue' | 'return' }
  if (!cursor.isAny('jump', 'goto')) return undefined
  const kind = cursor.take().text as 'jump' | 'goto'
  const place = cursor.identifier('chain')
  return { kind, chain: place.text, place }
}

/** As nft prints it. */
export function verdictText(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind
}

function readKey(cursor: Cursor, types: readonly DataType[]): Span[] {
  const key: Span[] = []
  for (const type of types) {
    if (key.length > 0 && !cursor.accept('.'))
      cursor.fail(
        `an element of this set has the type ${typesText(types)}; expected \`.\`, found ${cursor.found()}`,
      )
    key.push(readSpan(cursor, type, false))
  }
  if (cursor.is('.')) cursor.fail(`an element of this set has the type ${typesText(types)}`)
  return key
}

interface Data {
  readonly data: Words | undefined
  readonly verdict: Verdict | undefined
  readonly text: string
}

function readData(cursor: Cursor, data: NonNullable<SetSpec['data']>): Data {
  cursor.expect(':')
  if (data === 'verdict') {
    const verdict = readVerdict(cursor) ?? cursor.fail(`expected a verdict, found ${cursor.found()}`)
    return { data: undefined, verdict, text: verdictText(verdict) }
  }
  const words: number[] = []
  const texts: string[] = []
  for (const type of data) {
    if (texts.length > 0) cursor.expect('.')
    const value = readWords(cursor, type)
    words.push(...value)
    texts.push(type.print(value))
  }
  return { data: words, verdict: undefined, text: texts.join(' . ') }
}

interface Remarks {
  timeout: number | undefined
  comment: string | undefined
}

/** What stands behind a key or behind its data. `expires` is of a moment that has passed. */
function readRemarks(cursor: Cursor, remarks: Remarks): void {
  for (;;) {
    if (cursor.accept('comment')) remarks.comment = cursor.string('a comment').text
    else if (cursor.accept('timeout')) remarks.timeout = readDuration(cursor)
    else if (cursor.accept('expires')) readDuration(cursor)
    else return
  }
}

function readElement(cursor: Cursor, set: Pick<SetSpec, 'types' | 'data'>): ElementSpec {
  const place = cursor.token
  if (cursor.is('*')) cursor.fail('catch-all elements are not modelled')
  const key = readKey(cursor, set.types)
  const remarks: Remarks = { timeout: undefined, comment: undefined }
  readRemarks(cursor, remarks)
  const data = set.data === undefined ? undefined : readData(cursor, set.data)
  readRemarks(cursor, remarks)
  return { key, data: data?.data, dataText: data?.text ?? '', verdict: data?.verdict, ...remarks, place }
}

/** `{ a, b }`; line breaks may stand anywhere in it. */
export function readElements(cursor: Cursor, set: Pick<SetSpec, 'types' | 'data'>): ElementSpec[] {
  cursor.expect('{')
  const elements: ElementSpec[] = []
  cursor.skipEnds()
  while (!cursor.is('}')) {
    elements.push(readElement(cursor, set))
    cursor.skipEnds()
    if (!cursor.accept(',')) break
    cursor.skipEnds()
  }
  cursor.expect('}')
  return elements
}

function compareSpans(left: Span, right: Span): number {
  for (let i = 0; i < left.first.length; i += 1) {
    const difference = (left.first[i] as number) - (right.first[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}

/** The order in which nft lists elements: by their keys; keys of several fields with ranges stay as they came. */
export function sortElements<T extends { readonly key: readonly Span[] }>(
  elements: readonly T[],
): readonly T[] {
  const joined = elements.some(({ key }) => key.length > 1 && key.some(({ first, last }) => first !== last))
  if (joined) return elements
  return [...elements].sort((left, right) => {
    for (let i = 0; i < left.key.length; i += 1) {
      const difference = compareSpans(left.key[i] as Span, right.key[i] as Span)
      if (difference !== 0) return difference
    }
    return 0
  })
}

/** Refuses keys that a set without intervals cannot have, and elements that overlap. */
export function checkElements(set: Pick<SetSpec, 'types' | 'flags'>, elements: readonly ElementSpec[]): void {
  const ranged = elements.find(({ key }) =>
    key.some(({ first, last }) => first !== last && String(first) !== String(last)),
  )
  if (ranged !== undefined && !set.flags.includes('interval'))
    throw new Mistake(ranged.place, 'a set needs `flags interval` for prefixes and ranges')
  if (set.types.length > 1) return
  const sorted = sortElements(elements)
  for (let i = 1; i < sorted.length; i += 1) {
    const [before, after] = [sorted[i - 1] as ElementSpec, sorted[i] as ElementSpec]
    const [low, high] = [before.key[0] as Span, after.key[0] as Span]
    if (ranged !== undefined && compareSpans({ ...low, first: low.last }, high) >= 0)
      throw new Mistake(after.place, `\`${high.text}\` overlaps \`${low.text}\``)
  }
}
