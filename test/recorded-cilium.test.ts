// Replays the recorded runs of Cilium's real programs and compares every packet, program, notification and map change, in
// total order. The recordings stand outside this repository (../shared/facts/recorded); without them these tests are skipped.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type RecordedRun, readRuns } from './recorded-cilium/case.ts'
import type { Version } from './recorded-cilium/era.ts'
import { type PlayedStep, replay } from './recorded-cilium/replay.ts'

const folder = join(import.meta.dirname, '../../shared/facts/recorded')
const present = existsSync(folder)

test.skipIf(present)('the recorded runs are not here: ../shared/facts/recorded is missing', () => {})

function agreeing({ recorded, model }: PlayedStep): number {
  let same = 0
  for (const [at, line] of recorded.entries()) if (model[at] === line) same += 1
  return same
}

/** Steps that agree whole, and lines. */
function summary(steps: readonly PlayedStep[]): { readonly whole: number; readonly text: string } {
  const whole = steps.filter(
    (step) => agreeing(step) === step.recorded.length && step.model.length === step.recorded.length,
  )
  const lines = steps.reduce((sum, { recorded }) => sum + recorded.length, 0)
  const agreed = steps.reduce((sum, step) => sum + agreeing(step), 0)
  return {
    whole: whole.length,
    text: `${whole.length} of ${steps.length} steps, ${agreed} of ${lines} lines agree`,
  }
}

/** What a run gave, or why it could not be played. */
function playedOrNot(
  run: RecordedRun,
  version: Version,
): { readonly steps: readonly PlayedStep[]; readonly problems: readonly string[] } {
  try {
    return { steps: replay(run, version), problems: run.problems }
  } catch (problem) {
    return { steps: [], problems: [...run.problems, String(problem)] }
  }
}

const versions = [
  { version: 'v1.19', runs: readRuns(folder) },
  { version: 'v1.10', runs: readRuns(join(folder, 'v1.10')) },
] as const

describe.skipIf(!present).each(versions)('a recorded run of Cilium $version', ({ version, runs }) => {
  const played = runs.map((run) => ({ run, ...playedOrNot(run, version) }))
  for (const { run, steps, problems } of played) {
    test(`${run.name} is understood whole`, () => {
      expect(problems).toEqual([])
    })
    for (const [at, step] of steps.entries()) {
      test(`${run.name} / ${at + 1} ${step.title}`, () => {
        expect(step.model).toEqual(step.recorded)
      })
    }
  }

  test.each(['plain', 'service'])('how many %s steps agree', (kind) => {
    const steps = played.flatMap((run) => run.steps).filter((step) => step.kind === kind)
    const { whole, text } = summary(steps)
    console.log(`${version} ${kind}: ${text}`)
    expect(steps.length).toBeGreaterThan(0)
    expect(whole).toBe(steps.length)
  })
})
