// A difference as people read it. Enters: the result of a comparison; leaves: lines without colour; the report adds the
// file's name and colours by the sign.
import type { SectionDiff } from './diff.ts'
import type { Difference, DiffLine } from './difference.ts'

/** A rendered difference: the head says where, the lines say what. */
interface RenderedDifference {
  /** `f1.syn @ n1 › eth0 tc-in › cil_from_netdev` */
  readonly head: string
  /** Line in the golden, 0 for none. */
  readonly row: number
  readonly lines: readonly DiffLine[]
  /** Lines that the limit cut off. */
  readonly hidden: number
}

/** The place of a difference in words. */
function headOf({ kind, packet, node, place, actor }: Difference): string {
  switch (kind) {
    case 'packet':
      return `packet ${packet}`
    case 'table':
      return packet
    case 'order':
      return `order of packets at ${packet}`
    case 'where':
      return 'addresses and level'
    case 'outcome':
      return 'outcomes'
    case 'state':
      return `state left in ${node}`
    case 'hook': {
      const hook = actor === '' ? place : `${place} › ${actor}`
      return `${packet} @ ${node} › ${hook}`
    }
  }
}

/** At most `linesMax` lines of a difference. */
function renderDifference(
  difference: Difference,
  { linesMax = Number.POSITIVE_INFINITY }: { readonly linesMax?: number } = {},
): RenderedDifference {
  const { lines, row } = difference
  const shown = lines.length > linesMax ? lines.slice(0, linesMax) : lines
  return { head: headOf(difference), row, lines: shown, hidden: lines.length - shown.length }
}

/** How many lines of one case are shown unless more is asked for. */
const caseLinesMax = 20

/**
 * The lines of a failure, indented by two: the first divergence, and how much differs because of it. With `verbose`
 * every difference. `golden` is the file's name for the line numbers.
 */
export function renderDiff(
  diff: SectionDiff,
  options: { readonly golden: string; readonly verbose?: boolean },
): readonly string[] {
  const { differences, consequentLines, whollyDifferent } = diff
  const verbose = options.verbose ?? false
  const lines: string[] = []
  differences.forEach((difference, index) => {
    if (index > 0 && !verbose) return
    const title = index === 0 ? 'first divergence: ' : ''
    const rendered = renderDifference(difference, verbose ? {} : { linesMax: caseLinesMax - 3 })
    const where = rendered.row > 0 ? `${options.golden}:${rendered.row}` : options.golden
    lines.push(`  ${`${title}${rendered.head}`.padEnd(70)}  ${where}`)
    for (const { sign, text } of rendered.lines) lines.push(`    ${sign} ${text}`)
    if (rendered.hidden > 0) lines.push(`    and ${count(rendered.hidden, 'more line')} here (-v shows all)`)
  })
  if (verbose || differences.length === 0) return lines
  if (whollyDifferent) lines.push('    hardly a line is common: read the new trace as a whole')
  else if (consequentLines > 0) {
    const verb = consequentLines === 1 ? 'differs' : 'differ'
    lines.push(`    then ${count(consequentLines, 'line')} ${verb} as a consequence (-v shows all)`)
  }
  return lines
}

function count(number: number, word: string): string {
  return number === 1 ? `1 ${word}` : `${number} ${word}s`
}
