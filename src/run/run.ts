// From a checked file to its verdict. This is the paragraph to read first: every case is simulated, its expectations
// are asked, its trace is compared with the golden.
import { AssertionError } from '../base/assert.ts'
import type { Source } from '../base/text.ts'
import type { CaseModel, Model, ScenarioModel } from '../model/model.ts'
import type { Level } from '../trace/event.ts'
import { sectionKey } from '../trace/section.ts'
import { sectionOf } from '../trace/section-of.ts'
import { evaluate } from './expect/evaluate.ts'
import { needsFull } from './expect/recording.ts'
import { compareAll, type Ran } from './golden.ts'
import { simulate } from './simulate.ts'
import type { Failure, FileVerdict } from './verdict.ts'

export interface RunOptions {
  readonly seed: number
  /** Which cases are wanted; all of them without a filter. */
  readonly wants: (scenario: ScenarioModel, one: CaseModel) => boolean
  /** Whether every case of the file is run: only then can a golden section be obsolete. */
  readonly complete: boolean
}

/** Runs the cases of a file that are wanted, in order. */
export function runFile(model: Model, goldenSource: Source | undefined, options: RunOptions): FileVerdict {
  const path = model.source.name
  if (model.unavailable.length > 0) return { kind: 'unavailable', path, diagnostics: model.unavailable }
  try {
    const ran = model.scenarios.flatMap((scenario) =>
      scenario.cases
        .filter((each) => options.wants(scenario, each))
        .map((each) => runCase(path, scenario, each, options.seed)),
    )
    const compared = compareAll(ran, goldenSource, options.complete ? goldenKeys(model) : undefined)
    return { kind: 'run', path, source: model.source, golden: goldenSource, ...compared }
  } catch (problem) {
    if (problem instanceof AssertionError) return { kind: 'broken', path, message: problem.message }
    throw problem
  }
}

/** The keys of all sections that a file's golden should have, in order. */
export function goldenKeys(model: Model): Set<string> {
  const kept = model.scenarios.filter(({ golden }) => golden !== 'off')
  return new Set(kept.flatMap(({ name, cases }) => cases.map(({ id }) => keyOf(name, id))))
}

function keyOf(scenario: string, id: string | undefined): string {
  return sectionKey(id === undefined ? { scenario } : { scenario, case: id })
}

function runCase(path: string, scenario: ScenarioModel, model: CaseModel, seed: number): Ran {
  const level: Level = scenario.golden === 'off' ? 'hops' : scenario.golden
  const result = simulate(model, {
    seed,
    scenario: scenario.name,
    full: level === 'full' || needsFull(model),
  })
  const failures: Failure[] = [...result.failures]
  for (const expectation of model.expectations) {
    if (expectation.subject.kind === 'state') continue // asked at its step
    const failure = evaluate(expectation, result.context)
    if (failure !== undefined) failures.push(failure)
  }
  const section = scenario.golden === 'off' ? undefined : sectionOf(result.trace, { level })
  return {
    scenario: scenario.name,
    ...(model.id === undefined ? {} : { id: model.id }),
    selector: `${path}::${keyOf(scenario.name, model.id)}`,
    title: model.title,
    tags: scenario.tags,
    failures: failures.toSorted((a, b) => a.claim.start - b.claim.start),
    section,
    limit: result.limit,
  }
}
