// Comparing with a golden: what the comparison costs beside simulating the case, when equal and when every line differs.

import { check } from '../src/model/check.ts'
import type { CaseModel, Model } from '../src/model/model.ts'
import { compareAll, type Ran } from '../src/run/golden.ts'
import { simulate } from '../src/run/simulate.ts'
import { parse } from '../src/syntax/parse.ts'
import { formatSections } from '../src/trace/format.ts'
import { parseGolden } from '../src/trace/golden.ts'
import { type Section, sectionKey } from '../src/trace/section.ts'
import { sectionOf } from '../src/trace/section-of.ts'
import { codesSpec, spoilt } from './fixtures.ts'
import { measureWork } from './interleave.ts'
import { estimate } from './statistics.ts'
import type { Row } from './table.ts'

const cases = 200

function modelOf(text: string): Model {
  const parsed = parse({ name: 'cases.scn', text })
  if (!parsed.ok) throw new Error(parsed.diagnostics[0]?.message)
  const checked = check({ main: parsed.value, imports: new Map() })
  if (!checked.ok) throw new Error(checked.diagnostics[0]?.message)
  return checked.value
}

/** Simulation, reading a golden, and both outcomes of a comparison, each per case. */
export function goldenRows(): Row[] {
  const scenario = modelOf(codesSpec(cases)).scenarios[0]!
  const sectionFor = (model: CaseModel): Section =>
    sectionOf(simulate(model, { seed: 0, scenario: scenario.name, full: false }).trace, { level: 'hops' })
  const sections = scenario.cases.map(sectionFor)
  const text = formatSections(sections)
  const keys = new Set(sections.map(sectionKey))
  const ran = sections.map(
    (section): Ran => ({
      scenario: section.scenario,
      selector: '',
      title: '',
      tags: [],
      failures: [],
      section,
      limit: undefined,
    }),
  )
  const compare = (golden: string, kind: string): void => {
    const { cases: compared } = compareAll(ran, { name: 'cases.trace', text: golden }, keys)
    if (compared.some((each) => each.golden.kind !== kind)) throw new Error(`a section is not ${kind}`)
  }
  const wrong = spoilt(text)
  const times = measureWork(
    [
      {
        name: 'case: simulated, as lines',
        run: () => scenario.cases.forEach((each) => void sectionFor(each)),
      },
      { name: 'golden: read', run: () => void parseGolden({ name: 'cases.trace', text }) },
      { name: 'golden: compared, equal', run: () => compare(text, 'equal') },
      { name: 'golden: compared, every line differs', run: () => compare(wrong, 'changed') },
    ],
    { rounds: 40, warm: 15 },
  )
  return [...times].map(([measure, values]) => ({
    measure,
    estimate: estimate(values.map((time) => time / cases)),
    unit: 'us/case',
  }))
}
