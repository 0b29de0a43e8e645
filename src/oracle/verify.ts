// One case on both sides: the model runs, the same world is built on the real kernel, the same steps are taken, and the
// two are compared. Nothing is written anywhere.
import { readFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { AssertionError } from '../base/assert.ts'
import { boot } from '../boot/boot.ts'
import type { CaseModel } from '../model/model.ts'
import { Bpf } from './bpf.ts'
import { isNeighbourTalk } from './canonical.ts'
import type { RingSize, TapFrame } from './capture.ts'
import { Changes } from './changes.ts'
import { pairPorts } from './chosen-ports.ts'
import { compareDeliveries, compareFlows, compareFrames, compareMap, type Difference } from './compare.ts'
import { readCounters } from './counters.ts'
import type { Reach } from './ground.ts'
import { type CounterReading, type ModelRun, mapName, runModel } from './model-run.ts'
import { KernelLacks, KernelRefused, type Libc, NotPossible, openLibc } from './native.ts'
import { type Abilities, probe, speaksIpv6, whyNot } from './possible.ts'
import { entriesOf } from './programs.ts'
import { RealSteps } from './real-steps.ts'
import { spelledOut } from './spelled-out.ts'
import { compareTables } from './tables.ts'
import { untilPunctual } from './tick.ts'
import { RealWorld } from './world.ts'

/** What became of a case. */
export type Verified =
  /** `paced`: only when the model's steps begin as late as the kernel's did. */
  | { readonly kind: 'agrees'; readonly frames: number; readonly paced: boolean }
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'differs'; readonly differences: readonly Difference[] }

/** The real kernel, ready to be asked. */
export interface Oracle {
  readonly reach: Reach
  readonly abilities: Abilities
}

/** Reaches the kernel. Throws NotPossible with a sentence for a person where it cannot be reached. */
export function openOracle(clock: () => number): Oracle {
  const libc = openLibc()
  const abilities = probe(libc)
  const bpf = new Bpf(libc, possibleCpus())
  tryBpf(libc, bpf)
  goFirst()
  return { reach: { libc, bpf, memory: libc.allocate(4096), clock }, abilities }
}

/** What two calls of one step have between them should be no other process: a tick is long enough for a delayed ACK. */
function goFirst(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGHEST)
  } catch {
    // without CAP_SYS_NICE the calls come as they come
  }
}

/** Programs are part of nearly every case: without bpf(2) there is nothing to verify. */
function tryBpf(libc: Libc, bpf: Bpf): void {
  try {
    libc.close(bpf.createMap({ type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 }))
  } catch (problem) {
    if (!(problem instanceof KernelRefused)) throw problem
    throw new NotPossible(`bpf(2) is refused (${problem.errno}): CAP_BPF and CAP_NET_ADMIN are needed`)
  }
}

/** Values of a per-CPU map: one for each possible CPU. */
function possibleCpus(): number {
  const text = readFileSync('/sys/devices/system/cpu/possible', 'utf8').trim()
  return Number(text.split(/[-,]/).at(-1)) + 1
}

/** Virtual time that a case may take without `slow`. */
const longestNs = 5_000_000_000
/** How often a case is tried whose calls come late. */
const asksMost = 5

export interface VerifyOptions {
  readonly seed: number
  readonly slow: boolean
}

/** Verifies a case. */
export function verifyCase(oracle: Oracle, written: CaseModel, options: VerifyOptions): Verified {
  const model = spelledOut(written)
  const reason = whyNot(model, oracle.abilities)
  if (reason !== undefined) return { kind: 'skipped', reason }
  let run: ModelRun
  try {
    run = runModel(model, options.seed)
  } catch (problem) {
    if (problem instanceof AssertionError)
      return { kind: 'skipped', reason: `the model stops: ${problem.message}` }
    throw problem
  }
  if (run.limit !== undefined) return { kind: 'skipped', reason: `it reaches the limit ${run.limit}` }
  if (run.elapsed > longestNs && !options.slow)
    return { kind: 'skipped', reason: 'it takes more than 5 s of real time (--slow)' }
  return untilPunctual(() => ask(oracle, model, run, options.seed), asksMost)
}

/** A world on the real kernel, and what changes it. */
interface Stage {
  readonly world: RealWorld
  readonly changes: Changes
}

/** Asks the kernel once, in a world of its own. */
function ask(
  oracle: Oracle,
  model: CaseModel,
  run: ModelRun,
  seed: number,
): { readonly result: Verified; readonly disturbed: boolean } {
  const start = boot(model.world, { seed })
  const options = { ring: ringFor(run), ipv6: speaksIpv6(model) }
  const world = new RealWorld(oracle.reach, model.world, start, options)
  const changes = new Changes(world, start, model)
  const result = answerOf(oracle, model, run, { world, changes }, seed)
  return { result, disturbed: world.punctuality.disturbed }
}

