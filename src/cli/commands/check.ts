// `scn check`: parse and check specs, read the goldens beside them, run nothing.
import type { Diagnostic } from '../../base/diagnostic.ts'
import { once } from '../../model/diagnose.ts'
import { renderDiagnostics } from '../../report/diagnostic.ts'
import { jsonDiagnostic } from '../../report/json.ts'
import { parseGolden } from '../../trace/golden.ts'
import { type Console, paintFor } from '../console.ts'
import { exitCode } from '../exit-code.ts'
import { goldenPathOf, readGolden } from '../goldens.ts'
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
  // A file that several import is told of once.
  const report = once((diagnostic) => all.push(diagnostic))
  for (const { path } of files) {
    load(console.cwd, path).diagnostics.forEach(report)
    const golden = readGolden(console.cwd, goldenPathOf(path))
    if (golden !== undefined) parseGolden(golden).diagnostics.forEach(report)
  }
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
