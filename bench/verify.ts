// A scenario in the model against `scn verify` of it, in one run: how much waiting the model saves. Wall clock, because the
// real kernel's time is not this process's.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { load } from '../src/cli/load.ts'
import type { CaseModel } from '../src/model/model.ts'
import { runModel } from '../src/oracle/model-run.ts'
import { NotPossible } from '../src/oracle/native.ts'
import { type Oracle, openOracle, verifyCase } from '../src/oracle/verify.ts'
import { ratio } from './statistics.ts'
import type { Row } from './table.ts'

const clock = (): number => performance.now()

/** Folders whose scenarios are measured: ordinary ones, without long waits. */
const folders = ['netfilter', 'route', 'tunnel'] as const
const casesMax = 40
const repeats = 5

function oracleHere(): Oracle | string {
  try {
    return openOracle(clock)
  } catch (problem) {
    if (problem instanceof NotPossible) return problem.message
    throw problem
  }
}

function cases(root: string): CaseModel[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, 'specs', folder))
      .filter((name) => name.endsWith('.scn'))
      .flatMap((name) => {
        const loaded = load(root, join('specs', folder, name))
        if (!loaded.ok || loaded.value.unavailable.length > 0) return []
        return loaded.value.scenarios.flatMap((scenario) => scenario.cases)
      }),
  )
}

function timed(run: () => void): number {
  const began = clock()
  run()
  return clock() - began
}

/** The fastest of some runs: what disturbs only makes slower. */
function modelTime(model: CaseModel): number {
  return Math.min(...Array.from({ length: repeats }, () => timed(() => void runModel(model, 0))))
}

/** Model time per scenario as a share of `scn verify`'s; without a kernel to ask, a sentence instead of a row. */
export function verifyRows(root: string): Row[] {
  const oracle = oracleHere()
  if (typeof oracle === 'string') {
    console.error(`bench: verify is left out: ${oracle}`)
    return []
  }
  const model: number[] = []
  const real: number[] = []
  for (const each of cases(root)) {
    if (model.length >= casesMax) break
    let kind = ''
    const time = timed(() => {
      kind = verifyCase(oracle, each, { seed: 0, slow: false }).kind
    })
    if (kind === 'skipped') continue
    real.push(time)
    model.push(modelTime(each))
  }
  if (model.length === 0) {
    console.error('bench: verify is left out: this kernel can run none of the scenarios')
    return []
  }
  const share = model.map((time) => time * 100)
  return [
    {
      measure: `model against verify: ${model.length} scenarios`,
      estimate: ratio(share, real),
      unit: '% of scn verify',
      target: 100 / 150,
    },
    { measure: 'verify against model', estimate: ratio(real, model), unit: 'x' },
  ]
}
