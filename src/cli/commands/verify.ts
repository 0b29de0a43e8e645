// `scn verify [paths]`: the same cases on the real Linux kernel. Prints where model and kernel part, writes nothing.
import type { Difference } from '../../oracle/compare.ts'
import type { Verified } from '../../oracle/verify.ts'
import type { Console } from '../console.ts'
import { exitCode, worst } from '../exit-code.ts'
import { type Selection, selectFiles } from '../selection.ts'
import type { Row, VerifiedFile } from '../verify-file.ts'
import { type Kernel, verifyInProcesses } from '../verify-processes.ts'

export interface VerifyArguments {
  readonly selection: Selection
  readonly slow: boolean
  readonly json: boolean
  readonly verbose: boolean
  readonly seed: number
  /** Processes that verify at a time. */
  readonly jobs: number
}

/** 0 when nothing differs, 1 when something does, 3 for a file that does not check, 4 when there is no kernel to ask. */
export async function verifyCommand(args: VerifyArguments, console: Console): Promise<number> {
  const files = selectFiles(console.cwd, args.selection)
  if (files.length === 0) return exitCode.nothing
  const all: (VerifiedFile | undefined)[] = files.map(() => undefined)
  let shown = 0
  const kernel = await verifyInProcesses(files, {
    ...args,
    cwd: console.cwd,
    done: (index, verified) => {
      all[index] = verified
      if (args.json) return
      // in the order of the files, whichever was done first
      for (let next = all[shown]; next !== undefined; next = all[shown]) {
        printFile(files[shown]?.path ?? '', next, args, console)
        shown += 1
      }
    },
    interrupted: () => {
      const done = all.filter((each) => each !== undefined)
      console.err(
        `\nscn: interrupted after ${done.length} of ${files.length} files; nothing is left behind\n`,
      )
      if (!args.json) console.out(`${summary(done)}\n`)
    },
  })
  if (typeof kernel === 'string') {
    console.err(`scn: the real kernel cannot be asked: ${kernel}\n`)
    return exitCode.engine
  }
  const done = all.filter((each) => each !== undefined)
  if (args.json) console.out(`${JSON.stringify(jsonOf(done, kernel), undefined, 2)}\n`)
  else printEnd(done, kernel, console)
  return codeOf(done)
}

function codeOf(files: readonly VerifiedFile[]): number {
  const codes = files.flatMap((file) => {
    if (file.kind === 'rejected') return file.meant ? [] : [exitCode.rejected]
    return file.rows.map(({ result }) => (result.kind === 'differs' ? exitCode.failed : exitCode.passed))
  })
  return codes.length === 0 ? exitCode.nothing : worst(codes)
}

function rowsOf(files: readonly VerifiedFile[]): readonly Row[] {
  return files.flatMap((file) => (file.kind === 'verified' ? file.rows : []))
}

/** How many files were rejected: as they should be, and not. */
function rejected(files: readonly VerifiedFile[]): { readonly meant: number; readonly wrong: number } {
  const both = files.filter((file) => file.kind === 'rejected')
  const meant = both.filter((file) => file.meant).length
  return { meant, wrong: both.length - meant }
}

function counts(rows: readonly Row[]): Readonly<Record<Verified['kind'], number>> {
  const of = (kind: Verified['kind']): number => rows.filter(({ result }) => result.kind === kind).length
  return { agrees: of('agrees'), skipped: of('skipped'), differs: of('differs') }
}

/** Reasons for skipping, with how often each was one; the most frequent first. */
function reasons(rows: readonly Row[]): [string, number][] {
  const found = new Map<string, number>()
  for (const { result } of rows)
    if (result.kind === 'skipped') found.set(result.reason, (found.get(result.reason) ?? 0) + 1)
  return [...found].sort((a, b) => b[1] - a[1])
}

/** All that was found, in one line: cases verified, skipped with every reason and how often, differing; files rejected. */
function summary(files: readonly VerifiedFile[]): string {
  const rows = rowsOf(files)
  const { agrees, skipped, differs } = counts(rows)
  const why = reasons(rows).map(([reason, count]) => `${count} ${reason}`)
  const { meant, wrong } = rejected(files)
  return [
    `${agrees} verified`,
    `${skipped} skipped${why.length === 0 ? '' : ` (${why.join('; ')})`}`,
    `${differs} differing`,
    ...(meant === 0 ? [] : [`${filesText(meant)} rejected as meant`]),
    ...(wrong === 0 ? [] : [`${filesText(wrong)} rejected`]),
  ].join(', ')
}

function filesText(count: number): string {
  return `${count} file${count === 1 ? '' : 's'}`
}

function printFile(path: string, file: VerifiedFile, args: VerifyArguments, console: Console): void {
  if (file.kind === 'rejected') {
    if (!file.meant) console.err(`${file.diagnostics}\n`)
    else if (args.verbose) console.out(`${path}: rejected as meant\n`)
    return
  }
  const { rows } = file
  if (rows.length === 0) return
  console.out(`${path}: ${summary([file])}\n`)
  for (const { selector, result, milliseconds } of rows) {
    if (args.verbose) console.out(`  ${selector}  ${wordsOf(result)}  ${milliseconds.toFixed(0)} ms\n`)
    if (result.kind !== 'differs') continue
    if (!args.verbose) console.out(`  ${selector}\n`)
    for (const difference of args.verbose ? result.differences : result.differences.slice(0, 8))
      console.out(textOf(difference))
    const rest = args.verbose ? 0 : result.differences.length - 8
    if (rest > 0) console.out(`    and ${rest} more (-v shows all)\n`)
  }
}

function wordsOf(result: Verified): string {
  switch (result.kind) {
    case 'agrees':
      return `agrees, ${result.frames} frames`
    case 'skipped':
      return `skipped: ${result.reason}`
    case 'differs':
      return 'differs'
  }
}

function textOf({ subject, model, kernel }: Difference): string {
  return `    ${subject}\n      model:  ${model}\n      kernel: ${kernel}\n`
}

function printEnd(files: readonly VerifiedFile[], { release, missing }: Kernel, console: Console): void {
  const without = missing.length === 0 ? '' : `, which has no ${missing.join(', ')} devices`
  console.out(`\nkernel ${release}${without}\n${summary(files)}\n`)
}

function jsonOf(files: readonly VerifiedFile[], kernel: Kernel): unknown {
  const rows = rowsOf(files)
  const { agrees, skipped, differs } = counts(rows)
  return {
    format: 'scn-verify',
    version: 1,
    kernel,
    summary: summary(files),
    verified: agrees,
    skipped,
    differing: differs,
    rejected: rejected(files),
    reasons: Object.fromEntries(reasons(rows)),
    cases: rows.map(({ selector, result, milliseconds }) => ({
      selector,
      milliseconds: Math.round(milliseconds),
      ...result,
    })),
  }
}
