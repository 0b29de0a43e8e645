// `npm run bench [-- PART...]`: measures and prints one table. Ratios come from one run in which measured and reference
// take turns, so they hold on a busy machine; absolute numbers are told for orientation and have no target.
import { startRows, suiteRows } from './commands.ts'
import { goldenRows } from './golden.ts'
import { growthRows } from './growth.ts'
import { parseRows } from './parse.ts'
import { type Row, table } from './table.ts'
import { traceRows } from './trace.ts'

const parts: Readonly<Record<string, () => readonly Row[] | Promise<readonly Row[]>>> = {
  start: startRows,
  suite: suiteRows,
  parse: parseRows,
  growth: growthRows,
  trace: traceRows,
  golden: goldenRows,
}

async function main(wanted: readonly string[]): Promise<number> {
  const unknown = wanted.filter((name) => !Object.hasOwn(parts, name))
  if (unknown.length > 0) {
    console.error(
      `bench: no part is called ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`,
    )
    return 2
  }
  const rows: Row[] = []
  for (const [name, measure] of Object.entries(parts)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[Kmeasuring ${name} ...`)
    rows.push(...(await measure()))
  }
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  console.log(`CPU time, medians with 95 % bootstrap intervals; node ${process.version}, ${process.arch}\n`)
  console.log(table(rows))
  return 0
}

process.exitCode = await main(process.argv.slice(2))
