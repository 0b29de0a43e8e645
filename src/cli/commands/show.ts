// `scn show SELECTOR COMMAND`: what a tool that people know would print in a simulated node.
import { closest } from '../../base/closest.ts'
import type { CaseModel, ScenarioModel } from '../../model/model.ts'
import { renderDiagnostics } from '../../report/diagnostic.ts'
import { formsNear, knownCommands } from '../../run/answer.ts'
import { type ShownNode, showCase, stepNames, stepsUntil } from '../../run/show.ts'
import type { Console } from '../console.ts'
import { exitCode } from '../exit-code.ts'
import { load } from '../load.ts'
import { parseSelector, selectable, selectorText, selects } from '../selector.ts'
import { UsageError } from '../usage.ts'

export interface ShowArguments {
  readonly selector: string
  /** `ip route`, in one or several words. */
  readonly command: string
  readonly node: string | undefined
  /** A step or packet; undefined: after all steps. */
  readonly after: string | undefined
  /** After boot, before the first step. */
  readonly before: boolean
  readonly seed: number
}

interface Chosen {
  readonly scenario: ScenarioModel
  readonly one: CaseModel
}

/** Shows one case; a file with several needs a selector that names one. */
export async function showCommand(args: ShowArguments, console: Console): Promise<number> {
  const selector = parseSelector(args.selector)
  const loaded = load(console.cwd, selector.path)
  if (!loaded.ok) {
    console.err(`${renderDiagnostics(loaded.diagnostics)}\n`)
    return exitCode.rejected
  }
  const { value } = loaded
  if (value.unavailable.length > 0) {
    console.err(`${renderDiagnostics(value.unavailable)}\n`)
    return exitCode.engine
  }
  const found = value.scenarios.flatMap((scenario) =>
    scenario.cases
      .filter((one) => selects(selector, selectable(selector.path, scenario, one)))
      .map((one): Chosen => ({ scenario, one })),
  )
  const [chosen] = found
  if (chosen === undefined) {
    console.err(`scn: no case is selected by \`${args.selector}\`; scn list names them all\n`)
    return exitCode.nothing
  }
  if (found.length > 1 && !isOneWorld(found, args)) throw severalCases(selector.path, found)
  const steps = args.before ? 0 : stepsOf(chosen.one, args.after)
  const nodes = showCase(chosen.one, { seed: args.seed, command: args.command, node: args.node, steps })
  if (nodes.length === 0) throw noNode(chosen.one, args.node)
  const stray = nodes.find(({ shown }) => shown.kind === 'unknown')
  if (stray?.shown.kind === 'unknown') throw unknownCommand(args.command, stray.shown.word)
  return print(nodes, args.node !== undefined, console)
}

/** Cases that share one world look the same before the first step. */
function isOneWorld(found: readonly Chosen[], args: ShowArguments): boolean {
  return args.before && found.every(({ one }) => one.world === found[0]?.one.world)
}

function severalCases(path: string, found: readonly Chosen[]): UsageError {
  const names = found.slice(0, 5).map(({ scenario, one }) => `  ${selectorText(path, scenario.name, one.id)}`)
  const more = found.length > names.length ? `\n  and ${found.length - names.length} more` : ''
  return new UsageError(
    `\`${path}\` has ${found.length} cases; name one of them:\n${names.join('\n')}${more}`,
  )
}

function stepsOf(one: CaseModel, after: string | undefined): number {
  if (after === undefined) return one.steps.length
  const steps = stepsUntil(one.steps, after)
  if (steps !== undefined) return steps
  const names = stepNames(one.steps)
  const near = closest(after, names)
  const hint =
    near === undefined ? ` (1 to ${one.steps.length}, or ${names.join(', ')})` : `; did you mean \`${near}\`?`
  throw new UsageError(`no step or packet is called \`${after}\`${hint}`)
}

function noNode(one: CaseModel, node: string | undefined): UsageError {
  const names = one.world.namespaces.map(({ name }) => name)
  const near = node === undefined ? undefined : closest(node, names)
  const hint = near === undefined ? `; there are ${names.join(', ')}` : `; did you mean \`${near}\`?`
  return new UsageError(`nothing is called \`${node ?? ''}\`${hint}`)
}

function unknownCommand(command: string, word: string): UsageError {
  const { own, near } = formsNear(command)
  const hint = near === undefined ? '.' : `; did you mean \`${near}\`?`
  const forms = (own.length > 0 ? own : knownCommands).map((form) => `  ${form}`)
  return new UsageError(
    `\`${word}\` in \`${command}\` is not understood${hint} Known are:\n${forms.join('\n')}`,
  )
}

function print(nodes: readonly ShownNode[], isOne: boolean, console: Console): number {
  let answered = false
  const complaints: string[] = []
  for (const { node, shown } of nodes) {
    if (shown.kind === 'missing')
      complaints.push(isOne ? `${shown.message}\n` : `${node}: ${shown.message}\n`)
    if (shown.kind !== 'text') continue
    if (!isOne) console.out(`${answered ? '\n' : ''}== ${node} ==\n`)
    answered = true
    console.out(shown.text)
  }
  // A device that only some nodes have is no mistake: the others have nothing to say of it.
  if (answered) return exitCode.passed
  for (const complaint of complaints) console.err(complaint)
  return exitCode.usage
}
