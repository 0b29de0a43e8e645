// What we want to keep true about the code, run with the tests. Lists of exceptions may only shrink.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const tracked = execFileSync('git', ['ls-files'], { encoding: 'utf8' })
  .split('\n')
  .filter((path) => path !== '')

const sources = tracked.filter((path) => /^src\/.*\.ts$/.test(path) && !/\.test\.ts$/.test(path))

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // deleted in the work tree, not yet in the index
  }
}

const offenders = (paths: readonly string[], pattern: RegExp): string[] =>
  paths.filter((path) => pattern.test(textOf(path)))

test('time and chance are inputs', () => {
  const engine = sources.filter((path) => !path.startsWith('src/cli/'))
  expect(offenders(engine, /\bDate\b|Math\.random|setTimeout|setInterval|\bperformance\./)).toEqual([])
})

test('nothing is left for later in the source', () => {
  expect(offenders(sources, /\b(TODO|FIXME|XXX|HACK)\b/)).toEqual([])
})

test('no test is skipped or focused by hand', () => {
  expect(
    offenders(
      tracked.filter((path) => path.endsWith('.test.ts') && path !== 'test/tidy.test.ts'),
      /\b(it|test|describe)\.(only|todo)\b/,
    ),
  ).toEqual([])
})

test('no machine path in a tracked file', () => {
  const texts = tracked.filter((path) => !path.endsWith('package-lock.json') && path !== 'test/tidy.test.ts')
  expect(offenders(texts, /(^|[\s'"`(])\/(work|root|home)\//m)).toEqual([])
})

test('no folder has an index or a drawer for everything', () => {
  expect(sources.filter((path) => /\/(index|utils?|helpers?|common|misc)\.ts$/.test(path))).toEqual([])
})

test('every file of the source says why it exists', () => {
  const silent = sources
    .filter((path) => !path.endsWith('.gen.ts'))
    .filter((path) => !/^(\/\/|\/\*\*|#!)/.test(textOf(path)))
  expect(silent).toEqual([])
})

test('no file is longer than 350 lines', () => {
  expect(sources.filter((path) => textOf(path).split('\n').length > 350)).toEqual([])
})
