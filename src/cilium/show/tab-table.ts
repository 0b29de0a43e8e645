// Columns as Go's text/tabwriter aligns them for Cilium's tools: cells at least 5 wide, 3 blanks between.

const usual = 5
const padding = 3

/** The rows below each other, each with its newline; the last cell of a row is not padded. `minimum`: of a column's width. */
export function tabTable(rows: readonly (readonly string[])[], minimum = usual): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [at, text] of row.slice(0, -1).entries()) {
      widths[at] = Math.max(widths[at] ?? minimum, text.length + padding)
    }
  }
  const line = (row: readonly string[]): string =>
    row.map((text, at) => (at === row.length - 1 ? text : text.padEnd(widths[at] ?? minimum))).join('')
  return rows.map((row) => `${line(row)}\n`).join('')
}
