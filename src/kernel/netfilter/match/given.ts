// What the readers of match and target options share: finding an option, numbers with a report when they are none.
import type { Given, OptionShape, RuleScope } from '../extension.ts'

/** An option as it was given, by its first name. */
export function find(given: readonly Given[], name: string): Given | undefined {
  return given.find((option) => option.name === name)
}

/** The first value of an option, or ''. */
export function valueText(option: Given | undefined): string {
  return option?.values[0]?.text ?? ''
}

/** An option with one value. */
export function withValue(...names: readonly string[]): OptionShape {
  return { names, values: 1 }
}

/** An option with one value that may be negated. */
export function negatable(...names: readonly string[]): OptionShape {
  return { names, values: 1, negatable: true }
}

/** An option without a value. */
export function flag(...names: readonly string[]): OptionShape {
  return { names, values: 0 }
}

/** Reads a value with `parse`; reports `what` it should have been. */
export function read<T>(
  option: Given,
  scope: RuleScope,
  parse: (text: string) => T | undefined,
  what: string,
): T | undefined {
  const value = parse(valueText(option))
  if (value !== undefined) return value
  return scope.report(option.values[0] ?? option.word, `\`${valueText(option)}\` is no ${what}`)
}

/** Reads an option that must be there. */
export function required(
  given: readonly Given[],
  scope: RuleScope,
  name: string,
  extension: {
    readonly word: { readonly line: number; readonly column: number; readonly length: number }
    readonly name: string
  },
): Given | undefined {
  const option = find(given, name)
  if (option !== undefined) return option
  return scope.report(extension.word, `\`${extension.name}\` needs \`${name}\``)
}
