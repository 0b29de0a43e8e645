// Files as people name them: relative, with `/`. Reading never throws past here, writing is whole or not at all.
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import type { Source } from '../base/text.ts'
import { UsageError } from './usage.ts'

/** Folders that never hold specs. */
const skipped = new Set(['node_modules', 'dist', 'coverage', '.git', '.scn'])

/** A path as it is shown and used in selectors: relative to the working directory where possible, with `/`. */
export function shownPath(cwd: string, path: string): string {
  const full = resolve(cwd, path)
  const short = relative(cwd, full)
  const shown = short === '' ? '.' : short.startsWith('..') && isAbsolute(path) ? full : short
  return shown.split(sep).join('/')
}

/** All `.scn` files below a folder, sorted by path; or the file itself. Undefined when there is no such path. */
export function specsBelow(cwd: string, path: string): string[] | undefined {
  const full = resolve(cwd, path)
  if (!existsSync(full)) return undefined
  if (!statSync(full).isDirectory()) return [shownPath(cwd, path)]
  const found: string[] = []
  walk(full, found)
  return found.map((each) => shownPath(cwd, each)).sort()
}

function walk(folder: string, found: string[]): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (!skipped.has(entry.name)) walk(path, found)
    } else if (entry.name.endsWith('.scn')) found.push(path)
  }
}

/** The files that a path names, sorted; `*` in its last part stands for any characters. */
export function filesLike(cwd: string, path: string): string[] {
  const slash = path.lastIndexOf('/')
  const [folder, last] = [path.slice(0, slash + 1), path.slice(slash + 1)]
  if (!last.includes('*')) return existsSync(resolve(cwd, path)) ? [path] : []
  const parts = last.split('*').map((part) => part.replace(/[.\\+?^${}()|[\]]/g, '\\$&'))
  const pattern = new RegExp(`^${parts.join('.*')}$`)
  const full = resolve(cwd, folder === '' ? '.' : folder)
  if (!existsSync(full)) return []
  return readdirSync(full)
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => `${folder}${name}`)
}

/** The text of a file, or why there is none (`permission denied`). */
export function readText(cwd: string, path: string): Source | { readonly problem: string } {
  try {
    const bytes = readFileSync(resolve(cwd, path))
    return { name: path, text: bytes.toString('utf8') }
  } catch (problem) {
    return { problem: problemText(problem) }
  }
}

function problemText(problem: unknown): string {
  const code = problem instanceof Error && 'code' in problem ? String(problem.code) : ''
  switch (code) {
    case 'ENOENT':
      return 'no such file or folder'
    case 'EISDIR':
      return 'this is a folder'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case 'EROFS':
      return 'the disk is read-only'
    case 'ENOSPC':
      return 'the disk is full'
    default:
      return problem instanceof Error ? problem.message : String(problem)
  }
}

/** The same sentence for everything that cannot be written: a missing folder, a read-only disk. */
function notWritable(path: string, problem: unknown): UsageError {
  return new UsageError(`\`${path}\` cannot be written: ${problemText(problem)}`)
}

/** Writes a text file whole: to a temporary file beside it, to the disk, then renamed over it. Throws UsageError. */
export function writeWhole(cwd: string, path: string, text: string): void {
  writeBytes(cwd, path, Buffer.from(text, 'utf8'))
}

/** The same for bytes. */
export function writeBytes(cwd: string, path: string, bytes: Uint8Array): void {
  const full = resolve(cwd, path)
  const temporary = join(dirname(full), `.${process.pid}.${full.split(sep).at(-1)}.tmp`)
  try {
    const file = openSync(temporary, 'w')
    try {
      writeSync(file, bytes)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, full)
  } catch (problem) {
    rmSync(temporary, { force: true })
    throw notWritable(path, problem)
  }
}

/** Removes a file that may not be there. */
export function removeFile(cwd: string, path: string): void {
  rmSync(resolve(cwd, path), { force: true })
}

/** Whether a path exists. */
export function exists(cwd: string, path: string): boolean {
  return existsSync(resolve(cwd, path))
}

/**
 * Holds a file for one process while it is read, changed and written: two runs at once do not lose each other's
 * sections. A lock older than 30 s belongs to a process that died.
 */
export function withLock<T>(cwd: string, path: string, work: () => T): T {
  const lock = `${resolve(cwd, path)}.lock`
  for (let tries = 0; ; tries += 1) {
    try {
      closeSync(openSync(lock, 'wx'))
      break
    } catch (problem) {
      if (!(problem instanceof Error && 'code' in problem && problem.code === 'EEXIST'))
        throw notWritable(path, problem)
      if (tries > 1500 || isStale(lock)) rmSync(lock, { force: true })
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
  try {
    return work()
  } finally {
    rmSync(lock, { force: true })
  }
}

function isStale(lock: string): boolean {
  try {
    return Date.now() - statSync(lock).mtimeMs > 30_000
  } catch {
    return false // gone in the meantime
  }
}
