// Columns as Go's text/tabwriter aligns them for Cilium's tools: cells at least 5 wide, 3 blanks between.

const minimum = 5
const padding = 3

/** The rows below each other, each with its newline. The last cell of a row is not padded unless `trailing` says so. */
export function tabTable(rows: readonly (readonly string[])[], trailing = false): string {
  const widths: number[] = []
  for (const row of rows) {
    const padded = trailing ? row.length : row.length - 1
    for (let at = 0; at < padded; at += 1) {
      widths[at] = Math.max(widths[at] ?? minimum, (row[at]?.length ?? 0) + padding)
    }
  }
  const cell = (text: string, at: number, last: number): string =>
    at === last && !trailing ? text : text.padEnd(widths[at] ?? minimum)
  return rows.map((row) => `${row.map((text, at) => cell(text, at, row.length - 1)).join('')}\n`).join('')
}
