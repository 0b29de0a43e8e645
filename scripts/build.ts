// Bundles the command: dist/scn.cjs (a launcher that answers --version itself), dist/engine.cjs (everything), and
// dist/engine.cache (V8's compiled code of the engine, made by running it once on the examples).
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { build, type Plugin } from 'esbuild'
import { version } from '../src/cli/version.ts'

rmSync('dist', { recursive: true, force: true })
mkdirSync('dist')

const common = {
  bundle: true,
  format: 'cjs',
  external: ['koffi'] as string[], // native, and optional: scn verify says so when it is missing
  platform: 'node',
  target: 'node20',
  minify: true,
  legalComments: 'none',
  define: { 'import.meta.url': '__moduleUrl' },
  banner: { js: "const __moduleUrl=require('node:url').pathToFileURL(__filename).href;" },
} as const

/** Inside the engine a dynamic import stays lazy, but everything is one file. */
const plugins: Plugin[] = []

await build({ ...common, plugins, entryPoints: ['src/cli/program.ts'], outfile: 'dist/engine.cjs' })
await build({ ...common, plugins, entryPoints: ['src/cli/worker.ts'], outfile: 'dist/worker.cjs' })

const launcher = readFileSync('scripts/cached-loader.cjs', 'utf8').replaceAll('__VERSION__', version)
writeFileSync('dist/scn.cjs', launcher)
chmodSync('dist/scn.cjs', 0o755)
writeFileSync('dist/package.json', '{ "type": "commonjs" }\n')

// One run over the examples compiles what a run needs; SCN_MAKE_CACHE tells the launcher to keep the result. What the
// examples say is not asked here.
spawnSync(process.execPath, ['dist/scn.cjs', 'run', 'examples', '-q'], {
  env: { ...process.env, SCN_MAKE_CACHE: '1', CI: '1', SCN_RESULTS: undefined },
  stdio: 'ignore',
})
