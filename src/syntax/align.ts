// Columns of the printed text: tables, rules of programs, neighbouring statements of one kind, comments at line ends.
// Lines of words go in, finished lines come out. Every width is computed from the words alone, so printing twice is
// printing once.
import type { PrintLine } from './print.ts'

/** A program's decisions stand in this column of the line, or behind the longest test. */
const decisionColumn = 21

/** Comments at line ends stand in this column, or three blanks behind the longest line. */
const commentColumn = 44

/** Statements whose words stand in columns where several follow each other. */
const columnar: ReadonlySet<string> = new Set(['external', 'pod', 'net', 'verdict', 'fdb'])

/** Hooks of a device: the program names stand in one column. */
const hooks: ReadonlySet<string> = new Set(['xdp', 'tc-in', 'tc-out', 'tcx-in', 'tcx-out'])

type Kind = 'table' | 'rule' | 'hook' | 'none' | `words ${string}`

function kindOf({ words }: PrintLine): Kind {
  const first = words[0] ?? ''
  if (words.some((word) => word.includes('\n'))) return 'none'
  if (words.length === 1 && /^\|.*\|$/.test(first)) return 'table'
  if (words.includes('=>') && !first.startsWith('[')) return 'rule'
  if (hooks.has(first)) return 'hook'
  return columnar.has(first) ? `words ${first}` : 'none'
}

/** Runs of neighbouring lines that agree in `key`. */
function runs<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const result: T[][] = []
  let last: string | undefined
  for (const item of items) {
    const now = key(item)
    const open = now === last ? result.at(-1) : undefined
    if (open === undefined) result.push([item])
    else open.push(item)
    last = now
  }
  return result
}

/** The cells of a row; `|` inside quotes does not divide. */
function cellsOf(row: string): string[] {
  const cells = row.match(/(?:"(?:[^"\\]|\\.)*"|[^|"])+|(?<=\|)(?=\|)/g) ?? []
  return cells.map((cell) => cell.trim())
}

function tableRows(lines: readonly PrintLine[]): string[] {
  const rows = lines.map(({ words }) => cellsOf(words[0] ?? ''))
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    })
  }
  return rows.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`)
}

function rules(lines: readonly PrintLine[]): string[] {
  const parts = lines.map(({ words }) => {
    const arrow = words.indexOf('=>')
    return [words.slice(0, arrow).join(' '), words.slice(arrow).join(' ')] as const
  })
  const width = Math.max(decisionColumn, ...parts.map(([left]) => left.length))
  return parts.map(([left, right]) => `${left.padEnd(width)} ${right}`)
}

/** Pads each column that is followed by another word in every line; at most `limit` columns. */
function columns(lines: readonly PrintLine[], limit: number): string[] {
  const brace = (words: readonly string[]) => (words.includes('{') ? words.indexOf('{') : words.length)
  const shared = Math.min(limit, ...lines.map(({ words }) => brace(words) - 1))
  const widths = Array.from({ length: Math.max(0, shared) }, (_, column) =>
    Math.max(...lines.map(({ words }) => words[column]?.length ?? 0)),
  )
  return lines.map(({ words }) => words.map((word, column) => word.padEnd(widths[column] ?? 0)).join(' '))
}

function textsOf(kind: Kind, lines: readonly PrintLine[]): string[] {
  if (kind === 'table') return tableRows(lines)
  if (kind === 'rule') return rules(lines)
  if (kind === 'none') return lines.map(({ words }) => words.join(' '))
  return columns(lines, kind === 'hook' ? 1 : Number.POSITIVE_INFINITY)
}

/** Comments at the ends of neighbouring lines stand in one column. */
function withComments(lines: readonly PrintLine[], texts: readonly string[]): string[] {
  const numbered = lines.map((line, index) => ({ comment: line.comment, text: texts[index] ?? '' }))
  const trailing = ({ comment, text }: { comment: string | undefined; text: string }) =>
    comment !== undefined && text.trim() !== '' && !text.includes('\n')
  return runs(numbered, (line) => String(trailing(line))).flatMap((run) => {
    const width = Math.max(commentColumn - 3, ...run.map(({ text }) => text.length))
    return run.map((line) => {
      if (line.comment === undefined) return line.text.trimEnd()
      if (trailing(line)) return `${line.text.padEnd(width)}   ${line.comment}`
      return line.text.trim() === '' ? line.text + line.comment : `${line.text}  ${line.comment}`
    })
  })
}

/** The finished lines, indented, without line ends. */
export function alignLines(lines: readonly PrintLine[]): string[] {
  const texts = runs(lines, (line) => `${line.depth} ${kindOf(line)}`).flatMap((run) => {
    const [first] = run
    if (first === undefined) return []
    const indent = '  '.repeat(first.depth)
    return textsOf(kindOf(first), run).map((text) =>
      text === '' && first.comment === undefined ? '' : indent + text,
    )
  })
  const indented = texts.map((text, index) => {
    const line = lines[index]
    return text === '' && line?.comment !== undefined ? '  '.repeat(line.depth) : text
  })
  return withComments(lines, indented)
}
