// `reach` for the real kernel: one flow for each pair, one after the other in one world, on both sides alike.
import type { CaseModel } from '../model/model.ts'
import type { FlowStep, ReachStep, Step } from '../model/step.ts'
import { flowOf } from '../run/reach.ts'

/** Real time that an attempt without an answer may take: shorter than a SYN waits before it is sent again. */
const patience = 800_000_000

/** Where the ports of the clients begin: below those that a kernel chooses, and above those that people listen on. */
const firstPort = 20_000

/** Probes of hosts that are not there at this step are left out: the steps before it say who has gone and who is to come. */
function flowsOf(step: ReachStep, taken: number, absent: ReadonlySet<string>): readonly FlowStep[] {
  const probes = step.probes.filter(({ from, to, host }) => {
    if (absent.has(from)) return false
    return to !== host || !absent.has(host) // an address is asked whoever had it
  })
  return probes.map((probe, index) => {
    const number = taken + index
    const flow = flowOf(probe, step, { label: `reach ${number}`, patience })
    return { ...flow, from: { ...flow.from, port: firstPort + number } }
  })
}

/** The same case with flows in place of each step that tries pairs; claims stand behind the last of them. */
export function spelledOut(model: CaseModel): CaseModel {
  if (!model.steps.some(({ kind }) => kind === 'reach')) return model
  const steps: Step[] = []
  const last: number[] = []
  const absent = new Set(model.world.cluster?.late.map(({ pod }) => pod.name))
  for (const step of model.steps) {
    if (step.kind === 'delete' && step.device === undefined) absent.add(step.namespace)
    if (step.kind === 'add-pod') absent.delete(step.name)
    steps.push(...(step.kind === 'reach' ? flowsOf(step, steps.length, absent) : [step]))
    last.push(steps.length - 1)
  }
  const expectations = model.expectations.map((each) => ({ ...each, afterStep: last[each.afterStep] ?? -1 }))
  return { ...model, steps, expectations }
}
