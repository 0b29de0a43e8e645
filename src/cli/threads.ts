// The threads of a run with `-j`: loaded only for it, because most runs are one file in one thread.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { SelectedFile } from './selection.ts'
import { failedCases, type RanFile } from './work.ts'

export interface PoolOptions {
  readonly cwd: string
  readonly seed: number
  /** Threads; 1 runs everything here. */
  readonly jobs: number
  /** Runs the files in an order that depends on the seed. */
  readonly shuffle: boolean
  /** Starts no further file after so many failed cases; 0 never stops. */
  readonly bail: number
}

/** What a worker is asked, and answers. */
export interface WorkerTask {
  readonly index: number
  readonly file: SelectedFile
  readonly cwd: string
  readonly seed: number
}

export type WorkerAnswer =
  | { readonly index: number; readonly ran: RanFile }
  | { readonly index: number; readonly problem: string }

/**
 * A thread with the worker's file: this module's neighbour, with the ending that this module has itself. TypeScript is
 * only met while developing; a thread of Node 20 does not inherit the loader for it.
 */
function startWorker(): Worker {
  const own = import.meta.url
  const ending = own.slice(own.lastIndexOf('.'))
  const url = new URL(`./worker${ending}`, own)
  if (ending !== '.ts') return new Worker(url)
  const loader = pathToFileURL(createRequire(own).resolve('tsx/esm/api').replace(/cjs$/, 'mjs')).href
  const code = `import(${JSON.stringify(loader)}).then(({ register }) => (register(), import(${JSON.stringify(url.href)})))`
  return new Worker(code, { eval: true })
}

/** Runs the files of `order` in threads; each takes the next file when it is done with one. */
export function runThreads(
  files: readonly SelectedFile[],
  order: readonly number[],
  options: PoolOptions,
  results: (RanFile | undefined)[],
  progress: (done: number, path: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const queue = [...order]
    let done = 0
    let failed = 0
    let open = options.jobs
    const workers: Worker[] = []
    const fail = (problem: Error): void => {
      for (const worker of workers) void worker.terminate() // a living thread would keep the process alive
      reject(problem)
    }
    const feed = (worker: Worker): void => {
      const index = queue.shift()
      const file = index === undefined ? undefined : files[index]
      if (index === undefined || file === undefined || (options.bail > 0 && failed >= options.bail)) {
        void worker.terminate()
        open -= 1
        if (open === 0) resolve()
        return
      }
      const task: WorkerTask = { index, file, cwd: options.cwd, seed: options.seed }
      worker.postMessage(task)
    }
    for (let count = 0; count < options.jobs; count += 1) {
      const worker = startWorker()
      workers.push(worker)
      worker.on('error', fail)
      worker.on('message', (answer: WorkerAnswer) => {
        if ('problem' in answer) {
          fail(new Error(answer.problem))
          return
        }
        results[answer.index] = answer.ran
        failed += failedCases(answer.ran)
        done += 1
        progress(done, files[answer.index]?.path ?? '')
        feed(worker)
      })
      feed(worker)
    }
  })
}
