// Words that hold variables. A word of the tree goes in, with the values of one case; the text that it stands for comes out.
import type { Word } from './ast-words.ts'

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
