// npm run fuzz:kernel -- [--runs N] [--seed S] [--only route,tc,...] [--keep DIR] [--jobs N] [--tries N] [--seconds N]:
// random scenarios in the model and on the real kernel of this machine. A disagreement is cut to the smallest file found
// within so many tries and seconds, and printed. SIGINT and SIGTERM end the search after the present run of the kernel.
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { rulesetMistakes } from '../src/boot/rulesets.ts'
import { check } from '../src/model/check.ts'
import type { CaseModel } from '../src/model/model.ts'
import type { Difference } from '../src/oracle/compare.ts'
import { NotPossible } from '../src/oracle/native.ts'
import { type Oracle, openOracle, verifyCase } from '../src/oracle/verify.ts'
import { renderDiagnostics } from '../src/report/diagnostic.ts'
import { parse } from '../src/syntax/parse.ts'
import { areas, draftText } from './fuzz/draft.ts'
import { noiseIn } from './fuzz/noise.ts'
import { withoutRefused } from './fuzz/refused.ts'
import { shrink } from './fuzz/shrink.ts'

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    keep: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    tries: { type: 'string', default: '150' },
    seconds: { type: 'string', default: '300' },
    print: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
})

/** The signal that ends the search. */
let ended: NodeJS.Signals | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (ended = signal))

/** A run of the kernel lets no signal through: between two of them there is a moment for one. */
const breath = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A text as a case, or why it is none. */
function caseOf(text: string): CaseModel | string {
  const parsed = parse({ name: 'draft.scn', text })
  if (!parsed.ok) return renderDiagnostics(parsed.diagnostics)
  const checked = check(
    { main: parsed.value, imports: new Map([['draft.scn', parsed.value]]) },
    rulesetMistakes,
  )
  if (!checked.ok) return renderDiagnostics(checked.diagnostics)
  return checked.value.scenarios[0]?.cases[0] ?? 'no case'
}

type Result =
  | { readonly kind: 'agrees' | 'paced' | 'noise' }
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'differs'; readonly differences: readonly Difference[] }

async function tryOn(oracle: Oracle, model: CaseModel, text: string): Promise<Result> {
  await breath()
  const taken = withoutRefused(oracle, model)
  if (!('world' in taken)) return { kind: 'differs', differences: taken }
  const result = verifyCase(oracle, taken, { seed: 1, slow: true })
  if (result.kind === 'agrees') return { kind: result.paced ? 'paced' : 'agrees' }
  if (result.kind === 'skipped') {
    if (!result.reason.startsWith('the model stops')) return result
    return { kind: 'differs', differences: [{ subject: 'the run', model: result.reason, kernel: 'goes on' }] }
  }
  return noiseIn(result.differences, text) === undefined ? result : { kind: 'noise' }
}

/** What a disagreement is about, roughly: cutting must not lead from one to another. */
function kindOf(differences: readonly Difference[]): string {
  const first = differences[0]
  if (first === undefined) return ''
  if (first.subject.startsWith('counter')) return first.subject.split(' ').slice(2).join(' ')
  if (first.subject === 'the set-up') return first.kernel.split('\n')[0] ?? ''
  const about = /^(?:neighbour|a flow|a rule|map|a datagram)/.exec(first.subject)?.[0] ?? 'frame'
  const side = first.model === 'nothing' ? 'kernel' : first.kernel === 'nothing' ? 'model' : 'both'
  return `${about} ${side}`
}

function textOf({ subject, model, kernel }: Difference): string {
  return `  ${subject}\n    model:  ${model}\n    kernel: ${kernel}`
}

interface Tally {
  agrees: number
  /** Agrees when the model's steps begin as late as the kernel's did. */
  paced: number
  noise: number
  rejected: number
  unstable: number
  readonly skipped: Map<string, number>
  readonly found: number[]
}

function report(seed: number, text: string, differences: readonly Difference[]): void {
  console.log(`\n==== seed ${seed}\n${text}\n${differences.slice(0, 4).map(textOf).join('\n')}`)
  if (options.keep === undefined) return
  mkdirSync(options.keep, { recursive: true })
  const remarks = differences.map(textOf).join('\n').replaceAll(/^/gm, '# ')
  writeFileSync(join(options.keep, `seed-${seed}.scn`), `${text}\n${remarks}\n`)
}

