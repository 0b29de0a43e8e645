// `scn show`: a case is carried out up to some step, and a command that people know is answered for its nodes.
import { boot } from '../boot/boot.ts'
import type { Shown } from '../kernel/show/command-words.ts'
import type { CaseModel } from '../model/model.ts'
import type { Step } from '../model/step.ts'
import { answer } from './answer.ts'
import { Run } from './run-state.ts'
import { takeStep } from './steps.ts'

export interface ShowOptions {
  readonly seed: number
  readonly command: string
  /** How many steps are taken first; 0 shows the world after boot. */
  readonly steps: number
  /** Only this namespace; undefined: every one. */
  readonly node: string | undefined
}

export interface ShownNode {
  readonly node: string
  readonly shown: Shown
}

/** Runs the first steps of a case and answers the command for its namespaces, in order. */
export function showCase(model: CaseModel, options: ShowOptions): readonly ShownNode[] {
  const run = new Run(boot(model.world, { seed: options.seed, trace: { full: false } }), model)
  for (const step of model.steps.slice(0, options.steps)) takeStep(run, step)
  return [...run.machine.namespaces.values()]
    .filter((ns) => options.node === undefined || ns.name === options.node)
    .map((ns) => ({ node: ns.name, shown: answer(run, ns.name, options.command) }))
}

/**
 * How many steps have been taken after `after`: a number of a step from 1 on, a packet (`p1`, `p[17]`), or a flow or one
 * of its packets (`f1`: all of its steps, `f1.syn`: the first). undefined when no step has that name.
 */
export function stepsUntil(steps: readonly Step[], after: string): number | undefined {
  const number = Number(after)
  if (Number.isInteger(number)) return number >= 0 && number <= steps.length ? number : undefined
  const [label = ''] = after.split('.')
  const isNamed = (step: Step): boolean => {
    if (step.kind === 'packet') return step.name === after || step.label === after || step.name === label
    return step.kind === 'flow' && step.label === label
  }
  const at = label === after ? steps.findLastIndex(isNamed) : steps.findIndex(isNamed)
  return at === -1 ? undefined : at + 1
}

/** The names that `after` may have, for messages. */
export function stepNames(steps: readonly Step[]): readonly string[] {
  const names = steps.flatMap((step) =>
    step.kind === 'packet' ? [step.name] : step.kind === 'flow' ? [step.label] : [],
  )
  return [...new Set(names)]
}
