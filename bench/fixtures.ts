// Specs that the benchmark measures with, written into a temporary folder: one small file, and a table of a thousand
// cases of the same kind, both with accepted goldens; and a suite of many files.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { example3 } from '../src/model/example-3.test-helper.ts'

/** The built command. */
export const scn = join(process.cwd(), 'dist', 'scn.cjs')

/** The topology and the programs of the language's third example. */
const world = example3.slice(0, example3.indexOf('scenario codes'))

/** Kinds of cases: everything but id and source port. */
const kinds = [
  'friend   | tcp | 80   | 64  | XDP_PASS    | TC_ACT_REDIRECT | delivered | app            ',
  'friend   | tcp | 81   | 64  | XDP_PASS    | TC_ACT_REDIRECT | dropped   | app/eth0/rx    ',
  'friend   | tcp | 8080 | 64  | XDP_PASS    | TC_ACT_OK       | delivered | app            ',
  'friend   | tcp | 22   | 64  | XDP_PASS    | TC_ACT_SHOT     | dropped   | host/eth0/tc-in',
  'friend   | udp | 53   | 64  | XDP_PASS    | TC_ACT_STOLEN   | consumed  | host/eth0/tc-in',
  'friend   | udp | 7    | 64  | XDP_TX      | -               | delivered | friend         ',
  'attacker | tcp | 80   | 64  | XDP_DROP    | -               | dropped   | host/eth0/xdp  ',
  'friend   | tcp | 80   | 0   | XDP_ABORTED | -               | dropped   | host/eth0/xdp  ',
]

/** A spec with so many cases: eight kinds, each again and again with another source port, after packets of `before`. */
export function codesSpec(cases: number, before: readonly string[] = []): string {
  const rows = Array.from(
    { length: cases },
    (_, index) => `    | c${index} | ${4000 + index} | ${kinds[index % kinds.length]!} |`,
  )
  return `${world}scenario codes "port decides the code" {
  cases {
    | id | sport | src | l4 | dport | ttl | xdp | tc | end | where |
${rows.join('\n')}
  }

${before.map((line) => `  ${line}\n`).join('')}  p1: packet $l4 $src:$sport > 10.2.0.2:$dport ttl $ttl on host/eth0

  expect p1 {
    verdict host/eth0/xdp   == $xdp
    verdict host/eth0/tc-in == $tc
    outcome $end $where
  }
}
`
}

/** A folder with `NAME.scn` and its golden for each number of cases, and the same with a golden that is all wrong. */
export interface Fixtures {
  readonly folder: string
  readonly remove: () => void
}

/** Every line of a golden that may differ gets another word at its end. */
export function spoilt(golden: string): string {
  return golden
    .split('\n')
    .map((line) => (/^(scn-trace|scenario|level|like|state|@|$)/.test(line) ? line : `${line}x`))
    .join('\n')
}

function run(folder: string, ...args: readonly string[]): void {
  const env = { ...process.env }
  delete env['CI']
  const { status, stdout, stderr } = spawnSync(process.execPath, [scn, 'run', ...args], {
    cwd: folder,
    env,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`scn run ${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`)
}

/** Writes `one.scn`, `thousand.scn` and `failing.scn` with their goldens. */
export function makeFixtures(): Fixtures {
  const folder = mkdtempSync(join(tmpdir(), 'scn-bench-'))
  writeFileSync(join(folder, 'one.scn'), codesSpec(1))
  writeFileSync(join(folder, 'thousand.scn'), codesSpec(1000))
  run(folder, '--golden=new', 'one.scn', 'thousand.scn')
  writeFileSync(join(folder, 'failing.scn'), codesSpec(1000))
  writeFileSync(join(folder, 'failing.trace'), spoilt(readFileSync(join(folder, 'thousand.trace'), 'utf8')))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** Two folders of as many files: specs with accepted goldens, whose cases send three packets, and tests that do nothing. */
export interface Suite {
  readonly specs: string
  readonly tests: string
  readonly remove: () => void
}

/** Writes `files` specs of `cases` cases and `files` test files of `cases` empty tests (global `test`). */
export function makeSuite(files: number, cases: number): Suite {
  const folder = mkdtempSync(join(tmpdir(), 'scn-bench-'))
  const [specs, tests] = [join(folder, 'specs'), join(folder, 'tests')]
  mkdirSync(specs)
  mkdirSync(tests)
  const echo = 'p2: packet udp friend:9 > 10.2.0.2:7 on host/eth0'
  const stolen = 'p3: packet udp friend:10 > 10.2.0.2:53 on host/eth0'
  const empty = Array.from({ length: cases }, (_, index) => `test('case ${index}', () => {})\n`).join('')
  for (let file = 0; file < files; file += 1) {
    writeFileSync(join(specs, `codes-${file}.scn`), codesSpec(cases, [echo, stolen]))
    writeFileSync(join(tests, `empty-${file}.test.js`), empty)
  }
  run(specs, '--golden=new', '.')
  return { specs, tests, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
