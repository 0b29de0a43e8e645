// Replays the recorded runs of Cilium's real programs and compares every packet, program, notification and map change, in
// total order. The recordings stand outside this repository (../shared/facts/recorded); without them these tests are skipped.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readRuns } from './recorded-cilium/case.ts'
import { type PlayedStep, replay } from './recorded-cilium/replay.ts'

const folder = join(import.meta.dirname, '../../shared/facts/recorded')
const present = existsSync(folder)
const runs = readRuns(folder)

test.skipIf(present)('the recorded runs are not here: ../shared/facts/recorded is missing', () => {})

function agreeing({ recorded, model }: PlayedStep): number {
  let same = 0
  for (const [at, line] of recorded.entries()) if (model[at] === line) same += 1
  return same
}

describe.skipIf(!present)('a recorded run of Cilium 1.19', () => {
  for (const run of runs) {
    const steps = replay(run, 'v1.19')
    for (const [at, step] of steps.entries()) {
      test.skipIf(step.kind === 'service')(`${run.name} / ${at + 1} ${step.title}`, () => {
        expect(step.model).toEqual(step.recorded)
      })
    }
  }

  test('how many agree', () => {
    const steps = runs.flatMap((run) => replay(run, 'v1.19'))
    const plain = steps.filter(({ kind }) => kind === 'plain')
    const whole = plain.filter(
      (step) => agreeing(step) === step.recorded.length && step.model.length === step.recorded.length,
    )
    const lines = plain.reduce((sum, { recorded }) => sum + recorded.length, 0)
    const agreed = plain.reduce((sum, step) => sum + agreeing(step), 0)
    console.log(
      `${whole.length} of ${plain.length} steps, ${agreed} of ${lines} lines agree; ${steps.length - plain.length} service steps are left to the next issue`,
    )
    expect(whole.length).toBe(plain.length)
  })
})
