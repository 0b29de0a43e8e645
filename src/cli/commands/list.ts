// `scn list`: every case with its exact selector.
import type { Console } from '../console.ts'
import { exitCode } from '../exit-code.ts'
import { load } from '../load.ts'
import { filterOf, selectFiles } from '../selection.ts'
import { selectable, selectorText } from '../selector.ts'

interface Listed {
  readonly selector: string
  readonly title: string
  readonly tags: readonly string[]
}

/** Files that do not check are named on standard error and give exit code 3; the others are still listed. */
export function listCommand(
  args: {
    readonly paths: readonly string[]
    readonly json: boolean
    readonly keyword: string | undefined
    readonly tags: string | undefined
  },
  console: Console,
): number {
  const listed: Listed[] = []
  let rejected = false
  for (const file of selectFiles(console.cwd, { ...args, shard: undefined })) {
    const loaded = load(console.cwd, file.path)
    if (!loaded.ok) {
      console.err(`${file.path} does not check; see scn check\n`)
      rejected = true
      continue
    }
    const filter = filterOf(file)
    for (const scenario of loaded.value.scenarios) {
      const { name, tags, cases } = scenario
      for (const each of cases) {
        if (filter(selectable(file.path, scenario, each)))
          listed.push({ selector: selectorText(file.path, name, each.id), title: each.title, tags })
      }
    }
  }
  if (args.json) console.out(`${JSON.stringify(listed, undefined, 2)}\n`)
  else
    for (const { selector, title } of listed)
      console.out(title === '' ? `${selector}\n` : `${selector.padEnd(60)}  ${title}\n`)
  if (rejected) return exitCode.rejected
  return listed.length === 0 ? exitCode.nothing : exitCode.passed
}
