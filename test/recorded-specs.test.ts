// Every recorded case without a service lives as a named packet of a spec (specs/cilium/recorded), whose golden people read.
// Here each is set beside its recording: packets at every device, programs with their codes and marks, notifications with
// all their fields, map changes. spec-lines.ts says which numbers are renamed.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { load } from '../src/cli/load.ts'
import type { CaseModel } from '../src/model/model.ts'
import { type RecordedRun, type RecordedStep, readRuns } from './recorded-cilium/case.ts'
import type { Version } from './recorded-cilium/era.ts'
import { normalised } from './recorded-cilium/normalise.ts'
import { isService, mapLines, timelineLines } from './recorded-cilium/replay.ts'
import { playSpec, type SpecStep, withoutMacs } from './recorded-cilium/spec-lines.ts'

const root = join(import.meta.dirname, '..')
const recorded = join(root, '../shared/facts/recorded')
const present = existsSync(recorded)
const folder = 'specs/cilium/recorded'

test.skipIf(present)('the recorded runs are not here: ../shared/facts/recorded is missing', () => {})

interface Case {
  readonly path: string
  readonly scenario: string
  readonly version: Version
  readonly model: CaseModel
}

/** Every case of the specs by version, scenario and case: `v1.19 recorded tunnel`, `v1.19 fragments`. */
function allCases(): ReadonlyMap<string, Case> {
  const found = new Map<string, Case>()
  for (const name of readdirSync(join(root, folder)).filter((each) => each.endsWith('.scn'))) {
    const path = `${folder}/${name}`
    const model = load(root, path)
    if (!model.ok) throw new Error(`${path}: ${model.diagnostics.map(({ message }) => message).join('; ')}`)
    for (const scenario of model.value.scenarios) {
      for (const each of scenario.cases) {
        const version: Version = each.world.cilium?.version === '1.10' ? 'v1.10' : 'v1.19'
        const key = [version, scenario.name, ...(each.id === undefined ? [] : [each.id])].join(' ')
        found.set(key, { path, scenario: scenario.name, version, model: each })
      }
    }
  }
  return found
}

/** Where a recorded run lives: a case of `recorded`, or the scenario with its name. */
function keyOf(version: Version, { name }: RecordedRun): string {
  return name.includes('/') ? `${version} ${name.split('/')[1]}` : `${version} recorded ${name}`
}

/** The name of a step's packet: its id in the fixed list, its number in a scenario. */
function labelOf(run: RecordedRun, step: RecordedStep): string {
  return run.setup === undefined ? (step.title.split(' ')[0] ?? '') : `s${run.steps.indexOf(step) + 1}`
}

/** The first line is the frame at the sender's own device, where the spec has it as its packet. */
function behindSender(step: RecordedStep, proxied: boolean): readonly string[] {
  const timeline = step.timeline.map((event) =>
    event.kind === 'enter' && event.dir === 'egress'
      ? { ...event, hex: withoutMacs(event.hex ?? '') }
      : event,
  )
  const [first = '', ...rest] = timelineLines({ ...step, timeline }, proxied)
  if (!first.startsWith(`packet ${step.at}/eth0 out `)) throw new Error(`not the sender: ${first}`)
  return rest
}

/** One recorded case beside what its spec did. */
interface Pair {
  readonly title: string
  readonly label: string
  readonly found: Case | undefined
  readonly spec: SpecStep | undefined
  readonly frame: readonly [recorded: string, spec: string]
  readonly timeline: readonly string[]
  readonly maps: readonly string[]
}

function pairsOf(run: RecordedRun, version: Version, cases: ReadonlyMap<string, Case>): readonly Pair[] {
  const plain = run.steps.filter((step) => !isService(run, step))
  const proxied = run.config.tproxy !== undefined
  const found = cases.get(keyOf(version, run))
  const played =
    found === undefined || plain.length === 0 ? undefined : playSpec(found.model, { ...found, proxied })
  return plain.map((step) => {
    const label = labelOf(run, step)
    const spec = played?.get(label)
    return {
      title: `${run.name} ${label}`,
      label,
      found,
      spec,
      frame: [normalised(step.frame, proxied), normalised(spec?.frame ?? '', proxied)],
      timeline: behindSender(step, proxied),
      // what only undoes the work of a service case, which the spec does not have, changes nothing there
      maps: mapLines(step).filter((line) => spec?.known.has(line) !== true),
    }
  })
}

function same({ spec, frame, timeline, maps }: Pair): boolean {
  return (
    frame[0] === frame[1] && isDeepStrictEqual(spec?.lines, timeline) && isDeepStrictEqual(spec?.maps, maps)
  )
}

/** The files whose cases live as specs; recordings that come later are only replayed. */
const written = new Set([
  'tunnel',
  'native',
  'native-dsr',
  'tunnel-legacy',
  'tunnel-xdp',
  'native-dsr-xdp',
  'features',
  'ipv6',
])

function writtenRuns(place: string): RecordedRun[] {
  return readRuns(place).filter(({ name }) => written.has(name.split('/')[0] ?? ''))
}

const versions = [
  { version: 'v1.19', runs: writtenRuns(recorded) },
  { version: 'v1.10', runs: writtenRuns(join(recorded, 'v1.10')) },
] as const
const cases = present ? allCases() : new Map<string, Case>()

describe.skipIf(!present).each(versions)(
  'the recorded cases of Cilium $version as specs',
  ({ version, runs }) => {
    const pairs = runs.flatMap((run) => pairsOf(run, version, cases))
    for (const pair of pairs) {
      test(`${pair.title} is a packet of ${pair.found?.path ?? 'a spec'}`, () => {
        const { label, found, spec, frame, timeline, maps } = pair
        expect(spec, `no packet ${label}`).toBeDefined()
        expect(existsSync(join(root, found?.path.replace(/\.scn$/, '.trace') ?? ''))).toBe(true)
        expect(frame[1]).toBe(frame[0])
        expect(spec?.lines).toEqual(timeline)
        expect(spec?.maps).toEqual(maps)
      })
    }

    test('how many agree', () => {
      const agreed = pairs.filter(same)
      const lines = agreed.reduce((sum, { timeline }) => sum + timeline.length, 0)
      const maps = agreed.reduce((sum, pair) => sum + pair.maps.length, 0)
      console.log(
        `${version}: ${agreed.length} of ${pairs.length} recorded cases live as specs, ${lines} lines and ${maps} map changes agree`,
      )
      expect(pairs.length).toBeGreaterThan(0)
      expect(agreed.length).toBe(pairs.length)
    })
  },
)
