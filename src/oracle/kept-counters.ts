// Rules in the place of others, without losing what those that stay have counted: `iptables-restore` starts every counter
// anew unless the text says what it was.

/** The tables of a rule set as text, by name: lines of chains and rules. */
function tablesOf(save: string): Map<string, readonly string[]> {
  const tables = new Map<string, string[]>()
  let own: string[] = []
  for (const line of save.split('\n').map((each) => each.trim())) {
    if (line.startsWith('*')) {
      own = []
      tables.set(line, own)
    } else if (/^(?::|-A |\[)/.test(line)) own.push(line)
  }
  return tables
}

const counter = /^\[\d+:\d+\] | \[\d+:\d+\]$/

/**
 * The tables of a wanted rule set (`iptables-save`) that are not as in the current one (`iptables-save -c`), for
 * `iptables-restore -c`: rules have the counters that equal ones have now, policies start anew, as with every change through
 * iptables 1.8.9. Undefined when there is nothing to change.
 */
export function changedTables(wanted: string, current: string): string | undefined {
  const there = tablesOf(current)
  const text: string[] = []
  for (const [table, lines] of tablesOf(wanted)) {
    const old = there.get(table) ?? []
    const bare = (line: string): string => line.replace(counter, '')
    if (old.map(bare).join('\n') === lines.map(bare).join('\n')) continue
    const left = [...old]
    const kept = lines.map((line) => {
      if (line.startsWith(':')) return `${bare(line)} [0:0]`
      const at = left.findIndex((each) => bare(each) === line)
      return at === -1 ? `[0:0] ${line}` : left.splice(at, 1)[0]
    })
    text.push(table, ...kept.map(String), 'COMMIT')
  }
  return text.length === 0 ? undefined : `${text.join('\n')}\n`
}
