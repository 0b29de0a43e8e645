// The acceptance of the skeleton: the hand-made host of design example 3. Every case passes; every expected cell bites,
// alone, with its caret; an unknown word is refused with a suggestion.
import { readFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { workplace } from './support/command.ts'

const text = readFileSync('test/fixtures/xdp-tc-codes.scn', 'utf8')
const name = 'xdp-tc-codes.scn'
const place = workplace({ [name]: text })
afterAll(place.remove)

interface JsonCase {
  readonly selector: string
  readonly status: string
  readonly failures: readonly { readonly line: number; readonly column: number; readonly message: string }[]
}

/** Runs a text and answers its cases; goldens are off the table. */
async function casesOf(
  changed: string,
): Promise<{ readonly code: number; readonly cases: readonly JsonCase[] }> {
  const own = workplace({ [name]: changed })
  const { code, out } = await own.scn(['run', '--golden=new', '--reporter', 'json'])
  own.remove()
  return { code, cases: JSON.parse(out).files[0].cases }
}

test('every case passes, and a second run compares equal', async () => {
  const first = await place.scn(['run', '--golden=new'])
  expect(first.out).toContain('9 passed')
  expect(first.code).toBe(0)
  const second = await place.scn(['run'])
  expect(second.code).toBe(0)
  expect(place.files()).toEqual(['xdp-tc-codes.scn', 'xdp-tc-codes.trace'])
})

/** Valid values for each expected column. */
const values: Readonly<Record<string, readonly string[]>> = {
  xdp: ['XDP_PASS', 'XDP_DROP', 'XDP_TX', 'XDP_ABORTED', '-'],
  tc: ['TC_ACT_REDIRECT', 'TC_ACT_OK', 'TC_ACT_SHOT', 'TC_ACT_STOLEN', 'TC_ACT_UNSPEC', '-'],
  end: ['delivered', 'dropped', 'consumed', 'looped'],
  where: ['app', 'app/eth0/rx', 'host/eth0/tc-in', 'host/eth0/xdp', 'friend'],
}

const lines = text.split('\n')
const headAt = lines.findIndex((line) => line.includes('| id '))
const columns = (lines[headAt] ?? '').split('|').map((cell) => cell.trim())
const rows = lines.slice(headAt + 1, headAt + 9)

/** Every way to change one expected cell to another valid value. */
const changes = rows.flatMap((row, index) => {
  const cells = row.split('|')
  const id = (cells[1] ?? '').trim()
  return columns.flatMap((column, at) =>
    (values[column] ?? [])
      .filter((value) => value !== (cells[at] ?? '').trim())
      .map((value) => {
        const changed = cells.map((cell, other) => (other === at ? ` ${value} ` : cell))
        return { id, column, value, line: headAt + 2 + index, row: changed.join('|'), at }
      }),
  )
})

test('there are cells to change', () => {
  expect(rows).toHaveLength(8)
  expect(changes.length).toBeGreaterThan(100)
})

test.each(changes)('case $id: $column = $value fails alone, at its cell', async ({ id, line, row, at }) => {
  const changed = [...lines.slice(0, line - 1), row, ...lines.slice(line)].join('\n')
  const { code, cases } = await casesOf(changed)
  expect(code).toBe(1)
  const failed = cases.filter(({ status }) => status === 'failed')
  expect(failed.map(({ selector }) => selector)).toEqual([`${name}::codes[${id}]`])
  const column = row.split('|').slice(0, at).join('|').length + 3
  expect(failed[0]?.failures).toContainEqual(expect.objectContaining({ line, column }))
})

test('an unknown word gives exit code 3 and a suggestion', async () => {
  const own = workplace({ [name]: text.replace('TC_ACT_SHOT\n', 'TC_ACT_DROP\n') })
  const { code, out } = await own.scn(['run'])
  own.remove()
  expect(code).toBe(3)
  expect(out).toMatch(/`TC_ACT_DROP` is not a tc return code/)
  expect(out).toMatch(/did you mean `TC_ACT_SHOT`\?/)
})
