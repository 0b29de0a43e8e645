// `scn trace SELECTOR`: run and show, compare nothing.

import { renderDiagnostics } from '../../report/diagnostic.ts'
import { flowsWanted, hubbleText, monitorText, type Wanted } from '../../run/monitor.ts'
import { type Simulated, simulate } from '../../run/simulate.ts'
import type { Level, Trace } from '../../trace/event.ts'
import { formatSections } from '../../trace/format.ts'
import { sectionOf } from '../../trace/section-of.ts'
import type { Console } from '../console.ts'
import { exitCode } from '../exit-code.ts'
import { writeBytes, writeWhole } from '../files.ts'
import { load } from '../load.ts'
import { mustExist } from '../selection.ts'
import { parseSelector, selectable, selects } from '../selector.ts'
import { UsageError } from '../usage.ts'

export const traceForms = ['text', 'json', 'mermaid', 'pcapng', 'tcpdump', 'monitor', 'hubble'] as const
export type TraceForm = (typeof traceForms)[number]

export interface TraceArguments {
  readonly selector: string
  /** The scenario's own level when undefined. */
  readonly level: Level | undefined
  readonly form: TraceForm
  readonly seed: number
  readonly file: string | undefined
  /** Behind `--`: the flags of `hubble observe` that choose flows. */
  readonly filters: readonly string[]
}

/** A case that was run to be shown. */
interface Shown {
  readonly trace: Trace
  readonly level: Level
  readonly run: Simulated
}

/** Runs the selected cases and writes them in one form; several cases only where the form can hold them. */
export async function traceCommand(args: TraceArguments, console: Console): Promise<number> {
  const filter = filterOf(args)
  const selector = parseSelector(args.selector)
  mustExist(console.cwd, selector.path)
  const loaded = load(console.cwd, selector.path)
  if (!loaded.ok) {
    console.err(`${renderDiagnostics(loaded.diagnostics)}\n`)
    return exitCode.rejected
  }
  if (loaded.value.unavailable.length > 0) {
    console.err(`${renderDiagnostics(loaded.value.unavailable)}\n`)
    return exitCode.engine
  }
  const shown: Shown[] = []
  for (const scenario of loaded.value.scenarios) {
    const own = scenario.golden === 'off' ? 'hops' : scenario.golden
    const level = args.level ?? own
    for (const each of scenario.cases) {
      if (!selects(selector, selectable(selector.path, scenario, each))) continue
      const run = simulate(each, {
        seed: args.seed,
        scenario: scenario.name,
        full: level === 'full' || args.form === 'pcapng',
      })
      shown.push({ trace: run.trace, level, run })
    }
  }
  if (shown.length === 0) {
    console.err(`scn: no case is selected by \`${args.selector}\`; scn list names them all\n`)
    return exitCode.nothing
  }
  await write(shown, { ...args, filter }, console)
  return exitCode.passed
}

/** Which flows are wanted; only Hubble's can be chosen. */
function filterOf({ form, filters }: TraceArguments): Wanted {
  if (filters.length > 0 && form !== 'hubble')
    throw new UsageError(`\`${filters[0]}\` behind \`--\` chooses flows of \`--as hubble\``)
  const wanted = flowsWanted(filters)
  if (typeof wanted === 'string') throw new UsageError(wanted)
  return wanted
}

async function write(
  shown: readonly Shown[],
  args: TraceArguments & { readonly filter: Wanted },
  console: Console,
): Promise<void> {
  if (args.form === 'pcapng') {
    const { traceToPcapng } = await import('../../trace/pcapng.ts')
    for (const [index, { trace }] of shown.entries()) {
      const name = args.file ?? `${trace.scenario}${trace.case === undefined ? '' : `.${trace.case}`}.pcapng`
      const file =
        index === 0 || args.file === undefined ? name : name.replace(/(\.[^.]*)?$/, `.${index + 1}$1`)
      writeBytes(console.cwd, file, traceToPcapng(trace))
      console.out(`wrote ${file}\n`)
    }
    return
  }
  const text = await textOf(shown, args.form, args.filter)
  if (args.file === undefined) console.out(text)
  else writeWhole(console.cwd, args.file, text)
}

async function textOf(
  shown: readonly Shown[],
  form: Exclude<TraceForm, 'pcapng'>,
  filter: Wanted,
): Promise<string> {
  switch (form) {
    case 'text':
      return formatSections(shown.map(({ trace, level }) => sectionOf(trace, { level })))
    case 'json': {
      const { traceToJson } = await import('../../trace/json.ts')
      const values = shown.map(({ trace }) => traceToJson(trace))
      return `${JSON.stringify(values.length === 1 ? values[0] : values, undefined, 2)}\n`
    }
    case 'mermaid': {
      const { traceToMermaid } = await import('../../trace/mermaid.ts')
      return shown.map(({ trace }) => traceToMermaid(trace)).join('\n')
    }
    case 'tcpdump': {
      const { traceToTcpdump } = await import('../../trace/tcpdump.ts')
      return shown.map(({ trace }) => traceToTcpdump(trace)).join('\n')
    }
    case 'monitor':
      return shown.map(({ run }) => notified(run, monitorText)).join('\n')
    case 'hubble':
      return shown.map(({ run }) => notified(run, (...told) => hubbleText(...told, filter))).join('')
  }
}

/** What Cilium's own tools tell of one case, which must have Cilium on its nodes. */
function notified({ trace, context, deviceName }: Simulated, tell: typeof monitorText): string {
  if (context.cilium !== undefined) return tell(trace, context.cilium, deviceName)
  throw new UsageError(`\`${trace.scenario}\` has no \`cluster cilium\`; nobody sends notifications there`)
}
