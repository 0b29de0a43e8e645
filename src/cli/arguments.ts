// What stands behind the options of a command line, as the commands take it; anything else is a UsageError.
import { closest } from '../base/closest.ts'
import { UsageError } from './usage.ts'

/** Options that may be given several times, as a list of texts. */
export function texts(value: unknown): string[] {
  if (value === undefined) return []
  return (Array.isArray(value) ? value : [value]).map(String)
}

/** The last of them. */
export function text(value: unknown): string | undefined {
  return texts(value).at(-1)
}

/** A whole number from `least` on. */
export function whole(value: unknown, name: string, least: number): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < least)
    throw new UsageError(
      `\`${name.length === 1 ? '-' : '--'}${name}\` takes a whole number from ${least} on, not \`${String(value)}\``,
    )
  return number
}

/** One of some words. */
export function oneOf<Word extends string>(value: unknown, name: string, words: readonly Word[]): Word {
  const word = words.find((known) => known === String(value))
  if (word !== undefined) return word
  const near = closest(String(value), words)
  throw new UsageError(
    `\`--${name}\` takes ${words.join(', ')}, not \`${String(value)}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`,
  )
}
