// Runs the command in this process on a folder of its own: files in, exit code and output out.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { runCommandLine } from '../../src/cli/program.ts'

/** What a command line did. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** A temporary folder with the command in it. */
export interface Workplace {
  readonly folder: string
  /** Runs `scn WORDS`. `CI` is not set unless `env` says so. */
  readonly scn: (words: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Ran>
  readonly write: (path: string, text: string) => void
  readonly read: (path: string) => string
  /** All files, with `/`, sorted. */
  readonly files: () => string[]
  readonly remove: () => void
}

/** Makes a folder with files in it. */
export function workplace(files: Readonly<Record<string, string>> = {}): Workplace {
  const folder = mkdtempSync(join(tmpdir(), 'scn-test-'))
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  for (const [path, text] of Object.entries(files)) write(path, text)
  return {
    folder,
    write,
    read: (path) => readFileSync(join(folder, path), 'utf8'),
    files: () =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) =>
          join(entry.parentPath, entry.name)
            .slice(folder.length + 1)
            .replaceAll('\\', '/'),
        )
        .sort(),
    remove: () => rmSync(folder, { recursive: true, force: true }),
    scn: (words, env = {}) => scnIn(folder, words, env),
  }
}

/** Runs `scn WORDS` in a folder that is there. */
export async function scnIn(
  folder: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  let out = ''
  let err = ''
  const code = await runCommandLine(['node', 'scn', ...words], {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    env,
    cwd: folder,
    interactive: false,
    columns: 100,
  })
  return { code, out, err }
}
