// One thread of the pool: takes a file, answers its verdict.
import { parentPort } from 'node:worker_threads'
import type { WorkerAnswer, WorkerTask } from './threads.ts'
import { runOne } from './work.ts'

parentPort?.on('message', (task: WorkerTask) => {
  let answer: WorkerAnswer
  try {
    answer = { index: task.index, ran: runOne(task.file, task) }
  } catch (problem) {
    answer = {
      index: task.index,
      problem: problem instanceof Error ? (problem.stack ?? problem.message) : String(problem),
    }
  }
  parentPort?.postMessage(answer)
})
