// Many files, one or more threads; the answers come in the order of the files, whoever was faster.
import type { SelectedFile } from './selection.ts'
import type { PoolOptions } from './threads.ts'
import { failedCases, type RanFile, runOne } from './work.ts'

/** Runs all files. `progress` is told how many are done and which file was the last. */
export async function runPool(
  files: readonly SelectedFile[],
  options: PoolOptions,
  progress: (done: number, path: string) => void,
): Promise<RanFile[]> {
  const order = options.shuffle ? shuffled(files.length, options.seed) : files.map((_, index) => index)
  const results: (RanFile | undefined)[] = files.map(() => undefined)
  const jobs = Math.min(options.jobs, files.length)
  if (jobs <= 1) runHere(files, order, options, results, progress)
  else {
    const { runThreads } = await import('./threads.ts')
    await runThreads(files, order, { ...options, jobs }, results, progress)
  }
  return results.filter((each) => each !== undefined)
}

/** A permutation that depends on the seed alone (Fisher and Yates with a multiplicative generator). */
function shuffled(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, index) => index)
  let state = (Math.imul(seed, 2_654_435_761) ^ 0x9e37_79b9) >>> 0
  for (let last = count - 1; last > 0; last -= 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const other = state % (last + 1)
    const moved = order[last] ?? 0
    order[last] = order[other] ?? 0
    order[other] = moved
  }
  return order
}

function runHere(
  files: readonly SelectedFile[],
  order: readonly number[],
  options: PoolOptions,
  results: (RanFile | undefined)[],
  progress: (done: number, path: string) => void,
): void {
  let done = 0
  let failed = 0
  for (const index of order) {
    const file = files[index]
    if (file === undefined || (options.bail > 0 && failed >= options.bail)) continue
    const ran = runOne(file, options)
    results[index] = ran
    failed += failedCases(ran)
    done += 1
    progress(done, file.path)
  }
}
