// Text to tree. A source goes in; a tree whose shape is right comes out, or every mistake of the text at once.
import type { Checked } from '../base/diagnostic.ts'
import type { Source } from '../base/text.ts'
import type { File } from './ast.ts'
import { syntaxError } from './codes.ts'
import { attempt } from './expected.ts'
import { recover } from './recover.ts'
import { scan } from './scan.ts'

/** The language edition that this parser reads. */
const edition = '1'

/**
 * Parses one file. On success the tree's spans refer to `source`. Never throws for a person's mistake: an empty, binary
 * or too large text is one diagnostic, everything else one for each mistaken statement, in the order of the text.
 */
export function parse(source: Source): Checked<File> {
  const { mistakes } = scan(source)
  if (mistakes.length > 0) {
    const stringsOnly = mistakes.length <= 50 && mistakes.every(({ code }) => code === 'S006')
    return { ok: false, diagnostics: stringsOnly ? recover(source, mistakes) : mistakes.slice(0, 50) }
  }
  const result = attempt(source, source.text)
  if (!result.ok) return { ok: false, diagnostics: recover(source, []) }
  const { file } = result
  if (file.edition.text !== edition) {
    const message = `language edition ${file.edition.text} is not known`
    const mistake = syntaxError('S009', file.edition.span, message, `this version reads edition ${edition}`)
    return { ok: false, diagnostics: [mistake] }
  }
  return { ok: true, value: file, diagnostics: [] }
}
