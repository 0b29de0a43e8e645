// One case, from its model to its trace: boots a machine, carries out the steps, looks at the state at each point where
// the file asks about it, and closes the trace.

import type { CaseModel } from '../model/model.ts'
import type { Trace } from '../trace/event.ts'
import { begin } from './begin.ts'
import type { ClaimContext } from './expect/context.ts'
import { evaluate } from './expect/evaluate.ts'
import { nameAddresses } from './names.ts'
import type { Run } from './run-state.ts'
import { stateView } from './state-view.ts'
import { takeStep } from './steps.ts'
import { finishTrace } from './trace-end.ts'
import type { Failure } from './verdict.ts'

export interface SimulateOptions {
  readonly seed: number
  readonly scenario: string
  /** Whether lookups, helper calls and the `full` stages are recorded. */
  readonly full: boolean
}

export interface Simulated {
  readonly trace: Trace
  readonly context: ClaimContext
  /** Failed claims about state, which were asked at their step. */
  readonly failures: readonly Failure[]
  readonly limit: string | undefined
  /** The name of a device of a node by its number, the number where there is none. */
  readonly deviceName: DeviceName
}

export type DeviceName = (node: string, ifindex: number) => string

/** Runs a case. The same model, scenario and seed always give the same trace. */
export function simulate(model: CaseModel, options: SimulateOptions): Simulated {
  const run = begin(model, options)
  const stateClaims = model.expectations.filter(({ subject }) => subject.kind === 'state')
  const failures: Failure[] = []
  const ask = (afterStep: number): void => {
    const due = stateClaims.filter((claim) => claim.afterStep === afterStep)
    if (due.length === 0) return
    const context = contextOf(run, finishTrace(run, options.scenario))
    for (const claim of due) {
      const failure = evaluate(claim, context)
      if (failure !== undefined) failures.push(failure)
    }
  }
  ask(-1)
  for (const [index, step] of model.steps.entries()) {
    takeStep(run, step)
    ask(index)
  }
  const trace = finishTrace(run, options.scenario)
  const deviceName: DeviceName = (node, ifindex) =>
    run.machine.namespaces.get(node)?.devices.get(ifindex)?.name ?? String(ifindex)
  failures.push(...run.failures)
  return { trace, context: contextOf(run, trace), failures, limit: run.limit, deviceName }
}

/** What claims may look at, as the machine is now. */
function contextOf(run: Run, trace: Trace): ClaimContext {
  return {
    trace,
    packets: new Map(trace.packets.map((packet) => [packet.name, packet])),
    flows: run.flowResults(),
    state: stateView(run),
    cilium: run.booted.cilium,
    captured: run.captured,
    nameOf: nameAddresses(run.model.world),
  }
}
