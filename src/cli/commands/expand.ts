// `scn expand SELECTOR`: everything that was derived from a file, written out.

import { expandWorld } from '../../model/expand.ts'
import type { World } from '../../model/model.ts'
import { renderDiagnostics } from '../../report/diagnostic.ts'
import type { Console } from '../console.ts'
import { exitCode } from '../exit-code.ts'
import { load } from '../load.ts'
import { mustExist } from '../selection.ts'
import { parseSelector, selectable, selectorText, selects } from '../selector.ts'

/** Prints each world once, with the cases that live in it. */
export function expandCommand(text: string, console: Console): number {
  const selector = parseSelector(text)
  mustExist(console.cwd, selector.path)
  const loaded = load(console.cwd, selector.path)
  if (!loaded.ok) {
    console.err(`${renderDiagnostics(loaded.diagnostics)}\n`)
    return exitCode.rejected
  }
  const worlds = new Map<World, string[]>()
  for (const scenario of loaded.value.scenarios) {
    for (const each of scenario.cases) {
      if (!selects(selector, selectable(selector.path, scenario, each))) continue
      worlds.set(each.world, [
        ...(worlds.get(each.world) ?? []),
        selectorText(selector.path, scenario.name, each.id),
      ])
    }
  }
  for (const [world, selectors] of worlds) {
    for (const each of selectors) console.out(`# ${each}\n`)
    console.out(`${expandWorld(world)}\n`)
  }
  if (worlds.size > 0) return exitCode.passed
  console.err(`scn: no case is selected by \`${text}\`; scn list names them all\n`)
  return exitCode.nothing
}
