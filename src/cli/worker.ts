// What works beside the command: a thread of `scn run -j` takes a file and answers its verdict, a process of `scn verify`
// first says which kernel it reached and then does the same.
import { parentPort } from 'node:worker_threads'
import type { WorkerAnswer, WorkerTask } from './threads.ts'
import type { VerifyAnswer, VerifyTask } from './verify-processes.ts'
import { runOne } from './work.ts'

function problemText(problem: unknown): string {
  return problem instanceof Error ? (problem.stack ?? problem.message) : String(problem)
}

if (parentPort === null) void verifyHere()
else
  parentPort.on('message', (task: WorkerTask) => {
    let answer: WorkerAnswer
    try {
      answer = { index: task.index, ran: runOne(task.file, task) }
    } catch (problem) {
      answer = { index: task.index, problem: problemText(problem) }
    }
    parentPort?.postMessage(answer)
  })

async function verifyHere(): Promise<void> {
  const say = (answer: VerifyAnswer): void => void process.send?.(answer)
  const { openOracle } = await import('../oracle/verify.ts')
  const { NotPossible } = await import('../oracle/native.ts')
  const { verifyFile } = await import('./verify-file.ts')
  const clock = (): number => performance.now()
  try {
    const oracle = openOracle(clock)
    const { release, missing } = oracle.abilities
    process.on('message', (task: VerifyTask) => {
      try {
        say({ kind: 'done', index: task.index, verified: verifyFile(oracle, task.file, task, clock) })
      } catch (problem) {
        say({ kind: 'broken', problem: problemText(problem) })
      }
    })
    say({ kind: 'reached', kernel: { release, missing: [...missing] } })
  } catch (problem) {
    if (problem instanceof NotPossible) say({ kind: 'unreachable', why: problem.message })
    else say({ kind: 'broken', problem: problemText(problem) })
  }
}
