// Cases with the same first divergence form one group: "41 cases, one cause", reviewed and accepted as one.
import type { CaseVerdict, FileVerdict } from '../run/verdict.ts'

/** One cause and the cases that show it, in the order of the run. */
export interface CauseGroup {
  /** Counted from 1, in the order in which causes were met. */
  readonly number: number
  readonly key: string
  readonly cases: readonly { readonly path: string; readonly verdict: CaseVerdict }[]
}

/** All groups of a run. */
export function causeGroups(files: readonly FileVerdict[]): CauseGroup[] {
  const groups = new Map<string, { path: string; verdict: CaseVerdict }[]>()
  for (const file of files) {
    if (file.kind !== 'run') continue
    for (const verdict of file.cases) {
      if (verdict.golden.kind !== 'changed') continue
      const key = verdict.golden.diff.cause?.key ?? verdict.selector
      const group = groups.get(key) ?? []
      group.push({ path: file.path, verdict })
      groups.set(key, group)
    }
  }
  return [...groups].map(([key, cases], index) => ({ number: index + 1, key, cases }))
}

/** How many cases, of how many files. */
export function groupSize(group: CauseGroup): { readonly cases: number; readonly files: number } {
  return { cases: group.cases.length, files: new Set(group.cases.map(({ path }) => path)).size }
}
