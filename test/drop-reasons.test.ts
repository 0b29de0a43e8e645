// docs/drop-reasons.md says of every drop reason where it is shown: no reason is missing, and every place shows it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dropReasonsPage, nameOf, type Shown, shown } from '../scripts/drop-reasons.ts'
import { drop } from '../src/cilium/datapath/drop-reason.ts'
import { reasonTexts } from '../src/cilium/decode/drop-text.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const rows: readonly (readonly [number, Shown])[] = Object.entries(shown).map(([reason, it]) => [
  Number(reason),
  it,
])

/** The part of a golden about one scenario, all of its cases. */
function sectionOf(golden: string, scenario: string): string {
  const parts = golden.split(/^(?=scenario )/m)
  return parts.filter((part) => part.split(/\s/, 2)[1] === scenario).join('')
}

/** Whether a packet of the scenario is dropped for the reason, by a line of its golden. */
function isShown(place: string, reason: number): boolean {
  const [file = '', scenario = ''] = place.split('::')
  const text = (reasonTexts[reason] ?? String(reason)).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const line = new RegExp(`(^|\\s)drop ${text}(, -?\\d+)?$`, 'm')
  return line.test(sectionOf(read(file.replace(/\.scn$/, '.trace')), scenario))
}

/** The sources of the simulated programs, without their tests and the list of names. */
const programs = readdirSync(join(root, 'src/cilium'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.endsWith('drop-reason.ts'))
  .map((path) => read(`src/cilium/${path}`))
  .join('\n')

function isReturned(reason: number): boolean {
  const name = nameOf(reason)
  return name !== undefined && new RegExp(`\\bdrop\\.${name}\\b`).test(programs)
}

test('every reason has a row', () => {
  const reasons = new Set([
    ...Object.keys(reasonTexts).map(Number),
    ...Object.values(drop).map((code) => -code),
  ])
  expect(rows.map(([reason]) => reason)).toEqual([...reasons].sort((a, b) => a - b))
})

test('the page is the one that the list makes: npm run drop-reasons', () => {
  expect(read('docs/drop-reasons.md')).toBe(dropReasonsPage())
})

const specs = rows.flatMap(([reason, it]) =>
  it.by === 'spec' ? it.places.map((place) => [reason, place] as const) : [],
)

test.each(specs)('%i is shown by %s', (reason, place) => {
  expect(isShown(place, reason)).toBe(true)
})

test('a reason that is not shown is noticed', () => {
  const place = 'specs/cilium/drops/what-policy-denies.scn::ingress'
  expect(isShown(place, 132)).toBe(false)
  expect(isShown(place.replace('ingress', 'tunnel'), 133)).toBe(false)
  expect(isShown(place.replace('ingress', 'nothing'), 133)).toBe(false)
})

const tests = rows.flatMap(([reason, it]) =>
  it.by === 'test' ? it.places.map((place) => [reason, place] as const) : [],
)

test.each(tests)('%i is returned in %s', (reason, place) => {
  const [file = '', title = ''] = place.split('::')
  const [, after] = read(file).split(`test('${title}'`, 2)
  expect(after?.split(/^ {0,2}test\b/m)[0]).toContain(`drop.${nameOf(reason)}`)
})

test('what no program returns is not reached, and the others are returned by one', () => {
  const wrong = rows.filter(([reason, it]) => isReturned(reason) === (it.by === 'nowhere'))
  expect(wrong).toEqual([])
})

test('every reason that is not shown says why', () => {
  expect(rows.filter(([, it]) => 'why' in it && it.why.length < 8)).toEqual([])
})
