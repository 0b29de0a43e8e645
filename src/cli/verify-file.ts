// One file on both sides, from its path to what became of its cases: what a process of `scn verify` does. Everything that
// enters and leaves can be sent between processes.
import type { Diagnostic } from '../base/diagnostic.ts'
import { type Oracle, type Verified, verifyCase } from '../oracle/verify.ts'
import { renderDiagnostics } from '../report/diagnostic.ts'
import { readText } from './files.ts'
import { load } from './load.ts'
import { filterOf, type SelectedFile } from './selection.ts'
import { selectable, selectorText } from './selector.ts'

/** What all files of a run have in common. */
export interface VerifyFileOptions {
  readonly cwd: string
  readonly seed: number
  readonly slow: boolean
}

/** A case with what became of it. */
export interface Row {
  readonly selector: string
  readonly result: Verified
  readonly milliseconds: number
}

export type VerifiedFile =
  | { readonly kind: 'verified'; readonly rows: readonly Row[] }
  /** It does not check. `meant`: a `.diagnostics` file beside it says so. */
  | { readonly kind: 'rejected'; readonly diagnostics: string; readonly meant: boolean }

/** Verifies the cases of a file that are selected; `clock` counts milliseconds from any start. */
export function verifyFile(
  oracle: Oracle,
  file: SelectedFile,
  { cwd, seed, slow }: VerifyFileOptions,
  clock: () => number,
): VerifiedFile {
  const { path } = file
  const loaded = load(cwd, path)
  if (!loaded.ok) {
    const { diagnostics } = loaded
    return {
      kind: 'rejected',
      diagnostics: renderDiagnostics(diagnostics),
      meant: isMeant(cwd, path, diagnostics),
    }
  }
  const [missing] = loaded.value.unavailable
  const wants = filterOf(file)
  const rows: Row[] = []
  for (const scenario of loaded.value.scenarios) {
    for (const each of scenario.cases) {
      if (!wants(selectable(path, scenario, each))) continue
      const began = clock()
      const result: Verified =
        missing === undefined
          ? verifyCase(oracle, each, { seed, slow })
          : { kind: 'skipped', reason: missing.message }
      rows.push({
        selector: selectorText(path, scenario.name, each.id),
        result,
        milliseconds: clock() - began,
      })
    }
  }
  return { kind: 'verified', rows }
}

/** Whether `NAME.diagnostics` beside `NAME.scn` tells of the same errors: such a file is there to be rejected. */
function isMeant(cwd: string, path: string, diagnostics: readonly Diagnostic[]): boolean {
  const beside = readText(cwd, path.replace(/\.scn$/, '.diagnostics'))
  if ('problem' in beside) return false
  const told = [...beside.text.matchAll(/^error\[(\w+)\]/gm)].map(([, code]) => code)
  const found = diagnostics.filter(({ severity }) => severity === 'error').map(({ code }) => code)
  return told.length > 0 && told.toSorted().join() === found.toSorted().join()
}
