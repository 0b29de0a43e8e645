// The built command in two parts: a small program of the same shape, cut and loaded as the command is.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { buildParts, commandCut } from '../scripts/parts.ts'

const root = mkdtempSync(join(tmpdir(), 'scn-parts-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const files: Readonly<Record<string, string>> = {
  'src/cli/program.ts': `
import { count } from '../net/shared.ts'
import { far, word } from '../cilium/near.ts'
export async function main(argv: readonly string[]): Promise<void> {
  console.log(argv[2] === 'far' ? [far(), word, count()].join(' ') : 'near ' + count())
}`,
  'src/cli/worker.ts': 'export {}',
  'src/net/shared.ts': 'let calls = 0\nexport const count = (): number => (calls += 1)',
  'src/cilium/near.ts':
    "import { count } from '../net/shared.ts'\nimport { only } from '../yaml/only.ts'\nexport const word = 'word'\nexport const far = (): string => only + count()",
  'src/yaml/only.ts': "export const only = 'only the part leads here: '",
}
for (const [name, text] of Object.entries(files)) {
  mkdirSync(dirname(join(root, name)), { recursive: true })
  writeFileSync(join(root, name), text)
}
await buildParts(
  { platform: 'node' },
  {
    root,
    outdir: join(root, 'dist'),
    engine: { name: 'engine', entries: ['src/cli/program.ts', 'src/cli/worker.ts'] },
    part: { name: 'later', files: /^src\/cilium\// },
  },
)
const scn = join(root, 'dist/scn.cjs')
copyFileSync(join(import.meta.dirname, '../scripts/cached-loader.cjs'), scn)

function run(word: string, env: NodeJS.ProcessEnv = {}): string {
  const { stdout, stderr } = spawnSync(process.execPath, [scn, word], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
  return stdout + stderr
}

test('what only the part leads to is in the part, what both use in the engine alone', () => {
  const [engine, part] = ['engine', 'later'].map((name) =>
    readFileSync(join(root, `dist/${name}.cjs`), 'utf8'),
  )
  expect(engine).not.toContain('only the part')
  expect(part).toContain('only the part')
  expect(engine).toContain('calls += 1')
  expect(part).not.toContain('calls += 1')
})

test('both share one state, with a cache as without', () => {
  const both = 'only the part leads here: 1 word 2\n'
  expect(run('far')).toBe(both)
  expect(run('far', { SCN_MAKE_CACHE: '1' })).toBe(both)
  expect(existsSync(join(root, 'dist/later.cache'))).toBe(true)
  expect(run('far')).toBe(both)
})

test('a run that uses nothing of the part does not load it', () => {
  rmSync(join(root, 'dist/later.cjs'))
  expect(run('near')).toBe('near 1\n')
  expect(run('far')).toContain('later.cjs')
})

test('the command runs a file without a cluster from its engine alone', async () => {
  const repository = join(import.meta.dirname, '..')
  const outdir = join(root, 'command')
  const define = { 'import.meta.url': '"file:///"' }
  await buildParts(
    { platform: 'node', external: ['koffi'], define, logLevel: 'error' },
    commandCut(repository, outdir),
  )
  copyFileSync(join(repository, 'scripts/cached-loader.cjs'), join(outdir, 'scn.cjs'))
  rmSync(join(outdir, 'later.cjs'))
  const examples = readdirSync(join(repository, 'examples')).filter((name) => name.endsWith('.scn'))
  const withCluster = examples.filter((name) => name.includes('cluster'))
  const without = examples.filter((name) => !name.includes('cluster'))
  const runAll = (names: readonly string[]): { readonly status: number | null; readonly stderr: string } =>
    spawnSync(process.execPath, [join(outdir, 'scn.cjs'), 'run', ...names], {
      cwd: join(repository, 'examples'),
      encoding: 'utf8',
    })
  expect(without.length).toBeGreaterThan(5)
  expect(runAll(without)).toMatchObject({ status: 0, stderr: '' })
  expect(runAll(withCluster).stderr).toContain('later.cjs')
}, 60_000)
