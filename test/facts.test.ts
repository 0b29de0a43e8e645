// docs/facts.md says of every observed fact where it is asserted: no fact is missing, and every place is there.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const facts = join(root, '../shared/facts/linux.md')

/** How many facts each section has, and whether a table stands in front of them. */
const sections: readonly (readonly [section: number, first: 0 | 1, last: number])[] = [
  [1, 0, 14],
  [2, 0, 10],
  [3, 0, 11],
  [4, 0, 14],
  [5, 1, 6],
  [6, 1, 10],
  [7, 1, 8],
  [8, 1, 18],
  [9, 1, 7],
  [10, 1, 10],
  [11, 1, 5],
  [12, 1, 3],
  [13, 1, 1],
  [14, 1, 5],
  [15, 1, 7],
]

const ids = sections.flatMap(([section, first, last]) =>
  Array.from({ length: last - first + 1 }, (_, index) => `${section}.${first + index}`),
)

interface Row {
  readonly id: string
  readonly places: readonly (readonly [file: string, name: string])[]
  readonly reason: string | undefined
}

const rows: readonly Row[] = [
  ...readFileSync(join(root, 'docs/facts.md'), 'utf8').matchAll(/^\| (\d+\.\d+) \| [^|]+ \| (.*) \|$/gm),
].map(([, id = '', cell = '']) => ({
  id,
  places: [...cell.matchAll(/`([^`:]+\.(?:scn|test\.ts))::([^`]+)`/g)].map(
    ([, file = '', name = '']) => [file, name] as const,
  ),
  reason: /not modelled: (.+)/.exec(cell)?.[1],
}))

test('every fact has a row, in order', () => {
  expect(rows.map(({ id }) => id)).toEqual(ids)
})

test('every row has a place or a reason', () => {
  expect(rows.filter(({ places, reason }) => places.length === 0 && (reason ?? '').length < 10)).toEqual([])
})

const places = [...new Set(rows.flatMap((row) => row.places.map(([file, name]) => `${file}::${name}`)))]

/** Whether a spec has that scenario, or a test file a title that begins so. */
function isThere(place: string): boolean {
  const at = place.indexOf('::')
  const [file, name] = [join(root, place.slice(0, at)), place.slice(at + 2)]
  if (!existsSync(file)) return false
  const text = readFileSync(file, 'utf8')
  if (!file.endsWith('.scn')) return ["'", '`', '"'].some((quote) => text.includes(quote + name))
  return text.split('\n').some((line) => line.startsWith(`scenario ${name} `))
}

test('there are places', () => {
  expect(places.length).toBeGreaterThan(100)
})

test.each(places)('%s', (place) => {
  expect(isThere(place)).toBe(true)
})

test('a place that is not there is noticed', () => {
  expect(isThere('specs/tc/a-tcx-ok-skips-the-filters.scn::nothing')).toBe(false)
  expect(isThere('test/facts.test.ts::no such title'.replace('no', 'not a'))).toBe(false)
  expect(isThere('specs/no-such-file.scn::order')).toBe(false)
})

/** The numbers of a list of facts: numbered lines, else bullets, and `.0` for a table or an order in front of them. */
function numbersOf(text: string): string[] {
  return text
    .split(/^## /m)
    .slice(1)
    .flatMap((part) => {
      const section = Number.parseInt(part, 10)
      const body = part.slice(part.indexOf('\n'))
      const numbered = [...body.matchAll(/^(\d+)\. /gm)].map(([, number]) => `${section}.${number}`)
      if (numbered.length === 0) {
        return [...body.matchAll(/^- /gm)].map((_, index) => `${section}.${index + 1}`)
      }
      const front = body.slice(0, body.search(/^1\. /m))
      return /\||```|\[O\]/.test(front) ? [`${section}.0`, ...numbered] : numbered
    })
}

test.skipIf(!existsSync(facts))('the list of facts has these numbers', () => {
  expect(numbersOf(readFileSync(facts, 'utf8'))).toEqual(ids)
})

test.skipIf(existsSync(facts))('the list of facts is not here: ../shared/facts/linux.md is missing', () => {})
