// Short files and their cases, for tests.
import { present } from '../base/assert.ts'
import { dissect } from '../net/dissect.ts'
import { summarise } from '../net/summarise.ts'
import type { CaseModel, Model } from './model.ts'

/** A summary of each raw packet. */
export const packets = (one: CaseModel): readonly string[] =>
  one.steps.flatMap((step) => (step.kind === 'packet' ? [summarise(dissect(step.frame))] : []))

/** A case of the first scenario: this one, or the first. */
export const caseOf = (model: Model, id?: string): CaseModel =>
  present(
    model.scenarios[0]?.cases.find((each) => id === undefined || each.id === id),
    'the case',
  )

/** A file with one scenario. */
export const scn = (topology: string, steps: string, rest = ''): string =>
  `scn 1\ntopology {\n${topology}\n}\n${rest}\nscenario s {\n${steps}\n}\n`

/** A host and a friend of two families. */
export const lan = `net lan 10.1.0.0/24 fd00:1::/64
  external friend on lan 10.1.0.50 fd00:1::50 mac 02:00:00:00:00:50
  node host { dev eth0 on lan 10.1.0.1 fd00:1::1 mac 02:00:00:00:00:01 }`
