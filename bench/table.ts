// The one table that the benchmark prints: what was measured, how sure it is, and what it should be.
import type { Estimate } from './statistics.ts'

/** One line of the table. */
export interface Row {
  readonly measure: string
  readonly estimate: Estimate
  /** What the numbers count: `x node`, `us`, `lines/s`. */
  readonly unit: string
  /** The number may be at most so much; without one it is only told. */
  readonly target?: number
}

/** A whole number, thousands separated. */
export function whole(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}

/** Three digits that matter. */
export function digits(value: number): string {
  if (value >= 1000) return whole(value)
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

function cells({ measure, estimate, unit, target }: Row): string[] {
  const { median, low, high } = estimate
  const verdict = target === undefined ? '' : median <= target ? 'ok' : 'over'
  return [
    measure,
    digits(median),
    `${digits(low)} - ${digits(high)}`,
    unit,
    target === undefined ? '' : `<= ${digits(target)}`,
    verdict,
  ]
}

/** The rows as aligned text. */
export function table(rows: readonly Row[]): string {
  const lines = [['measure', 'median', '95 % interval', 'unit', 'target', ''], ...rows.map(cells)]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const numeric = new Set([1, 2])
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          numeric.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
