// Golden and pending files on disk: where they lie, how they change. A golden lies beside its spec (`x.trace`); what a
// run made and nobody has reviewed lies beside it as `x.trace.new`.
import type { Source } from '../base/text.ts'
import { type Golden, parseGolden } from '../trace/golden.ts'
import { updateGolden } from '../trace/golden-write.ts'
import type { Section } from '../trace/section.ts'
import { readText, removeFile, withLock, writeWhole } from './files.ts'

/** `x.trace` for `x.scn`. */
export function goldenPathOf(spec: string): string {
  return `${spec.replace(/\.scn$/, '')}.trace`
}

/** `x.trace.new` for `x.scn`. */
export function pendingPathOf(spec: string): string {
  return `${goldenPathOf(spec)}.new`
}

/** The golden's text, or undefined when there is no file. */
export function readGolden(cwd: string, path: string): Source | undefined {
  const read = readText(cwd, path)
  return 'problem' in read ? undefined : read
}

/** What to change in a golden. */
export interface GoldenChange {
  readonly replace: readonly Section[]
  readonly remove: readonly string[]
  /** Keys of all cases of the spec, in order. */
  readonly order: readonly string[]
}

/** Changes a golden file under its lock; a golden without sections is removed. Refuses a file it cannot read. */
export function changeGolden(cwd: string, path: string, change: GoldenChange): { readonly refused?: Golden } {
  return withLock(cwd, path, () => {
    const source = readGolden(cwd, path)
    const golden = source === undefined ? undefined : parseGolden(source)
    const unreadable = golden !== undefined && golden.diagnostics.length > 0
    if (unreadable && golden.sections.length === 0 && change.replace.length < change.order.length)
      return { refused: golden }
    const text = updateGolden(unreadable ? undefined : golden, change)
    if (text === undefined) removeFile(cwd, path)
    else if (text !== source?.text) writeWhole(cwd, path, text)
    return {}
  })
}

/** Writes the pending file of a spec: the sections that differ and nothing else; none means no file. */
export function writePending(
  cwd: string,
  spec: string,
  change: Pick<GoldenChange, 'replace' | 'order'>,
): void {
  const path = pendingPathOf(spec)
  withLock(cwd, path, () => {
    const text = updateGolden(undefined, { ...change, remove: [] })
    if (text === undefined) removeFile(cwd, path)
    else writeWhole(cwd, path, text)
  })
}

/** The pending sections of a spec. */
export function readPending(cwd: string, spec: string): Golden | undefined {
  const source = readGolden(cwd, pendingPathOf(spec))
  return source === undefined ? undefined : parseGolden(source)
}
