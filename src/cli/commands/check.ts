// `scn check`: parse and check, run nothing.
import type { Diagnostic } from '../../base/diagnostic.ts'
import { renderDiagnostics } from '../../report/diagnostic.ts'
import { jsonDiagnostic } from '../../report/json.ts'
import { type Console, paintFor } from '../console.ts'
import { exitCode } from '../exit-code.ts'
import { load } from '../load.ts'
import { selectFiles } from '../selection.ts'

/** Warnings do not fail; an error anywhere gives exit code 3. */
export function checkCommand(
  args: { readonly paths: readonly string[]; readonly json: boolean },
  console: Console,
): number {
  const files = selectFiles(console.cwd, {
    paths: args.paths,
    keyword: undefined,
    tags: undefined,
    shard: undefined,
  })
  const all: Diagnostic[] = []
  for (const { path } of files) all.push(...load(console.cwd, path).diagnostics)
  const errors = all.filter(({ severity }) => severity === 'error').length
  if (args.json) console.out(`${JSON.stringify(all.map(jsonDiagnostic), undefined, 2)}\n`)
  else {
    if (all.length > 0) console.out(`${renderDiagnostics(all, paintFor(console, 'auto'))}\n\n`)
    console.out(
      `${files.length} file${files.length === 1 ? '' : 's'}, ${errors} error${errors === 1 ? '' : 's'}, ${all.length - errors} warning${all.length - errors === 1 ? '' : 's'}\n`,
    )
  }
  if (files.length === 0) return exitCode.nothing
  return errors > 0 ? exitCode.rejected : exitCode.passed
}
