// The cgroups of a process that was killed. Needs root and cgroup2.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { sweepCgroups } from './cgroups.ts'

const mount = / (\S+) cgroup2 /.exec(readFileSync('/proc/self/mounts', 'utf8'))?.[1]

/** Makes a cgroup with one below it that a process is in; undefined where that is not allowed. */
function inhabited(pid: number): string | undefined {
  const folder = `${mount}/scn-${pid}-1`
  try {
    mkdirSync(`${folder}/below`, { recursive: true })
    writeFileSync(`${folder}/below/cgroup.procs`, String(pid))
    return folder
  } catch {
    return undefined
  }
}

test.skipIf(mount === undefined || process.getuid?.() !== 0)(
  'go with it, and only those',
  async ({ skip }) => {
    const sleepers = [spawn('sleep', ['60']), spawn('sleep', ['60'])]
    const [first, second] = sleepers.map(({ pid = 0 }) => inhabited(pid))
    const gone = sleepers.map((sleeper) => new Promise((resolve) => sleeper.on('exit', resolve)))
    for (const sleeper of sleepers) sleeper.kill('SIGKILL')
    if (first === undefined || second === undefined) {
      await Promise.all(gone)
      return skip()
    }
    sweepCgroups(sleepers[0]?.pid ?? 0)
    expect([first, second].map((folder) => existsSync(folder))).toEqual([false, true])
    await Promise.all(gone)
    sweepCgroups(sleepers[1]?.pid ?? 0)
    expect(existsSync(second)).toBe(false)
  },
)