async function runSeed(oracle: Oracle, seed: number, only: ReadonlySet<string>, tally: Tally): Promise<void> {
  const text = draftText(seed, only)
  if (options.print) console.log(text)
  const model = caseOf(text)
  if (typeof model === 'string') {
    tally.rejected += 1
    if (options.verbose) console.log(`seed ${seed} is rejected\n${model}`)
    return
  }
  const result = await tryOn(oracle, model, text)
  if (result.kind === 'skipped') tally.skipped.set(result.reason, (tally.skipped.get(result.reason) ?? 0) + 1)
  else if (result.kind !== 'differs') tally[result.kind] += 1
  else await settle(oracle, { seed, text, model, first: result.differences }, tally)
}

interface Suspicion {
  readonly seed: number
  readonly text: string
  readonly model: CaseModel
  readonly first: readonly Difference[]
}

/** A disagreement counts when it shows three times; then it is cut. */
async function settle(oracle: Oracle, { seed, text, model, first }: Suspicion, tally: Tally): Promise<void> {
  for (let again = 0; again < 2; again += 1) {
    if ((await tryOn(oracle, model, text)).kind === 'differs') continue
    tally.unstable += 1
    console.log(`\nseed ${seed} differs only sometimes\n${first.slice(0, 2).map(textOf).join('\n')}`)
    return
  }
  tally.found.push(seed)
  let differences = first
  const wanted = kindOf(first)
  const shows = async (candidate: string): Promise<boolean | undefined> => {
    const tried = caseOf(candidate)
    if (typeof tried === 'string') return undefined
    const result = await tryOn(oracle, tried, candidate)
    if (result.kind !== 'differs' || kindOf(result.differences) !== wanted) return false
    differences = result.differences
    return true
  }
  const end = performance.now() + 1000 * Number(options.seconds)
  const goesOn = (): boolean => ended === undefined && performance.now() < end
  const small = await shrink(text, shows, { tries: Number(options.tries), goesOn })
  report(seed, small, differences)
}

async function runAll(): Promise<number> {
  const only = new Set((options.only ?? '').split(',').filter((word) => word !== ''))
  const unknown = [...only].find((word) => !areas.some((area) => area === word))
  if (unknown !== undefined) {
    console.error(`unknown area \`${unknown}\`; there are ${areas.join(', ')}`)
    return 3
  }
  const oracle = await openOracle(() => performance.now())
  const tally: Tally = {
    agrees: 0,
    paced: 0,
    noise: 0,
    rejected: 0,
    unstable: 0,
    skipped: new Map(),
    found: [],
  }
  const [first, runs] = [Number(options.seed), Number(options.runs)]
  let seed = first
  for (; seed < first + runs && ended === undefined; seed += 1) await runSeed(oracle, seed, only, tally)
  const skipped = [...tally.skipped].map(([reason, count]) => `${count} ${reason}`).join('; ')
  console.log(
    `\nseeds ${first} to ${seed - 1}${ended === undefined ? '' : ` (ended by ${ended})`}: ${tally.agrees} agree, ${tally.paced} agree at the kernel's pace, ${tally.found.length} differ (${tally.found.join(' ')}), ${tally.unstable} differ only sometimes, ${tally.noise} known noise, ${tally.rejected} rejected by the checks, skipped: ${skipped || 'none'}`,
  )
  if (tally.found.length > 0) return 1
  return ended === undefined ? 0 : 128 + constants.signals[ended]
}

/** The same command in several processes, each with its part of the seeds. */
async function runJobs(jobs: number): Promise<number> {
  const [first, runs] = [Number(options.seed), Number(options.runs)]
  const share = Math.ceil(runs / jobs)
  const codes = Array.from({ length: jobs }, (_each, index) => {
    const own = Math.min(share, runs - index * share)
    const args = ['--runs', String(own), '--seed', String(first + index * share)]
    args.push('--tries', options.tries, '--seconds', options.seconds)
    if (options.only !== '') args.push('--only', options.only)
    if (options.keep !== undefined) args.push('--keep', options.keep)
    if (options.verbose) args.push('--verbose')
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', ...args], {
      stdio: 'inherit',
    })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
    return new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 4)))
  })
  return Math.max(...(await Promise.all(codes)))
}

try {
  const jobs = Number(options.jobs)
  process.exitCode = await (jobs > 1 ? runJobs(jobs) : runAll())
} catch (problem) {
  if (!(problem instanceof NotPossible)) throw problem
  console.error(`the real kernel cannot be asked: ${problem.message}`)
  process.exitCode = 4
}
