// The parser: with tree and spans against a plain Peggy parser of the same grammar without actions, and lines a second.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Bench } from 'tinybench'
import type { Source } from '../src/base/text.ts'
import { check } from '../src/model/check.ts'
import type { File } from '../src/syntax/ast.ts'
import { parse } from '../src/syntax/parse.ts'
import { measureWork } from './interleave.ts'
import { estimate, ratio } from './statistics.ts'
import type { Row } from './table.ts'

/** A parser that only says yes or throws. */
export interface PlainParser {
  readonly parse: (text: string) => unknown
}

/** Every spec and example that is right: what people write. */
function corpus(root: string): { readonly source: Source; readonly file: File }[] {
  return ['examples', 'specs'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.scn'))
      .sort()
      .flatMap((path) => {
        const source = { name: path, text: readFileSync(join(root, folder, path), 'utf8') }
        const parsed = parse(source)
        return parsed.ok ? [{ source, file: parsed.value }] : []
      }),
  )
}

/** Parse against plain Peggy; lines parsed and checked in a second of CPU time. */
export async function parseRows(root: string, plain: PlainParser): Promise<Row[]> {
  const files = corpus(root)
  const texts = files.map(({ source }) => source.text)
  const lines = texts.reduce((sum, text) => sum + text.split('\n').length - 1, 0)
  const repeat = Math.max(1, Math.ceil(3000 / lines))
  const often = (work: () => void): void => {
    for (let round = 0; round < repeat; round += 1) work()
  }
  const parseAll = (): void => {
    for (const { source } of files) parse(source)
  }
  const times = measureWork(
    [
      { name: 'plain', run: () => often(() => texts.forEach((text) => void plain.parse(text))) },
      { name: 'parse', run: () => often(parseAll) },
    ],
    { rounds: 40, warm: 15 },
  )
  const parsing = times.get('parse')!
  const perSecond = parsing.map((microseconds) => (lines * repeat * 1e6) / microseconds)
  return [
    {
      measure: 'parse: tree and spans, against plain Peggy',
      estimate: ratio(parsing, times.get('plain')!),
      unit: 'x',
      target: 1.5,
    },
    { measure: 'parse', estimate: estimate(perSecond), unit: 'lines/s' },
    { measure: 'check, parsed', estimate: await checkSpeed(files, lines), unit: 'lines/s' },
  ]
}

async function checkSpeed(
  files: readonly { readonly source: Source; readonly file: File }[],
  lines: number,
): Promise<Row['estimate']> {
  const bench = new Bench({ time: 1200, warmupTime: 800, retainSamples: true })
  // Parsed anew: checks remember what they have learned of a tree.
  let trees: File[] = []
  bench.add(
    'check',
    () => {
      for (const file of trees) check({ main: file, imports: new Map() })
    },
    {
      beforeEach: () => {
        trees = files.flatMap(({ source }) => {
          const parsed = parse(source)
          return parsed.ok ? [parsed.value] : []
        })
      },
    },
  )
  await bench.run()
  const { result } = bench.tasks[0]!
  if (result.state !== 'completed' || result.latency.samples === undefined)
    throw new Error(`the check was not measured: ${result.state}`)
  return estimate(result.latency.samples.slice(0, 500).map((milliseconds) => (lines * 1000) / milliseconds))
}
