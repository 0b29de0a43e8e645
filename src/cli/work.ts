// One file, from its path to its verdict: what a worker does. Everything that enters and leaves can be copied between
// threads.
import { goldenKeys, runFile } from '../run/run.ts'
import type { FileVerdict } from '../run/verdict.ts'
import { goldenPathOf, readGolden } from './goldens.ts'
import { load } from './load.ts'
import { filterOf, isComplete, type SelectedFile } from './selection.ts'
import { selectable } from './selector.ts'

export interface RanFile {
  readonly verdict: FileVerdict
  /** Keys of all golden sections that the file should have, in order; empty when it was rejected. */
  readonly keys: readonly string[]
}

/** How many of a file's cases failed, for `--bail`. */
export function failedCases({ verdict }: RanFile): number {
  if (verdict.kind !== 'run') return 1
  return verdict.cases.filter((each) => each.failures.length > 0 || each.golden.kind === 'changed').length
}

/** Reads, checks and runs the cases of a file that are selected. */
export function runOne(
  file: SelectedFile,
  options: { readonly cwd: string; readonly seed: number },
): RanFile {
  const loaded = load(options.cwd, file.path)
  if (!loaded.ok) {
    return { verdict: { kind: 'rejected', path: file.path, diagnostics: loaded.diagnostics }, keys: [] }
  }
  const model = loaded.value
  const filter = filterOf(file)
  const verdict = runFile(model, readGolden(options.cwd, goldenPathOf(file.path)), {
    seed: options.seed,
    complete: isComplete(file),
    wants: (scenario, each) => filter(selectable(file.path, scenario, each)),
  })
  return { verdict, keys: [...goldenKeys(model)] }
}
