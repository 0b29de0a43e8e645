// `scn fmt`: every spec in its canonical form. A file that does not parse is not touched.
import { renderDiagnostics } from '../../report/diagnostic.ts'
import { print } from '../../syntax/print.ts'
import type { Console } from '../console.ts'
import { exitCode } from '../exit-code.ts'
import { readText, writeWhole } from '../files.ts'
import { selectFiles } from '../selection.ts'

/** Exit code 3 when a file does not parse, 1 when `--check` found something to change. */
export function fmtCommand(
  args: { readonly paths: readonly string[]; readonly check: boolean },
  console: Console,
): number {
  let answer: number = exitCode.passed
  const files = selectFiles(console.cwd, {
    paths: args.paths,
    keyword: undefined,
    tags: undefined,
    shard: undefined,
  })
  for (const { path } of files) {
    const source = readText(console.cwd, path)
    if ('problem' in source) {
      console.err(`${path}: ${source.problem}\n`)
      answer = exitCode.usage
      continue
    }
    const printed = print(source)
    if (!printed.ok) {
      console.err(`${renderDiagnostics(printed.diagnostics)}\n`)
      answer = Math.max(answer, exitCode.rejected)
    } else if (printed.value !== source.text) {
      console.out(`${args.check ? 'would change' : 'changed'} ${path}\n`)
      if (args.check) answer = Math.max(answer, exitCode.failed)
      else writeWhole(console.cwd, path, printed.value)
    }
  }
  return files.length === 0 ? exitCode.nothing : answer
}
