// How mistakes in a golden are noted: the codes, and a span under the exact words of a line.
import { didYouMean } from '../base/closest.ts'
import type { Diagnostic } from '../base/diagnostic.ts'
import type { Source } from '../base/text.ts'
import type { Level } from './event.ts'

/** One line of a golden: its text without line end, where it starts in the source, and its number from 1. */
export interface GoldenLine {
  readonly text: string
  readonly start: number
  readonly row: number
}

/** Codes of the mistakes in goldens. */
export const goldenCodes = {
  notATrace: 'G001',
  newerVersion: 'G002',
  mergeConflict: 'G003',
  unknownLevel: 'G004',
  duplicateSection: 'G005',
  unexpectedLine: 'G006',
  unknownReference: 'G007',
} as const

/** Levels by their words. */
const levels: readonly Level[] = ['minimal', 'hops', 'full']

/** Collects the mistakes of one source. */
export interface GoldenReport {
  readonly source: Source
  readonly diagnostics: Diagnostic[]
}

/** Notes an error that covers `[from, to)` of a line. */
export function reportAt(
  report: GoldenReport,
  line: GoldenLine,
  what: {
    readonly code: string
    readonly message: string
    readonly hint?: string | undefined
    readonly from?: number
    readonly to?: number
  },
): void {
  const { source, diagnostics } = report
  const span = {
    source,
    start: line.start + (what.from ?? 0),
    end: line.start + (what.to ?? line.text.length),
  }
  diagnostics.push({
    code: what.code,
    severity: 'error',
    span,
    message: what.message,
    ...(what.hint === undefined ? {} : { hint: what.hint }),
  })
}

/** The level at the end of a line, or a mistake. */
export function readLevel(line: GoldenLine, word: string, report: GoldenReport): Level | undefined {
  const level = levels.find((known) => known === word)
  if (level !== undefined) return level
  reportAt(report, line, {
    code: goldenCodes.unknownLevel,
    message: word === '' ? 'the level is missing' : `\`${word}\` is not a level of a trace`,
    hint: didYouMean(word, levels) ?? `one of ${levels.join(', ')}`,
    from: word === '' ? 0 : line.text.length - word.length,
  })
  return undefined
}
