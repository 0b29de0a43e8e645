// The numbers of a run, counted once for every report.
import { type CaseVerdict, type FileVerdict, passed } from '../run/verdict.ts'

/** A finished run of several files. */
export interface RunResult {
  readonly files: readonly FileVerdict[]
  /** Missing goldens fail, unless they were just written (`--golden=new`). */
  readonly missingIsFailure: boolean
  /** Milliseconds of wall time; not part of any golden. */
  readonly elapsed: number
}

export interface Totals {
  readonly passed: number
  readonly failed: number
  /** Cases whose golden differs (a part of `failed`). */
  readonly changed: number
  /** Golden sections without a case (each counts as a failure of its file). */
  readonly obsolete: number
  /** Cases without a golden section. */
  readonly missing: number
  readonly files: number
  /** Files that do not parse or check. */
  readonly rejected: number
  /** Files that need an engine that does not exist, or broke ours. */
  readonly unavailable: number
}

/** Whether a case passed under the rule of this run. */
export function casePassed(verdict: CaseVerdict, result: Pick<RunResult, 'missingIsFailure'>): boolean {
  return passed(verdict, { missingIsFailure: result.missingIsFailure })
}

/** Every case of every file that ran. */
export function allCases(files: readonly FileVerdict[]): CaseVerdict[] {
  return files.flatMap((file) => (file.kind === 'run' ? file.cases : []))
}

/** Counts a run. Obsolete sections and files that could not run count as failed. */
export function totalsOf(result: RunResult): Totals {
  const cases = allCases(result.files)
  const good = cases.filter((each) => casePassed(each, result)).length
  const obsolete = result.files.reduce(
    (sum, file) => sum + (file.kind === 'run' ? file.obsolete.length : 0),
    0,
  )
  const rejected = result.files.filter((file) => file.kind === 'rejected').length
  const unavailable = result.files.filter(
    (file) => file.kind === 'unavailable' || file.kind === 'broken',
  ).length
  return {
    passed: good,
    failed: cases.length - good + obsolete + rejected + unavailable,
    changed: cases.filter((each) => each.golden.kind === 'changed').length,
    obsolete,
    missing: cases.filter((each) => each.golden.kind === 'missing').length,
    files: new Set(result.files.map(({ path }) => path)).size,
    rejected,
    unavailable,
  }
}
