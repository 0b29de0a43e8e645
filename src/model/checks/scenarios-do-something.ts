// A scenario that does nothing, or that nobody looks at, proves nothing.
import type { Report } from '../../base/diagnostic.ts'
import { warning } from '../diagnose.ts'
import { itemsOf } from '../resolve/cases.ts'
import { isStep } from '../resolve/scenario.ts'
import type { Linked } from '../world/link.ts'

/** Warns of scenarios without steps and of those with neither expectations nor a golden. */
export function scenariosDoSomething({ scenarios }: Linked, report: Report): void {
  for (const scenario of scenarios) {
    const items = itemsOf(scenario).map(({ item }) => item)
    const { span, text } = scenario.name
    const claims = items.some((item) => !isStep(item) && !['tags', 'golden', 'let'].includes(item.kind))
    const golden = items.find((item) => item.kind === 'golden')
    if (!items.some(isStep) && !items.some((item) => item.kind === 'state' || item.kind === 'map-claim')) {
      const hint = 'send something: `p1: packet ...` or `f1: tcp A > B:PORT { open }`'
      report(warning('S131', span, `nothing happens in \`${text}\``, { hint }))
    } else if (!claims && golden?.level === 'off') {
      report(
        warning('S131', span, `nothing is expected of \`${text}\`, and its golden is off`, {
          hint: 'add an `expect`',
        }),
      )
    }
  }
}
