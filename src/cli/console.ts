// The process as a value, so that commands can be tested and nothing else touches it.
import pc from 'picocolors'
import { type Paint, plain } from '../report/paint.ts'

export interface Console {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where relative paths start. */
  readonly cwd: string
  /** Standard error is a terminal: progress may be shown. */
  readonly interactive: boolean
  readonly columns: number
}

/** The console of this process. */
export function processConsole(): Console {
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    env: process.env,
    cwd: process.cwd(),
    interactive: process.stderr.isTTY === true && process.stdin.isTTY === true,
    columns: process.stdout.columns ?? 80,
  }
}

/** Colours for a stream: `always`, `never`, or `auto` (a terminal, and NO_COLOR not set). */
export function paintFor(console: Console, color: 'auto' | 'always' | 'never'): Paint {
  const wanted =
    color === 'always' || (color === 'auto' && console.interactive && console.env['NO_COLOR'] === undefined)
  if (!wanted) return plain
  const c = pc.createColors(true)
  return {
    error: c.red,
    warning: c.yellow,
    good: c.green,
    strong: c.bold,
    faint: c.dim,
    added: c.green,
    removed: c.red,
  }
}

/** Whether this is an unattended run: nothing may be written or accepted. */
export function inCi(console: Console): boolean {
  const value = console.env['CI']
  return value !== undefined && value !== '' && value !== '0' && value !== 'false'
}
