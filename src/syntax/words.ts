// Words that hold variables. A word of the tree goes in, with the values of one case; the text that it stands for comes out.
import type { VariablePart, Word } from './ast-words.ts'

/** True when the word's text depends on variables. */
export function hasVariables(word: Word): boolean {
  return word.parts.length > 0
}

/** The variables of a word, in order. */
export function variablesOf(word: Word): readonly VariablePart[] {
  return word.parts.filter((part) => typeof part !== 'string')
}

/**
 * The text of a word with every variable replaced by what `lookup` gives for its name (without `$`). A variable
 * without a value stays as it was written, so that a message can quote it.
 */
export function expandWord(word: Word, lookup: (name: string) => string | undefined): string {
  if (word.parts.length === 0) return word.text
  let text = ''
  for (const part of word.parts) {
    text += typeof part === 'string' ? part : (lookup(part.name) ?? `\${${part.name}}`)
  }
  return text
}
