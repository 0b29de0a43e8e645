// The same files give the same bytes: run after run, on one thread or two, in any order, with any seed of the order.
// Choices that a scenario leaves open follow the seed; nothing else does.
import { createHash } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { workplace } from './support/command.ts'

const place = workplace()
afterAll(place.remove)
for (const folder of ['examples', 'specs']) cpSync(folder, `${place.folder}/${folder}`, { recursive: true })
rmSync(`${place.folder}/specs/syntax`, { recursive: true, force: true })
for (const path of traces()) rmSync(`${place.folder}/${path}`)

/** Everything that a run wrote. */
function traces(): string[] {
  return readdirSync(place.folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.trace(\.new)?$/.test(path))
    .sort()
}

/** Runs the whole suite and takes what it wrote away again. */
async function suite(...words: string[]): Promise<Map<string, string>> {
  const { code } = await place.scn(['run', '--golden=pending', '--reporter', 'json=report.json', ...words])
  expect([0, 1]).toContain(code)
  const written = new Map<string, string>()
  for (const path of [...traces(), 'report.json']) {
    written.set(path, readFileSync(`${place.folder}/${path}`, 'utf8'))
    rmSync(`${place.folder}/${path}`)
  }
  return written
}

const first = await suite()

describe('the whole suite gives the same bytes', () => {
  test('there is something to compare', () => {
    expect(first.size).toBeGreaterThan(6)
  })

  test.each([
    ['again'],
    ['shuffled', '--shuffle', '--seed', '0'],
    ['on two threads', '-j', '2'],
    ['on two threads, shuffled', '-j', '2', '--shuffle', '--seed', '0'],
  ])('%s', { timeout: 180_000 }, async (_, ...words) => {
    expect(await suite(...words)).toEqual(first)
  })
})

describe('whatever ran before in the same process', () => {
  const specs = [...first.keys()].flatMap((path) => {
    const spec = path.replace(/\.trace\.new$/, '.scn')
    return spec === path ? [] : [spec]
  })

  /** The full traces of all files as JSON, made in an order that depends on a seed. */
  async function tracesInOrder(seed: number): Promise<Map<string, string>> {
    const order = specs.toSorted((a, b) => mixed(a, seed) - mixed(b, seed))
    const texts = new Map<string, string>()
    for (const spec of order) {
      const { code, out } = await place.scn(['trace', spec, '--as', 'json', '--level', 'full'])
      expect(code, spec).toBe(0)
      texts.set(spec, createHash('sha256').update(out).digest('hex'))
    }
    return new Map([...texts].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  const mixed = (text: string, seed: number): number =>
    createHash('sha256').update(`${seed} ${text}`).digest().readUInt32LE(0)

  test('the full traces are the same', { timeout: 300_000 }, async () => {
    const once = await tracesInOrder(1)
    expect(once.size).toBe(specs.length)
    expect(await tracesInOrder(2)).toEqual(once)
  })
})
