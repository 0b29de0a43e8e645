// Golden and pending files on disk: where they lie, how they change. A golden lies beside its spec (`x.trace`); what a
// run made and nobody has reviewed lies beside it as `x.trace.new`.
import type { Source } from '../base/text.ts'
import { type Golden, parseGolden } from '../trace/golden.ts'
import { updateGolden } from '../trace/golden-write.ts'
import { type Section, sectionKey } from '../trace/section.ts'
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

/**
 * Changes a golden file under its lock; a golden without sections is removed. A file that cannot be read is replaced only
 * by all of its sections at once, for what it holds would be lost; false when it was left alone for that.
 */
export function changeGolden(cwd: string, path: string, change: GoldenChange): boolean {
  return withLock(cwd, path, () => {
    const source = readGolden(cwd, path)
    const golden = source === undefined ? undefined : parseGolden(source)
    const unreadable = golden !== undefined && golden.diagnostics.length > 0
    const given = new Set(change.replace.map(sectionKey))
    if (unreadable && !change.order.every((key) => given.has(key))) return false
    const text = updateGolden(unreadable ? undefined : golden, change)
    if (text === undefined) removeFile(cwd, path)
    else if (text !== source?.text) writeWhole(cwd, path, text)
    return true
  })
}

/**
 * Changes the pending file of a spec under its lock: what is settled goes, what differs comes. A file without sections is
 * removed, and one that cannot be read is begun anew: the next run makes it again.
 */
export function changePending(cwd: string, spec: string, change: GoldenChange): void {
  const path = pendingPathOf(spec)
  withLock(cwd, path, () => {
    const pending = readPending(cwd, spec)
    const readable = pending?.diagnostics.length === 0 ? pending : undefined
    const text = updateGolden(readable, change)
    if (text === undefined) removeFile(cwd, path)
    else writeWhole(cwd, path, text)
  })
}

/** The pending sections of a spec. */
export function readPending(cwd: string, spec: string): Golden | undefined {
  const source = readGolden(cwd, pendingPathOf(spec))
  return source === undefined ? undefined : parseGolden(source)
}
