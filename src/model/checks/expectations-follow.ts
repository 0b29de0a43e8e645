// An expectation stands behind the step that it speaks of: the file is read from top to bottom.
import type { Report } from '../../base/diagnostic.ts'
import { mistake } from '../diagnose.ts'
import { itemsOf } from '../resolve/cases.ts'
import { labelsOf } from '../resolve/labels.ts'
import { isStep } from '../resolve/scenario.ts'
import type { Linked } from '../world/link.ts'

/** Expectations and continuations in front of the step that declares their label. */
export function expectationsFollow({ scenarios }: Linked, report: Report): void {
  for (const scenario of scenarios) {
    const items = itemsOf(scenario).map(({ item }) => item)
    const declared = items.flatMap((item, index) => (isStep(item) ? labelsOf(item, index) : []))
    for (const [index, item] of items.entries()) {
      const word =
        item.kind === 'expect' ? item.subject.label : item.kind === 'continue' ? item.label : undefined
      const steps = declared.filter((label) => label.word.text === word?.text)
      const [first] = steps
      if (word === undefined || first === undefined || steps.some((label) => label.item < index)) continue
      report(
        mistake('S130', word.span, `\`${word.text}\` has not happened yet here`, {
          hint: 'move this line behind the step',
          notes: [{ message: 'it happens here', span: first.word.span }],
        }),
      )
    }
  }
}
