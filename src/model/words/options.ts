// Options of a statement: `name value value`, in any order. Where a name stands twice the last one counts, as in ip(8).
import type { Option, Word } from '../../syntax/ast.ts'
import { isNothing } from './fill.ts'

/** The last option of that name. */
export function optionOf<Name extends string>(
  options: readonly Option<Name>[],
  name: Name,
): Option<Name> | undefined {
  return options.findLast((option) => option.name === name)
}

/** The first value of an option; undefined where the option is missing or its value is `-`. */
export function optionValue<Name extends string>(
  options: readonly Option<Name>[],
  name: Name,
): Word | undefined {
  const word = optionOf(options, name)?.values[0]
  return word === undefined || isNothing(word) ? undefined : word
}

/** Whether a flag stands there: without a value, or with `on`. */
export function isSet<Name extends string>(options: readonly Option<Name>[], name: Name): boolean {
  const option = optionOf(options, name)
  if (option === undefined) return false
  const text = option.values[0]?.text
  return text === undefined || text === 'on' || text === 'true'
}
