// Bundles the command: dist/scn.cjs (a launcher that answers --version itself), dist/engine.cjs (what every run needs),
// dist/later.cjs (what clusters, manifests, views and the real kernel need besides), and V8's compiled code of both, made
// by running them once on the examples.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { version } from '../src/cli/version.ts'
import { buildParts, commandCut } from './parts.ts'

rmSync('dist', { recursive: true, force: true })
mkdirSync('dist')

await buildParts(
  {
    external: ['koffi'], // native, and optional: scn verify says so when it is missing
    platform: 'node',
    target: 'node20',
    minify: true,
    legalComments: 'none',
    define: { 'import.meta.url': '__moduleUrl' },
    banner: { js: "const __moduleUrl=require('node:url').pathToFileURL(__filename).href;" },
  },
  commandCut(process.cwd(), 'dist'),
)

const loader = readFileSync('scripts/cached-loader.cjs', 'utf8').replaceAll('__VERSION__', version)
writeFileSync('dist/scn.cjs', loader)
chmodSync('dist/scn.cjs', 0o755)
writeFileSync('dist/worker.cjs', "require('./scn.cjs')\n")
writeFileSync('dist/package.json', '{ "type": "commonjs" }\n')

// One run over the examples compiles what a run needs; SCN_MAKE_CACHE tells the loader to keep the result. What the
// examples say is not asked here.
spawnSync(process.execPath, ['dist/scn.cjs', 'run', 'examples', '-q'], {
  env: { ...process.env, SCN_MAKE_CACHE: '1', CI: '1', SCN_RESULTS: undefined },
  stdio: 'ignore',
})
