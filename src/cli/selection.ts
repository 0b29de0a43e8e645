// Which files and cases a command line means.
import { exists, shownPath, specsBelow } from './files.ts'
import {
  type Filter,
  keywordFilter,
  parseSelector,
  type Selectable,
  type Selector,
  selects,
  tagFilter,
} from './selector.ts'
import { UsageError } from './usage.ts'

export interface Selection {
  /** Paths and exact selectors; nothing means the working directory. */
  readonly paths: readonly string[]
  readonly keyword: string | undefined
  readonly tags: string | undefined
  /** `i/n`: every n-th file, from the i-th. */
  readonly shard: { readonly index: number; readonly count: number } | undefined
}

/** One file to run, with the exact selectors that named it; none means all of its cases. */
export interface SelectedFile {
  readonly path: string
  readonly selectors: readonly Selector[]
  readonly keyword: string | undefined
  readonly tags: string | undefined
}

/** The files of a selection, sorted by path, each once. Throws UsageError for a path that does not exist. */
export function selectFiles(cwd: string, selection: Selection): SelectedFile[] {
  const byPath = new Map<string, Selector[]>()
  const whole = new Set<string>()
  for (const text of selection.paths.length === 0 ? ['.'] : selection.paths) {
    const selector = parseSelector(text)
    const found = specsBelow(cwd, selector.path)
    if (found === undefined) throw noSuchPath(selector.path)
    for (const path of found) {
      const shown = shownPath(cwd, path)
      const list = byPath.get(shown) ?? []
      if (selector.scenario === undefined) whole.add(shown)
      else list.push(selector)
      byPath.set(shown, list)
    }
  }
  const files = [...byPath].sort(([a], [b]) => (a < b ? -1 : 1))
  const shard = selection.shard
  return files
    .filter((_, index) => shard === undefined || index % shard.count === shard.index - 1)
    .map(([path, selectors]) => ({
      path,
      selectors: whole.has(path) ? [] : selectors,
      keyword: selection.keyword,
      tags: selection.tags,
    }))
}

function noSuchPath(path: string): UsageError {
  return new UsageError(`there is no file or folder \`${path}\``)
}

/** Throws UsageError unless there is a file or folder of this name. */
export function mustExist(cwd: string, path: string): void {
  if (!exists(cwd, path)) throw noSuchPath(path)
}

/** The filter for the cases of one file. */
export function filterOf(file: SelectedFile): Filter {
  const filters: Filter[] = []
  if (file.selectors.length > 0)
    filters.push((item) => file.selectors.some((selector) => selects(selector, item)))
  if (file.keyword !== undefined) filters.push(keywordFilter(file.keyword))
  if (file.tags !== undefined) filters.push(tagFilter(file.tags))
  return (item: Selectable) => filters.every((filter) => filter(item))
}

/** Whether all cases of the file are meant: only then can a golden section be obsolete. */
export function isComplete(file: SelectedFile): boolean {
  return file.selectors.length === 0 && file.keyword === undefined && file.tags === undefined
}

/** `--shard 2/3`. */
export function parseShard(text: string): { readonly index: number; readonly count: number } {
  const match = /^(\d+)\/(\d+)$/.exec(text)
  const index = Number(match?.[1])
  const count = Number(match?.[2])
  if (match === null || index < 1 || index > count)
    throw new UsageError(`\`${text}\` is not a shard; write i/n with 1 <= i <= n`)
  return { index, count }
}
