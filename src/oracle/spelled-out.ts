// `reach` for the real kernel: one flow for each pair, one after the other in one world, on both sides alike.
import type { CaseModel } from '../model/model.ts'
import type { FlowStep, ReachStep, Step } from '../model/step.ts'
import { flowOf } from '../run/reach.ts'

/** Real time that an attempt without an answer may take: shorter than a SYN waits before it is sent again. */
const patience = 800_000_000

/** Where the ports of the clients begin: below those that a kernel chooses, and above those that people listen on. */
const firstPort = 20_000

function flowsOf(step: ReachStep, taken: number): readonly FlowStep[] {
  return step.probes.map((probe, index) => {
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
  for (const step of model.steps) {
    steps.push(...(step.kind === 'reach' ? flowsOf(step, steps.length) : [step]))
    last.push(steps.length - 1)
  }
  const expectations = model.expectations.map((each) => ({ ...each, afterStep: last[each.afterStep] ?? -1 }))
  return { ...model, steps, expectations }
}
