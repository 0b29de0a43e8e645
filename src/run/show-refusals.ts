// Commands of `show` steps that nobody here understands, said before anything runs. The words are tried on the world as it boots.
import type { Diagnostic } from '../base/diagnostic.ts'
import { boot } from '../boot/boot.ts'
import { mistake } from '../model/diagnose.ts'
import type { CaseModel, Model } from '../model/model.ts'
import type { Step } from '../model/step.ts'
import { answer, formsNear, knownTools } from './answer.ts'
import { Run } from './run-state.ts'

type Show = Extract<Step, { readonly kind: 'show' }>

/** One diagnostic for each command that is not understood. */
export function showRefusals(model: Model): readonly Diagnostic[] {
  if (model.unavailable.length > 0) return []
  const found = new Map<string, Diagnostic>()
  const tried = new Set<string>()
  for (const one of model.scenarios.flatMap(({ cases }) => cases)) {
    const fresh = one.steps
      .filter((step): step is Show => step.kind === 'show')
      .filter(({ span, command }) => !tried.has(`${span.start} ${command}`))
    for (const { step, word } of refused(one, fresh)) found.set(`${step.span.start}`, refusal(step, word))
    for (const { span, command } of fresh) tried.add(`${span.start} ${command}`)
  }
  return [...found.values()]
}

function refused(
  one: CaseModel,
  steps: readonly Show[],
): readonly { readonly step: Show; readonly word: string }[] {
  if (steps.length === 0) return []
  const run = new Run(boot(one.world, { seed: 1, trace: { full: false } }), one)
  return steps.flatMap((step) => {
    // a host that only comes later is told by the run itself
    if (!run.machine.namespaces.has(step.namespace)) return []
    const told = answer(run, step.namespace, step.command)
    return told.kind === 'unknown' ? [{ step, word: told.word }] : []
  })
}

function refusal({ command, span }: Show, word: string): Diagnostic {
  const { own, near } = formsNear(command)
  const tools = `one of ${knownTools.join(', ')}`
  const hint = own.length > 0 ? own.join('; ') : near === undefined ? tools : `did you mean \`${near}\`?`
  return mistake('S103', span, `\`${word}\` in \`${command}\` is not understood`, { hint })
}
