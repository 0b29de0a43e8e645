// Cuts a bundled program in two: an engine, which every run loads, and a part that is loaded when something of it is used
// first. The source does not know: where one imports the other the bundle asks for `scn:FILE`, and the loader
// (scripts/cached-loader.cjs) answers.
import { join, relative } from 'node:path'
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild'

type Graph = Metafile['inputs']

function importsOf(graph: Graph, file: string): readonly string[] {
  return (graph[file]?.imports ?? []).map(({ path }) => path).filter((path) => path in graph)
}

/** What the entries lead to without entering the files that `part` names. */
function reached(graph: Graph, entries: readonly string[], part: RegExp): ReadonlySet<string> {
  const found = new Set(entries)
  for (const file of found) {
    for (const next of importsOf(graph, file)) if (!part.test(next)) found.add(next)
  }
  return found
}

/** The files outside of a set that the set imports. */
function asked(graph: Graph, by: ReadonlySet<string>): readonly string[] {
  const targets = new Set([...by].flatMap((file) => importsOf(graph, file)))
  return [...targets].filter((file) => !by.has(file))
}

/** Imports of files that are `elsewhere` become `scn:FILE`. */
function bridge(root: string, elsewhere: ReadonlySet<string>): Plugin {
  return {
    name: 'bridge',
    setup(setup) {
      setup.onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir }) => {
        const file = relative(root, join(resolveDir, path)).replaceAll('\\', '/')
        return elsewhere.has(file) ? { path: `scn:${file}`, external: true, sideEffects: false } : undefined
      })
    },
  }
}

/** A module whose `files` are evaluated when they are asked for by their paths. */
function index(files: Iterable<string>): string {
  const entries = [...files].map((file) => `'${file}': () => require('./${file}')`)
  return `exports.files = {\n${entries.join(',\n')}\n}\n`
}

/** What is cut where; paths are relative to `root`. */
export interface Cut {
  readonly root: string
  readonly outdir: string
  /** The engine's bundle and the files that it gives to whoever loads it. */
  readonly engine: { readonly name: string; readonly entries: readonly string[] }
  /** The part's bundle and its files; what only they lead to goes with them. */
  readonly part: { readonly name: string; readonly files: RegExp }
}

/** Bundles both, as CommonJS whose `files` are functions by path. */
export async function buildParts(options: BuildOptions, { root, outdir, engine, part }: Cut): Promise<void> {
  const common: BuildOptions = { ...options, absWorkingDir: root, bundle: true, format: 'cjs' }
  const entryPoints = [...engine.entries]
  const whole = await build({ ...common, entryPoints, outdir, write: false, metafile: true })
  const graph = whole.metafile?.inputs ?? {}
  const always = reached(graph, engine.entries, part.files)
  const later = new Set(Object.keys(graph).filter((file) => !always.has(file)))
  const bundle = (name: string, files: readonly string[], elsewhere: ReadonlySet<string>): Promise<unknown> =>
    build({
      ...common,
      stdin: { contents: index(files), resolveDir: root },
      outfile: join(outdir, `${name}.cjs`),
      plugins: [bridge(root, elsewhere)],
    })
  await bundle(engine.name, [...engine.entries, ...asked(graph, later)], later)
  await bundle(part.name, asked(graph, always), always)
}

/** The command: what a run without a cluster needs, and the rest. What the rest alone leads to (YAML, `scn show`) goes with it. */
export function commandCut(root: string, outdir: string): Cut {
  return {
    root,
    outdir,
    engine: { name: 'engine', entries: ['src/cli/program.ts', 'src/cli/worker.ts'] },
    part: { name: 'later', files: /^src\/(cilium|cluster|oracle|boot\/cilium|run\/(answer|monitor)\.ts)/ },
  }
}
