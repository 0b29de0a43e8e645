// `scn run`: run what is selected, compare goldens, write what may be written, report.

import { casePassed, type RunResult } from '../../report/totals.ts'
import type { CaseVerdict, FileVerdict } from '../../run/verdict.ts'
import { sectionKey } from '../../trace/section.ts'
import { type Console, inCi } from '../console.ts'
import { exitCode, worst } from '../exit-code.ts'
import { changeGolden, changePending, goldenPathOf, readPending } from '../goldens.ts'
import { runPool } from '../pool.ts'
import { type ReporterSpec, reportTo } from '../reporters.ts'
import { type Selection, selectFiles } from '../selection.ts'
import { UsageError } from '../usage.ts'
import type { RanFile } from '../work.ts'

export type GoldenMode = 'check' | 'new' | 'pending' | 'all'

export interface RunArguments {
  readonly paths: readonly string[]
  readonly selection: Omit<Selection, 'paths'>
  readonly golden: GoldenMode
  readonly jobs: number
  readonly seed: number
  readonly shuffle: boolean
  readonly bail: number
  readonly repeat: number
  readonly reporters: readonly ReporterSpec[]
  readonly color: 'auto' | 'always' | 'never'
  readonly verbose: boolean
  readonly quiet: boolean
  /** Milliseconds now; given by the caller so that commands can be tested. */
  readonly clock: () => number
}

/** Runs the command; answers the exit code. */
export async function runCommand(args: RunArguments, console: Console): Promise<number> {
  if (args.golden === 'all' && inCi(console)) {
    throw new UsageError('goldens are never accepted where CI is set; run without -u and review locally')
  }
  const started = args.clock()
  const selected = selectFiles(console.cwd, { ...args.selection, paths: args.paths })
  const ran: RanFile[] = []
  for (let round = 0; round < args.repeat; round += 1) {
    ran.push(...(await runPool(selected, { ...args, cwd: console.cwd }, progress(console, selected.length))))
  }
  const files = ran
    .map(({ verdict }) => verdict)
    .filter((verdict) => verdict.kind !== 'run' || verdict.cases.length > 0)
  // What cannot be written is told at the end: reports are made on every way out.
  const problems: unknown[] = []
  const attempt = (work: () => void): void => {
    try {
      work()
    } catch (problem) {
      problems.push(problem)
    }
  }
  let left: ReadonlySet<string> = new Set()
  attempt(() => {
    left = writeGoldens(ran, args, console)
  })
  const result: RunResult = {
    files,
    missingIsFailure: args.golden !== 'new' && args.golden !== 'all',
    elapsed: args.clock() - started,
  }
  const shown =
    args.golden === 'all'
      ? { ...result, files: files.map((file) => (left.has(file.path) ? file : accepted(file))) }
      : result
  for (const reporter of args.reporters) attempt(() => reportTo(reporter, shown, args, console))
  if (problems.length > 0) throw problems[0]
  if (files.length === 0) console.err('scn: no case is selected; scn list names them all\n')
  return codeOf(shown)
}

/** Progress on a terminal only: count and current file, on one line that is wiped. */
function progress(console: Console, total: number): (done: number, path: string) => void {
  if (!console.interactive || total < 8) return () => {}
  return (done, path) => console.err(done === total ? '\r\u001b[K' : `\r\u001b[K ${done}/${total} ${path}`)
}

/** After `--golden=all` an accepted case has the golden it was given. */
function accepted(file: FileVerdict): FileVerdict {
  if (file.kind !== 'run') return file
  const cases = file.cases.map(
    (each): CaseVerdict => (mayAccept(each) ? { ...each, golden: { kind: 'equal' } } : each),
  )
  return { ...file, cases, obsolete: [] }
}

/** A golden cannot be accepted while an expectation of its case fails. */
export function mayAccept(verdict: CaseVerdict): boolean {
  return verdict.section !== undefined && verdict.failures.length === 0
}

/** Answers the paths of the files whose golden had to be left alone. */
function writeGoldens(ran: readonly RanFile[], args: RunArguments, console: Console): ReadonlySet<string> {
  const ci = inCi(console)
  const left = new Set<string>()
  for (const { verdict, keys } of ran) {
    if (verdict.kind !== 'run') continue
    const taken = verdict.cases.filter((each) => takes(args.golden, each))
    const kept = acceptSections(verdict, taken, { keys, mode: args.golden, cwd: console.cwd })
    if (!kept) left.add(verdict.path)
    if (args.golden === 'pending' || !ci) leavePending(verdict, kept ? taken : [], keys, console.cwd)
  }
  return left
}

type RunVerdict = Extract<FileVerdict, { readonly kind: 'run' }>

/** Whether a run in this mode makes the trace of a case golden. */
function takes(mode: GoldenMode, each: CaseVerdict): boolean {
  if (!mayAccept(each)) return false
  return mode === 'all' || (mode === 'new' && each.golden.kind === 'missing')
}

/** False when the golden could not be read and was left alone. */
function acceptSections(
  verdict: RunVerdict,
  taken: readonly CaseVerdict[],
  { keys, mode, cwd }: { readonly keys: readonly string[]; readonly mode: GoldenMode; readonly cwd: string },
): boolean {
  const replace = taken.flatMap(({ section }) => (section === undefined ? [] : [section]))
  const remove = mode === 'all' ? verdict.obsolete.map((each) => keyOf(each)) : []
  if (replace.length === 0 && remove.length === 0) return true
  return changeGolden(cwd, goldenPathOf(verdict.path), { replace, remove, order: keys })
}

function keyOf(section: { readonly scenario: string; readonly id?: string }): string {
  return sectionKey(
    section.id === undefined
      ? { scenario: section.scenario }
      : { scenario: section.scenario, case: section.id },
  )
}

function leavePending(
  verdict: RunVerdict,
  taken: readonly CaseVerdict[],
  keys: readonly string[],
  cwd: string,
): void {
  const differs = (each: CaseVerdict): boolean =>
    !taken.includes(each) && ['changed', 'unreadable', 'missing'].includes(each.golden.kind)
  const replace = verdict.cases.flatMap((each) => (each.section && differs(each) ? [each.section] : []))
  // A case that was not run keeps what is pending for it; one that the file does not have any more does not.
  const now = new Set(keys)
  const pending = readPending(cwd, verdict.path)?.sections ?? []
  const gone = pending.map(({ key }) => key).filter((key) => !now.has(key))
  const remove = [...verdict.cases.map((each) => keyOf(each)), ...gone]
  if (replace.length + pending.length > 0) changePending(cwd, verdict.path, { replace, remove, order: keys })
}

/** The exit code of a run: 4 over 3 over 1 over 0; 5 when nothing ran at all. */
export function codeOf(result: RunResult): number {
  if (result.files.length === 0) return exitCode.nothing
  return worst(result.files.map((file) => fileCode(file, result)))
}

function fileCode(file: FileVerdict, result: RunResult): number {
  switch (file.kind) {
    case 'rejected':
      return exitCode.rejected
    case 'unavailable':
    case 'broken':
      return exitCode.engine
    case 'run': {
      const good = file.obsolete.length === 0 && file.cases.every((each) => casePassed(each, result))
      return good ? exitCode.passed : exitCode.failed
    }
  }
}
