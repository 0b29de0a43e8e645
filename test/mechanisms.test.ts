// docs/mechanisms.md says where each mechanism of Cilium is shown: no id is missing, and what it names is there.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const list = join(root, '../shared/design/mission.md')

interface Row {
  readonly id: string
  readonly places: readonly string[]
}

const rows = readFileSync(join(root, 'docs/mechanisms.md'), 'utf8')
  .split('\n')
  .flatMap((line): readonly Row[] => {
    const [, id, , shown] = line.split('|').map((cell) => cell.trim())
    if (id === undefined || shown === undefined || !/^[A-Z][0-9]+$/.test(id)) return []
    return [{ id, places: [...shown.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '') }]
  })

const wanted = ['K6', 'K7', ...Array.from({ length: 16 }, (_, index) => `C${index + 1}`)]

test('every mechanism has a row', () => {
  expect(rows.map(({ id }) => id)).toEqual(wanted)
})

test.skipIf(!existsSync(list))('the ids are those of the list', () => {
  const ids = [...readFileSync(list, 'utf8').matchAll(/^\| (C[0-9]+) \|/gm)].map((match) => match[1])
  expect(rows.map(({ id }) => id).filter((id) => id.startsWith('C'))).toEqual(ids)
})

test.each(rows)('$id is shown by something', ({ places }) => {
  expect(places.length).toBeGreaterThan(0)
  for (const place of places) {
    expect(existsSync(join(root, place)), place).toBe(true)
    if (place.endsWith('.scn'))
      expect(existsSync(join(root, place.replace(/\.scn$/, '.trace'))), place).toBe(true)
  }
})

test('every spec of the lists of policies is there, and has a table of all pairs', () => {
  const text = readFileSync(join(root, 'docs/mechanisms.md'), 'utf8')
  const [, lists = ''] = text.split('## Policies, field by field')
  const specs = [...lists.matchAll(/`(specs\/[^`]+)\.scn`/g)].map((match) => match[1] ?? '')
  expect(specs.length).toBeGreaterThan(10)
  for (const spec of specs) {
    expect(existsSync(join(root, `${spec}.scn`)), spec).toBe(true)
    if (spec.includes('/l7/')) continue
    expect(readFileSync(join(root, `${spec}.trace`), 'utf8'), spec).toContain('\nstep reach ')
  }
})
