// Rules of the file and rules of a plugin in one text: iptables-restore replaces a table as a whole, so each may stand in it
// only once.
import type { Span } from '../base/text.ts'
import type { RulesetModel } from '../model/ruleset.ts'

interface Table {
  readonly chains: Set<string>
  readonly lines: string[]
}

/** Tables of a text: declarations (`:CHAIN ...`) apart from the rules. */
function readTables(text: string, tables: Map<string, Table>): void {
  let open: Table | undefined
  for (const raw of text.split('\n')) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    if (line.startsWith('*')) {
      open = tables.get(line.slice(1)) ?? { chains: new Set(), lines: [] }
      tables.set(line.slice(1), open)
    } else if (line === 'COMMIT') open = undefined
    else if (line.startsWith(':')) open?.chains.add(line)
    else open?.lines.push(line)
  }
}

/** Rules that somebody adds to one table of one family. */
interface AddedTable {
  /** IPv4 where it is absent. */
  readonly family?: 4 | 6
  readonly table: string
  readonly chains: readonly string[]
  readonly rules: readonly string[]
}

/** The rules of a host and of its plugin or agent as one text for each family; texts of other tools stay as they are. */
export function mergeTables(
  own: readonly RulesetModel[],
  added: readonly AddedTable[],
  span: Span,
): readonly RulesetModel[] {
  const four = mergeFamily(
    'iptables',
    own,
    added.filter(({ family }) => family !== 6),
    span,
  )
  return mergeFamily(
    'ip6tables',
    four,
    added.filter(({ family }) => family === 6),
    span,
  )
}

function mergeFamily(
  tool: 'iptables' | 'ip6tables',
  own: readonly RulesetModel[],
  added: readonly AddedTable[],
  span: Span,
): readonly RulesetModel[] {
  if (added.length === 0) return own
  const tables = new Map<string, Table>()
  const texts = own.filter((each) => each.tool === tool)
  for (const { text } of texts) readTables(text, tables)
  for (const { table, chains, rules } of added) {
    const known = tables.get(table) ?? { chains: new Set(), lines: [] }
    tables.set(table, known)
    for (const chain of chains) known.chains.add(`:${chain} - [0:0]`)
    known.lines.push(...rules)
  }
  const text = [...tables]
    .map(([name, { chains, lines }]) => [`*${name}`, ...chains, ...lines, 'COMMIT', ''].join('\n'))
    .join('')
  return [...own.filter((each) => each.tool !== tool), { tool, text, span: texts[0]?.span ?? span }]
}
