// Plays the recorded runs of the real kernel and compares every event, in total order. The recordings stand outside this
// repository (../shared/facts/recorded/kernel); without them these tests are skipped.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { RecordedCase } from './recorded/case.ts'
import {
  agreeing,
  differingCounters,
  differingDeviceCounters,
  differingFdb,
  differingNeighbours,
  differingResults,
  differingRouteCache,
  playedLines,
  recordedLines,
} from './recorded/compare.ts'
import { differingFlows, differingHits } from './recorded/compare-netfilter.ts'
import { play } from './recorded/play.ts'
import { notUnderstood } from './recorded/strict.ts'

const folder = join(import.meta.dirname, '../../shared/facts/recorded/kernel')
const present = existsSync(folder)

function load(): RecordedCase[] {
  if (!present) return []
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
  return files.sort().map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as RecordedCase)
}

const cases = load()

/** Cases whose events do not agree yet, with the reason. Keep this list empty; never lengthen it without one. */
const notYet: Readonly<Record<string, string>> = {}

test.skipIf(present)('the recorded runs are not here: ../shared/facts/recorded/kernel is missing', () => {})

describe.skipIf(!present)('a recorded run of the real kernel', () => {
  test.each(cases.filter((each) => notYet[each.id] === undefined).map((each) => [each.id, each] as const))(
    '%s',
    (_id, recorded) => {
      expect(notUnderstood(recorded)).toEqual([])
      const played = play(recorded)
      expect(playedLines(played)).toEqual(recordedLines(recorded))
      expect(differingResults(recorded, played)).toEqual([])
      expect(differingDeviceCounters(recorded, played.machine)).toEqual([])
      expect(differingCounters(recorded, played.machine)).toEqual([])
      expect(differingFlows(recorded, played.machine, played.chosen)).toEqual([])
      expect(differingHits(recorded, played.machine)).toEqual([])
      expect(differingNeighbours(recorded, played.machine)).toEqual([])
      expect(differingFdb(recorded, played.machine)).toEqual([])
      expect(differingRouteCache(recorded, played.machine)).toEqual([])
    },
  )

  test('how many agree', () => {
    let whole = 0
    let events = 0
    let agreed = 0
    for (const recorded of cases) {
      const [want, have] = [recordedLines(recorded), playedLines(play(recorded))]
      const same = agreeing(want, have)
      events += want.length
      agreed += same
      if (same === want.length && have.length === want.length) whole += 1
    }
    console.log(`${whole} of ${cases.length} cases, ${agreed} of ${events} events agree`)
    expect(whole).toBeGreaterThanOrEqual(cases.length - Object.keys(notYet).length)
  })
})
