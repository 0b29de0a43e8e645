// The model's half: a case is run step by step, operation by operation, with a tap on every device, and everything that
// the kernel's half must know or must agree with is written down.
import { type Booted, boot } from '../boot/boot.ts'
import { cpus } from '../boot/maps.ts'
import { mapGet, mapKeys } from '../bpf/user.ts'
import type { NetDevice } from '../kernel/device/device.ts'
import type { Machine } from '../kernel/machine.ts'
import type { CaseModel } from '../model/model.ts'
import type { Step } from '../model/step.ts'
import type { FlowResult } from '../run/expect/context.ts'
import { refusalsOf } from '../run/refused-change.ts'
import { Run } from '../run/run-state.ts'
import { stateView } from '../run/state-view.ts'
import { takeStep } from '../run/steps.ts'
import type { PacketTrace } from '../trace/event.ts'
import { type TapFrame, withTag } from './capture.ts'
import { hex } from './programs.ts'

/** One operation or one step, and what it took in the model. */
export interface Atom {
  readonly step: Step
  /** The index of the step in the case. */
  readonly index: number
  /** Whether it is the last of its step. */
  readonly last: boolean
  /** Virtual nanoseconds that passed. */
  readonly elapsed: number
  /** Frames at taps when it was over. */
  readonly frames: number
}

/** A counter that a claim asks for. `device` undefined: a counter of the namespace. */
export interface CounterReading {
  readonly afterStep: number
  readonly node: string
  readonly device: string | undefined
  readonly name: string
  readonly value: number
}

export interface ModelRun {
  /** The machine as it is at the end. */
  readonly machine: Machine
  readonly frames: readonly TapFrame[]
  readonly atoms: readonly Atom[]
  readonly flows: ReadonlyMap<string, FlowResult>
  readonly packets: readonly PacketTrace[]
  readonly counters: readonly CounterReading[]
  /** Entries of maps, as hexadecimal digits, by namespace, program and map. */
  readonly maps: ReadonlyMap<string, ReadonlyMap<string, string>>
  readonly elapsed: number
  /** Nanoseconds after the last step until no timer is about to fire. */
  readonly rest: number
  readonly limit: string | undefined
  /** What rtnetlink refused of the case's changes, in their order. */
  readonly refusals: readonly string[]
}

/** Longer than the steps of the timer wheel for delays of a second: real timers fire that much earlier or later. */
const quietNs = 100_000_000
/** Something that fires again and again is not waited for. */
const restMostNs = 1_000_000_000

/** Lets time pass until nothing is about to happen: a case must not end in the moment in which a timer fires. */
function rest(run: Run): number {
  const { clock } = run.machine
  const from = clock.now
  for (let next = clock.nextTimer(); next !== undefined; next = clock.nextTimer()) {
    if (next > clock.now + quietNs || clock.now - from > restMostNs) break
    run.pass(next - clock.now)
  }
  if (clock.now > from) run.pass(quietNs / 2)
  return clock.now - from
}

/** A step as single operations: a flow's are taken one by one. */
export function atomsOf(step: Step): readonly Step[] {
  if (step.kind !== 'flow' || step.operations.length < 2) return [step]
  return step.operations.map((operation, index) => ({
    ...step,
    first: step.first && index === 0,
    operations: [operation],
  }))
}

/** The name of a map across both halves. */
export function mapName(node: string, program: string, map: string): string {
  return `${node}/${program}/${map}`
}

/**
 * Runs a case in the simulator. `pace` says when each atom is over at the earliest, in nanoseconds since the first began:
 * work takes no virtual time, but a real kernel's timers go on while it works.
 */
export function runModel(model: CaseModel, seed: number, pace: readonly number[] = []): ModelRun {
  const booted = boot(model.world, { seed, trace: { full: false } })
  const { machine } = booted
  const frames: TapFrame[] = []
  const tapped = new Set<NetDevice>()
  tapAll(machine, tapped, frames)
  const run = new Run(booted, model)
  const began = machine.clock.now
  const atoms: Atom[] = []
  const counters: CounterReading[] = [...readCounters(model, run, -1)]
  for (const [index, step] of model.steps.entries()) {
    const parts = atomsOf(step)
    for (const [part, atom] of parts.entries()) {
      const before = machine.clock.now
      takeStep(run, atom)
      tapAll(machine, tapped, frames)
      const late = began + (pace[atoms.length] ?? 0) - machine.clock.now
      if (late > 0) run.pass(late)
      const last = part === parts.length - 1
      atoms.push({ step: atom, index, last, elapsed: machine.clock.now - before, frames: frames.length })
    }
    counters.push(...readCounters(model, run, index))
  }
  const elapsed = machine.clock.now - began
  const rested = pace.length === 0 ? rest(run) : 0
  return {
    machine,
    frames,
    atoms,
    flows: run.flowResults(),
    packets: machine.trace?.packets ?? [],
    counters,
    maps: readMaps(booted),
    elapsed,
    rest: rested,
    limit: run.limit,
    refusals: refusalsOf(run.steps),
  }
}

/** Taps on the devices that have none yet. */
function tapAll(machine: Machine, tapped: Set<NetDevice>, frames: TapFrame[]): void {
  for (const ns of machine.namespaces.values()) {
    for (const dev of ns.devices.values()) {
      if (tapped.has(dev)) continue
      tapped.add(dev)
      dev.taps.push((at, skb, direction) => {
        const bytes = skb.bytes.slice(skb.data, skb.data + skb.length)
        frames.push({
          node: at.ns.name,
          device: at.name,
          direction,
          bytes: skb.vlanTci < 0 ? bytes : withTag(bytes, skb.vlanTci, skb.vlanProtocol),
          time: BigInt(frames.length),
          packet: skb.record?.name ?? '',
        })
      })
    }
  }
}

function readCounters(model: CaseModel, run: Run, afterStep: number): CounterReading[] {
  const view = stateView(run)
  const readings: CounterReading[] = []
  for (const { claim, afterStep: step } of model.expectations) {
    if (claim.body.kind !== 'counter' || step !== afterStep) continue
    const { node, device } = claim.body.place.value
    const name = claim.body.name.value
    const value = view.counter({ node, device }, name)
    if (value !== undefined) readings.push({ afterStep, node, device, name, value })
  }
  return readings
}

function readMaps(booted: Booted): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const all = new Map<string, ReadonlyMap<string, string>>()
  for (const [node, programs] of booted.programs) {
    for (const [program, { maps }] of programs) {
      for (const [name, map] of maps) {
        if (!('peek' in map)) continue
        const entries = new Map<string, string>()
        for (const key of mapKeys(map)) {
          const got = mapGet(map, key, { cpus })
          if (got.kind === 'value') entries.set(hex(key), hex(got.value.subarray(0, map.spec.valueSize)))
        }
        all.set(mapName(node, program, name), entries)
      }
    }
  }
  return all
}