function answerOf(oracle: Oracle, model: CaseModel, run: ModelRun, stage: Stage, seed: number): Verified {
  try {
    return verifyRun(oracle, model, run, stage, seed)
  } catch (problem) {
    if (problem instanceof KernelLacks || problem instanceof NotPossible)
      return { kind: 'skipped', reason: problem.message }
    if (!(problem instanceof KernelRefused)) throw problem
    const { message } = problem
    return { kind: 'differs', differences: [{ subject: 'the set-up', model: 'accepted', kernel: message }] }
  } finally {
    stage.world.close()
  }
}

/** What the real kernel did, apart from what can still be asked of its namespaces. */
interface KernelRun {
  readonly world: RealWorld
  readonly steps: RealSteps
  /** Counters of the nodes that are asked about, by the step they are asked after; -1 is before the first. */
  readonly counters: ReadonlyMap<number, Counters>
}

function verifyRun(
  oracle: Oracle,
  model: CaseModel,
  run: ModelRun,
  { world, changes }: Stage,
  seed: number,
): Verified {
  world.build()
  const steps = new RealSteps(world, changes, run, oracle.reach.clock)
  const nodes = new Set(run.counters.map(({ node }) => node))
  const asked = new Set(run.counters.map(({ afterStep }) => afterStep))
  const counters = new Map([[-1, readAll(world, nodes)]])
  for (const atom of run.atoms) {
    steps.take(atom)
    if (atom.last && asked.has(atom.index)) counters.set(atom.index, readAll(world, nodes))
  }
  world.pass(5 + run.rest / 1e6)
  steps.over()
  world.finish()
  const kernel = { world, steps, counters }
  const differences = compareRuns(oracle, run, kernel)
  if (differences.length === 0) return { kind: 'agrees', frames: run.frames.length, paced: false }
  const paced = runModel(model, seed, steps.pace)
  if (paced.limit === undefined && compareRuns(oracle, paced, kernel).length === 0)
    return { kind: 'agrees', frames: paced.frames.length, paced: true }
  return { kind: 'differs', differences }
}

function compareRuns(oracle: Oracle, run: ModelRun, { world, steps, counters }: KernelRun): Difference[] {
  const { namespaces } = world.ground
  const ports = pairPorts(run.machine, namespaces)
  const differences = [
    ...compareFrames(comparable(run.frames, run), comparable(world.capture.frames, run), ports),
    ...compareFlows(run, steps.flows),
    ...compareDeliveries(run, world.deliveries),
    ...compareCounters(run, counters),
    ...compareRefusals(run.refusals, steps.refusals),
  ]
  const detail = run.elapsed > longestNs ? 'known' : 'names'
  const late = (): number => steps.sinceOver() / 1000
  differences.push(...compareTables(run.machine, namespaces, { detail, ports, late }))
  for (const [node, { maps }] of world.ground.programs) {
    for (const map of maps) {
      const name = mapName(node, map.program, map.name)
      differences.push(...compareMap(name, run.maps.get(name) ?? new Map(), entriesOf(oracle.reach.bpf, map)))
    }
  }
  return differences
}

function compareRefusals(model: readonly string[], kernel: readonly string[]): Difference[] {
  const said = (refusals: readonly string[]): string => refusals.join('; ') || 'nothing'
  const subject = 'refused changes'
  return said(model) === said(kernel) ? [] : [{ subject, model: said(model), kernel: said(kernel) }]
}

/** Rings with room for twice what the model saw, and for its largest frame. */
function ringFor(run: ModelRun): RingSize {
  let bytes = 1600
  for (const frame of run.frames) bytes = Math.max(bytes, frame.bytes.length)
  return { frames: 2 * run.frames.length + 64, bytes }
}

/** The kernel's reachable time is a random number from 15 s to 45 s: after it nobody can tell when a neighbour is asked again. */
const reachableLeastNs = 15_000_000_000

function comparable(frames: readonly TapFrame[], run: ModelRun): readonly TapFrame[] {
  return run.elapsed < reachableLeastNs ? frames : frames.filter(({ bytes }) => !isNeighbourTalk(bytes))
}

type Counters = ReadonlyMap<string, ReadonlyMap<string, number>>

function readAll(world: RealWorld, nodes: ReadonlySet<string>): Counters {
  return new Map([...nodes].map((node) => [node, readCounters(world.ground.namespaces, node)]))
}

/** Compares what the case asks for; what the set-up counted does not belong to it. */
function compareCounters(run: ModelRun, counters: ReadonlyMap<number, Counters>): Difference[] {
  const found: Difference[] = []
  for (const reading of run.counters) {
    const { node } = reading
    const key = counterKey(reading)
    const value = counters.get(reading.afterStep)?.get(node)?.get(key)
    if (value === undefined) continue // a counter that only a card has
    const real = value - (counters.get(-1)?.get(node)?.get(key) ?? 0)
    if (real !== reading.value)
      found.push({ subject: `counter ${node} ${key}`, model: String(reading.value), kernel: String(real) })
  }
  return found
}

function counterKey({ device, name }: CounterReading): string {
  return device === undefined ? name : `${device} ${name}`
}
