// The processes of `scn verify`. What asks the kernel moves its whole thread between namespaces and sleeps with it, so it
// has a process of its own, and this one stays free for the person who interrupts. Several may work side by side: no
// namespace, program or socket of theirs has a name that another could meet.
import { type ChildProcess, fork } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { sweepCgroups } from '../oracle/cgroups.ts'
import type { SelectedFile } from './selection.ts'
import type { VerifiedFile, VerifyFileOptions } from './verify-file.ts'

/** The kernel that was reached. */
export interface Kernel {
  readonly release: string
  /** Kinds of devices that it has not. */
  readonly missing: readonly string[]
}

/** What a process is asked. */
export interface VerifyTask extends VerifyFileOptions {
  readonly index: number
  readonly file: SelectedFile
}

/** What a process says: first whether there is a kernel to ask, then what became of each file. */
export type VerifyAnswer =
  | { readonly kind: 'reached'; readonly kernel: Kernel }
  | { readonly kind: 'unreachable'; readonly why: string }
  | { readonly kind: 'done'; readonly index: number; readonly verified: VerifiedFile }
  | { readonly kind: 'broken'; readonly problem: string }

export interface ProcessesOptions extends VerifyFileOptions {
  /** How many processes work at a time. */
  readonly jobs: number
  /** Told of each file, in the order in which they are done. */
  readonly done: (index: number, verified: VerifiedFile) => void
  /** Told when a person interrupts, after every process is gone. */
  readonly interrupted: () => void
}

/** A process with the worker's file; see `startWorker` of the threads. */
function startProcess(): ChildProcess {
  const own = import.meta.url
  const ending = own.slice(own.lastIndexOf('.'))
  const execArgv =
    ending === '.ts' ? ['--import', pathToFileURL(createRequire(own).resolve('tsx/esm')).href] : []
  return fork(fileURLToPath(new URL(`./worker${ending}`, own)), [], {
    execArgv,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

/** Verifies files. Answers the kernel, or a sentence where it cannot be reached. */
export function verifyInProcesses(
  files: readonly SelectedFile[],
  options: ProcessesOptions,
): Promise<Kernel | string> {
  return new Promise((resolve, reject) => {
    const { cwd, seed, slow } = options
    const queue = [...files.keys()]
    const children = new Set<ChildProcess>()
    let answer: Kernel | string | undefined
    let problem: Error | undefined
    let stopped = false
    const stop = (): void => {
      stopped = true
      for (const child of children) child.kill('SIGKILL') // it is deaf while it asks the kernel
    }
    const interrupt = (): void => {
      stop()
      for (const { pid } of children) if (pid !== undefined) sweepCgroups(pid)
      options.interrupted()
    }
    const fail = (why: Error): void => {
      problem ??= why
      stop()
    }
    const feed = (child: ChildProcess): void => {
      if (stopped) return
      const index = queue.shift()
      const file = index === undefined ? undefined : files[index]
      if (index === undefined || file === undefined) child.disconnect()
      else child.send({ index, file, cwd, seed, slow } satisfies VerifyTask)
    }
    const hear = (child: ChildProcess, said: VerifyAnswer): void => {
      if (said.kind === 'broken') return fail(new Error(said.problem))
      if (said.kind === 'unreachable') {
        answer = said.why
        return stop()
      }
      if (said.kind === 'reached') answer ??= said.kernel
      else options.done(said.index, said.verified)
      feed(child)
    }
    const over = (child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void => {
      children.delete(child)
      if (signal === 'SIGINT')
        process.kill(process.pid, signal) // a terminal interrupts all of them at once
      else if (!stopped && (signal !== null || code !== 0))
        fail(new Error(`a process that asks the kernel ended by itself (${signal ?? code})`))
      if (children.size > 0) return
      process.off('SIGINT', interrupt)
      if (problem !== undefined) reject(problem)
      else resolve(answer ?? 'nothing was asked')
    }
    process.prependListener('SIGINT', interrupt)
    for (let count = 0; count < Math.min(options.jobs, files.length); count += 1) {
      const child = startProcess()
      children.add(child)
      child.on('error', fail)
      child.on('message', (said: VerifyAnswer) => hear(child, said))
      child.on('exit', (code, signal) => over(child, code, signal))
    }
  })
}
