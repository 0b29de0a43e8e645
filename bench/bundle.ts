// Measures what people run: the in-process parts are bundled as the command is. tsx, which runs this benchmark, keeps the
// names of functions, and that costs a call for each function that a parser makes.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { plainGrammar } from '../scripts/build-grammar.ts'
import type { PlainParser } from './parse.ts'

/** Where the bundles lie: below node_modules, so that packages are found and git does not see them. */
const folder = join(import.meta.dirname, '..', 'node_modules', '.cache', 'scn-bench')

/** Bundles a file of this folder under a name and loads it; `Exports` is its type. */
export async function bundled<Exports>(
  file: string,
  { name = file, plugins = [] }: { readonly name?: string; readonly plugins?: readonly Plugin[] } = {},
): Promise<Exports> {
  const outfile = join(folder, `${name}.mjs`)
  await build({
    entryPoints: [join(import.meta.dirname, file)],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    minify: true,
    plugins: [...plugins],
    outfile,
    logLevel: 'error',
  })
  return (await import(pathToFileURL(outfile).href)) as Exports
}

/** The plain Peggy parser of the same grammar: no actions, no tree. */
export async function plainParser(): Promise<PlainParser> {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'plain.mjs')
  writeFileSync(file, plainGrammar())
  return (await import(pathToFileURL(file).href)) as PlainParser
}
