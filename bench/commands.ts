// The built command against `node -e 0`: starting it, one small file, a thousand cases, a thousand failing cases; and a
// hundred files against what a test runner takes to run as many tests that do nothing.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { makeFixtures, makeSuite, scn } from './fixtures.ts'
import { type Command, measureProcesses } from './process-ratio.ts'
import { ratio } from './statistics.ts'
import type { Row } from './table.ts'

const node = process.execPath

/** `scn --version` and one cold run; short, so every round runs them several times. */
export function startRows(): Row[] {
  const fixtures = makeFixtures()
  try {
    const common = { cwd: fixtures.folder, exit: 0, times: 4 }
    const commands: Command[] = [
      { ...common, name: 'node', argv: [node, '-e', '0'] },
      { ...common, name: 'version', argv: [node, scn, '--version'] },
      { ...common, name: 'cold', argv: [node, scn, 'run', 'one.scn'] },
    ]
    const times = measureProcesses(commands, 25)
    const reference = times.get('node')!
    const unit = 'x node -e 0'
    return [
      {
        measure: 'start: scn --version',
        estimate: ratio(times.get('version')!, reference),
        unit,
        target: 1.3,
      },
      {
        measure: 'cold: scn run, one small file',
        estimate: ratio(times.get('cold')!, reference),
        unit,
        target: 2,
      },
    ]
  } finally {
    fixtures.remove()
  }
}

/** A thousand cases in one process, passing and failing. */
export function suiteRows(): Row[] {
  const fixtures = makeFixtures()
  try {
    const common = { cwd: fixtures.folder, exit: 0, times: 1 }
    const commands: Command[] = [
      { ...common, name: 'node', argv: [node, '-e', '0'], times: 4 },
      { ...common, name: 'passing', argv: [node, scn, 'run', 'thousand.scn'] },
      { ...common, name: 'failing', argv: [node, scn, 'run', 'failing.scn'], exit: 1 },
    ]
    const times = measureProcesses(commands, 15)
    const passing = times.get('passing')!
    return [
      {
        measure: 'suite: 1,000 cases, one process',
        estimate: ratio(passing, times.get('node')!),
        unit: 'x node -e 0',
        target: 10,
      },
      {
        measure: 'failing: every golden line changed',
        estimate: ratio(times.get('failing')!, passing),
        unit: 'x passing',
        target: 2,
      },
    ]
  } finally {
    fixtures.remove()
  }
}

const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')

/** A hundred files of ten cases, three packets each, against a hundred files of ten empty tests. */
export function filesRows(): Row[] {
  const { specs, tests, remove } = makeSuite(100, 10)
  try {
    const common = { exit: 0, times: 1 }
    const runner = ['run', '--globals', '--no-isolate', '--pool=threads']
    const times = measureProcesses(
      [
        { ...common, cwd: tests, name: 'runner', argv: [node, vitest, ...runner] },
        { ...common, cwd: specs, name: 'specs', argv: [node, scn, 'run', '.'] },
      ],
      15,
    )
    return [
      {
        measure: 'suite: 100 files, 1,000 cases, 3,000 packets',
        estimate: ratio(times.get('specs')!, times.get('runner')!),
        unit: 'x Vitest, empty tests',
        target: 1,
      },
    ]
  } finally {
    remove()
  }
}
