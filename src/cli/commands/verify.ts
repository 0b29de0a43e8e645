// `scn verify [paths]`: the same cases on the real Linux kernel. Prints where model and kernel part, writes nothing.

import type { Difference } from '../../oracle/compare.ts'
import { NotPossible } from '../../oracle/native.ts'
import { type Oracle, openOracle, type Verified, verifyCase } from '../../oracle/verify.ts'
import { renderDiagnostics } from '../../report/diagnostic.ts'
import type { Console } from '../console.ts'
import { exitCode, worst } from '../exit-code.ts'
import { load } from '../load.ts'
import { filterOf, type SelectedFile, type Selection, selectFiles } from '../selection.ts'
import { selectable, selectorText } from '../selector.ts'

export interface VerifyArguments {
  readonly selection: Selection
  readonly slow: boolean
  readonly json: boolean
  readonly verbose: boolean
  readonly seed: number
  /** Milliseconds from any start. */
  readonly clock: () => number
}

/** A case with what became of it. */
interface Row {
  readonly path: string
  readonly selector: string
  readonly result: Verified
  readonly milliseconds: number
}

/** 0 when nothing differs, 1 when something does, 3 for a file that does not check, 4 when there is no kernel to ask. */
export function verifyCommand(args: VerifyArguments, console: Console): number {
  const files = selectFiles(console.cwd, args.selection)
  if (files.length === 0) return exitCode.nothing
  let oracle: Oracle
  try {
    oracle = openOracle(args.clock)
  } catch (problem) {
    if (!(problem instanceof NotPossible)) throw problem
    console.err(`scn: the real kernel cannot be asked: ${problem.message}\n`)
    return exitCode.engine
  }
  const codes: number[] = []
  const rows: Row[] = []
  for (const file of files) {
    const before = rows.length
    codes.push(verifyFile(file, { args, console, oracle, rows }))
    if (!args.json) printFile(file.path, rows.slice(before), args, console)
  }
  if (args.json) console.out(`${JSON.stringify(jsonOf(rows, oracle), undefined, 2)}\n`)
  else printEnd(rows, oracle, console)
  if (rows.some(({ result }) => result.kind === 'differs')) codes.push(exitCode.failed)
  if (rows.length === 0 && codes.length === 0) return exitCode.nothing
  return worst(codes)
}

interface Work {
  readonly args: VerifyArguments
  readonly console: Console
  readonly oracle: Oracle
  readonly rows: Row[]
}

function verifyFile(file: SelectedFile, { args, console, oracle, rows }: Work): number {
  const { path } = file
  const loaded = load(console.cwd, path)
  if (!loaded.ok) {
    if (!args.json) console.err(`${renderDiagnostics(loaded.diagnostics)}\n`)
    return exitCode.rejected
  }
  const [missing] = loaded.value.unavailable
  const wants = filterOf(file)
  for (const scenario of loaded.value.scenarios) {
    for (const each of scenario.cases) {
      if (!wants(selectable(path, scenario, each))) continue
      const selector = selectorText(path, scenario.name, each.id)
      const began = args.clock()
      const result: Verified =
        missing === undefined
          ? verifyCase(oracle, each, { seed: args.seed, slow: args.slow })
          : { kind: 'skipped', reason: missing.message }
      rows.push({ path, selector, result, milliseconds: args.clock() - began })
    }
  }
  return exitCode.passed
}

function counts(rows: readonly Row[]): Readonly<Record<Verified['kind'], number>> {
  const of = (kind: Verified['kind']): number => rows.filter(({ result }) => result.kind === kind).length
  return { agrees: of('agrees'), skipped: of('skipped'), differs: of('differs') }
}

/** Reasons for skipping, with how often each was one; the most frequent first. */
function reasons(rows: readonly Row[]): [string, number][] {
  const found = new Map<string, number>()
  for (const { result } of rows)
    if (result.kind === 'skipped') found.set(result.reason, (found.get(result.reason) ?? 0) + 1)
  return [...found].sort((a, b) => b[1] - a[1])
}

function summary(rows: readonly Row[]): string {
  const { agrees, skipped, differs } = counts(rows)
  const why = reasons(rows).map(([reason, count]) => `${count} ${reason}`)
  return `${agrees} verified, ${skipped} skipped${why.length === 0 ? '' : ` (${why.join('; ')})`}, ${differs} differing`
}

function printFile(path: string, rows: readonly Row[], args: VerifyArguments, console: Console): void {
  if (rows.length === 0) return
  console.out(`${path}: ${summary(rows)}\n`)
  for (const { selector, result, milliseconds } of rows) {
    if (args.verbose) console.out(`  ${selector}  ${wordsOf(result)}  ${milliseconds.toFixed(0)} ms\n`)
    if (result.kind !== 'differs') continue
    if (!args.verbose) console.out(`  ${selector}\n`)
    for (const difference of args.verbose ? result.differences : result.differences.slice(0, 8))
      console.out(textOf(difference))
    const rest = args.verbose ? 0 : result.differences.length - 8
    if (rest > 0) console.out(`    and ${rest} more (-v shows all)\n`)
  }
}

function wordsOf(result: Verified): string {
  switch (result.kind) {
    case 'agrees':
      return `agrees, ${result.frames} frames`
    case 'skipped':
      return `skipped: ${result.reason}`
    case 'differs':
      return 'differs'
  }
}

function textOf({ subject, model, kernel }: Difference): string {
  return `    ${subject}\n      model:  ${model}\n      kernel: ${kernel}\n`
}

function printEnd(rows: readonly Row[], oracle: Oracle, console: Console): void {
  const { release, missing } = oracle.abilities
  const without = missing.size === 0 ? '' : `, which has no ${[...missing].join(', ')} devices`
  console.out(`\nkernel ${release}${without}\n${summary(rows)}\n`)
}

function jsonOf(rows: readonly Row[], { abilities }: Oracle): unknown {
  const { agrees, skipped, differs } = counts(rows)
  return {
    format: 'scn-verify',
    version: 1,
    kernel: { release: abilities.release, missing: [...abilities.missing] },
    verified: agrees,
    skipped,
    differing: differs,
    reasons: Object.fromEntries(reasons(rows)),
    cases: rows.map(({ selector, result, milliseconds }) => ({
      selector,
      milliseconds: Math.round(milliseconds),
      ...result,
    })),
  }
}
