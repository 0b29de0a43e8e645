// `npm run bench [-- PART...]`: measures and prints one table. Ratios come from one run in which measured and reference
// take turns, so they hold on a busy machine; absolute numbers are told for orientation and have no target.
import { join } from 'node:path'
import { bundled, plainParser } from './bundle.ts'
import type * as Cluster from './cluster.ts'
import { filesRows, startRows, suiteRows } from './commands.ts'
import type * as Golden from './golden.ts'
import type * as Growth from './growth.ts'
import type * as Parse from './parse.ts'
import type * as Services from './services.ts'
import { type Row, table } from './table.ts'
import { traceRows } from './trace.ts'
import type * as Verify from './verify.ts'

const root = join(import.meta.dirname, '..')

const parts: Readonly<Record<string, () => readonly Row[] | Promise<readonly Row[]>>> = {
  start: startRows,
  suite: suiteRows,
  files: filesRows,
  parse: async () => (await bundled<typeof Parse>('parse.ts')).parseRows(root, await plainParser()),
  growth: async () => (await bundled<typeof Growth>('growth.ts')).growthRows(),
  cluster: async () => (await bundled<typeof Cluster>('cluster.ts')).clusterRows(),
  trace: traceRows,
  services: async () => (await bundled<typeof Services>('services.ts')).serviceRows(),
  verify: async () => (await bundled<typeof Verify>('verify.ts')).verifyRows(root),
  golden: async () => (await bundled<typeof Golden>('golden.ts')).goldenRows(),
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
