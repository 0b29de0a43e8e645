// A run as people read it in a terminal: failures first with their places, then the numbers.
import { type Source, type Span, textOf } from '../base/text.ts'
import type { CaseVerdict, Evidence, Failure, FileVerdict } from '../run/verdict.ts'
import { renderDiff } from '../trace/render-diff.ts'
import { excerpt, placeOf, renderDiagnostics } from './diagnostic.ts'
import { type CauseGroup, causeGroups, groupSize } from './groups.ts'
import { type Paint, plain } from './paint.ts'
import { casePassed, type RunResult, totalsOf } from './totals.ts'

export interface TextOptions {
  readonly paint: Paint
  /** Every difference instead of the first. */
  readonly verbose: boolean
  /** Failures and nothing else. */
  readonly quiet: boolean
}

const column = 74

/** Two texts on one line, the right one at a fixed column or two blanks behind the left; colours take no room. */
function aside(left: string, right: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences of colours
  const width = left.replaceAll(/\u001b\[\d+m/g, '').length
  return `${left}${' '.repeat(Math.max(2, column - width))}${right}`
}

/** The whole report, with a final line end. */
export function textReport(
  result: RunResult,
  options: TextOptions = { paint: plain, verbose: false, quiet: false },
): string {
  const groups = causeGroups(result.files)
  const blocks = result.files.flatMap((file) => fileBlocks(file, result, groups, options))
  if (!options.quiet) blocks.push(summary(result, options.paint))
  return blocks.length === 0 ? '' : `${blocks.join('\n\n')}\n`
}

function fileBlocks(
  file: FileVerdict,
  result: RunResult,
  groups: readonly CauseGroup[],
  options: TextOptions,
): string[] {
  const { paint } = options
  switch (file.kind) {
    case 'rejected':
    case 'unavailable':
      return [renderDiagnostics(file.diagnostics, paint)]
    case 'broken':
      return [
        `${paint.error('engine error')} in ${file.path}: ${file.message}\n  this is a mistake of scn, not of the file`,
      ]
    case 'run': {
      const blocks = file.diagnostics.length === 0 ? [] : [renderDiagnostics(file.diagnostics, paint)]
      for (const verdict of file.cases) {
        if (!casePassed(verdict, result)) blocks.push(caseBlock(file.path, verdict, groups, options))
      }
      for (const { scenario, id, line } of file.obsolete)
        blocks.push(obsoleteBlock(file, scenario, id, line, paint))
      return blocks
    }
  }
}

/** `traces/x.trace` of a spec: beside it, with the other ending. */
function goldenPath(path: string): string {
  return path.replace(/\.scn$/, '.trace')
}

function baseName(path: string): string {
  return path.split('/').at(-1) ?? path
}

function obsoleteBlock(
  file: { readonly path: string; readonly golden: Source | undefined },
  scenario: string,
  id: string | undefined,
  line: number,
  paint: Paint,
): string {
  const name = id === undefined ? scenario : `${scenario} [${id}]`
  const head = aside(`${paint.error(' OBSOLETE ')} ${file.path} › ${name}`, 'golden section without a case')
  return `${head}\n\n  ${goldenPath(file.path)}:${line}\n  remove: scn accept '${file.path}'`
}

/** What is wrong with a case, in a few words. */
function complaint(verdict: CaseVerdict): string {
  const parts: string[] = []
  switch (verdict.golden.kind) {
    case 'changed':
      parts.push('golden differs')
      break
    case 'missing':
      parts.push('no golden yet')
      break
    case 'unreadable':
      parts.push('golden unreadable')
      break
    case 'equal':
    case 'off':
      break
  }
  const count = verdict.failures.length
  if (count > 0) parts.push(`${count} expectation${count === 1 ? '' : 's'} failed`)
  if (verdict.limit !== undefined) parts.push(`limit ${verdict.limit} reached`)
  return parts.join(', ')
}

function caseBlock(
  path: string,
  verdict: CaseVerdict,
  groups: readonly CauseGroup[],
  options: TextOptions,
): string {
  const { paint } = options
  const name = verdict.id === undefined ? verdict.scenario : `${verdict.scenario} [${verdict.id}]`
  const lines = [aside(`${paint.error(' FAIL ')} ${paint.strong(`${path} › ${name}`)}`, complaint(verdict))]
  for (const failure of verdict.failures) lines.push('', ...failureLines(failure, paint))
  const group = groups.find(({ cases }) => cases.some((each) => each.verdict === verdict))
  const [first] = group?.cases ?? []
  if (verdict.golden.kind === 'changed') {
    if (first === undefined || first.verdict === verdict || options.verbose) {
      const golden = baseName(goldenPath(path))
      const shown = renderDiff(verdict.golden.diff, { golden, verbose: options.verbose })
      lines.push('', ...shown.map((line) => paintDiff(line, paint)))
      lines.push(...groupLines(group))
    } else lines.push('', `  same first divergence as ${first.verdict.selector}`)
  }
  lines.push(...adviceLines(verdict))
  return lines.join('\n')
}

function paintDiff(line: string, paint: Paint): string {
  if (line.startsWith('    - ')) return paint.removed(line)
  return line.startsWith('    + ') ? paint.added(line) : line
}

/** A failed expectation: the claim's line, a caret under the words (or the cell), and where the packet was looked at. */
export function failureLines(failure: Failure, paint: Paint): string[] {
  const { span, claim, usedAt } = failure
  const words = textOf(claim).split('\n')[0] ?? ''
  const asked = failure.code === 'E004' ? 'never' : 'expect'
  const lines = [aside(`  ${asked} ${words}`, placeOf(span))]
  const show = (place: Span, remark: string): void => {
    lines.push(
      ...excerpt(place, remark, paint)
        .slice(1)
        .map((line) => `   ${line}`),
    )
  }
  show(span, failure.message)
  if (usedAt !== undefined) show(usedAt, 'asked here')
  if (failure.evidence !== undefined) lines.push(...evidenceLines(failure.evidence))
  return lines
}

/** `= f1.syn as delivered to web; changed at n1/eth0/tc-in by cil_from_netdev` */
function evidenceLines({ packet, place, actor, deliveredTo, changed }: Evidence): string[] {
  if (place === '') return []
  const by = (who: string): string => (who === '' ? '' : ` by ${who}`)
  const seen = deliveredTo === undefined ? `at ${place}${by(actor)}` : `as delivered to ${deliveredTo}`
  const since = changed === undefined ? '' : `; changed at ${changed.place}${by(changed.actor)}`
  return [`      = ${packet} ${seen}${since}`]
}

function groupLines(group: CauseGroup | undefined): string[] {
  if (group === undefined || group.cases.length < 2) return []
  const { cases, files } = groupSize(group)
  const others = `same first divergence in ${cases - 1} other case${cases === 2 ? '' : 's'} of ${files} file${files === 1 ? '' : 's'}`
  return ['', aside(`  ${others}`, `scn review --group ${group.number}`)]
}

function adviceLines(verdict: CaseVerdict): string[] {
  const { kind } = verdict.golden
  if (verdict.failures.length > 0 || (kind !== 'changed' && kind !== 'missing')) return []
  return [`  accept: scn accept '${verdict.selector}'`]
}

/** `Cases  41 passed  7 changed   Files 12   Time 0.38 s` */
function summary(result: RunResult, paint: Paint): string {
  const totals = totalsOf(result)
  const cases = [paint.good(`${totals.passed} passed`)]
  const add = (count: number, word: string): void => {
    if (count > 0) cases.push(paint.error(`${count} ${word}`))
  }
  add(totals.failed, 'failed')
  add(totals.changed, 'changed')
  add(totals.missing, result.missingIsFailure ? 'without golden' : 'new')
  add(totals.obsolete, 'obsolete')
  add(totals.rejected, totals.rejected === 1 ? 'file rejected' : 'files rejected')
  add(totals.unavailable, totals.unavailable === 1 ? 'file without engine' : 'files without engine')
  return ` Cases   ${cases.join('  ')}      Files  ${totals.files}      Time  ${(result.elapsed / 1000).toFixed(2)} s`
}
