// Who reaches whom, as a table for people: under each source one row for what it asked and how that ended, with the
// destinations of which this is true. A pair that changes moves one name from row to row; a new host adds a name to rows.
import type { Difference, DiffLine } from './difference.ts'
import type { ReachedPair } from './event.ts'
import type { Hook, PacketSection } from './section.ts'

/** The first words of such a step. */
const word = 'reach '

/** Tab stops of a row without its indent: columns 14 and 34 on the screen. What is too long pushes the rest by two blanks. */
const verdictColumn = 11
const namesColumn = 31

const reasonPrefix = 'SKB_DROP_REASON_'

/** What is not said: the reason that nearly every denial has. */
const usualDenial = 'Policy denied'

/** Rows of one source and one question stand in this order. */
const order = ['connected', 'answered', 'proxied', 'refused', 'unanswered', 'error', 'denied', 'lost']

function rank(verdict: string): number {
  return order.indexOf(verdict.split(' ')[0] ?? '')
}

function pad(text: string, column: number): string {
  return text.length + 2 <= column ? text.padEnd(column) : `${text}  `
}

/** `tcp 80`, `udp6 53`, `icmp`: netstat's names of the families. */
export function askedText({
  protocol,
  port,
  family,
}: Pick<ReachedPair, 'protocol' | 'port' | 'family'>): string {
  const name = family === 6 ? `${protocol}6` : protocol
  return port === undefined ? name : `${name} ${port}`
}

/** `denied ingress`, `denied ingress Policy denied by denylist`, `lost NEIGH_FAILED`. */
export function verdictText({ verdict, reason }: Pick<ReachedPair, 'verdict' | 'reason'>): string {
  if (reason === undefined || (verdict.startsWith('denied') && reason === usualDenial)) return verdict
  return `${verdict} ${reason.startsWith(reasonPrefix) ? reason.slice(reasonPrefix.length) : reason}`
}

interface Row {
  /** Rows of one source and one question are neighbours. */
  readonly group: number
  readonly pair: ReachedPair
  readonly names: string[]
}

/** The rows of a table; destinations keep their order. */
export function reachRows(pairs: readonly ReachedPair[]): readonly Hook[] {
  const groups = new Map<string, number>()
  const rows = new Map<string, Row>()
  for (const pair of pairs) {
    const question = `${pair.from}\n${askedText(pair)}`
    const group = groups.get(question) ?? groups.size
    groups.set(question, group)
    const key = `${question}\n${verdictText(pair)}`
    const row = rows.get(key)
    if (row === undefined) rows.set(key, { group, pair, names: [pair.to] })
    else row.names.push(pair.to)
  }
  const sorted = [...rows.values()].sort(
    (a, b) => a.group - b.group || rank(a.pair.verdict) - rank(b.pair.verdict),
  )
  return sorted.map(({ pair, names }) => {
    const head = pad(pad(askedText(pair), verdictColumn) + verdictText(pair), namesColumn)
    return { node: pair.from, line: `${head}${names.join(' ')}`, effects: [] }
  })
}

/** Whether a section is a table. */
export function isReachTable({ step, name }: PacketSection): boolean {
  return step === true && name.startsWith(word)
}

interface Entry {
  readonly pair: string
  readonly asked: string
  readonly verdict: string
  readonly row: number
}

/** The pairs of a table by their names and what was asked. */
function entriesOf({ hooks }: PacketSection): ReadonlyMap<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const { node, line, rows } of hooks) {
    const [asked = '', verdict = '', names = ''] = line.split(/ {2,}/)
    for (const name of names.split(' ')) {
      const pair = `${node} > ${name}`
      entries.set(`${asked} ${pair}`, { pair, asked, verdict, row: rows?.[0] ?? 0 })
    }
  }
  return entries
}

/** The pairs that another verdict is true of, or that only one side has: one difference for the whole table. */
export function compareReach(old: PacketSection, now: PacketSection, differences: Difference[]): void {
  const [before, after] = [entriesOf(old), entriesOf(now)]
  const lines: DiffLine[] = []
  const add = (sign: '-' | '+', { asked, pair, verdict, row }: Entry): void => {
    lines.push({ sign, text: `${asked} ${pair}: ${verdict}`, row: sign === '-' ? row : 0 })
  }
  for (const [key, entry] of before) {
    const other = after.get(key)
    if (other?.verdict === entry.verdict) continue
    add('-', entry)
    if (other !== undefined) add('+', other)
  }
  for (const [key, entry] of after) if (!before.has(key)) add('+', entry)
  if (lines.length === 0) return
  const row = lines.find((line) => line.row > 0)?.row ?? old.row ?? 0
  differences.push({ kind: 'table', packet: old.name, node: '', place: '', actor: '', row, lines })
}
