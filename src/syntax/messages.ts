// Turns "this is what could have stood here" into one sentence for a person, and into a repair where one is certain.
import { closest } from '../base/closest.ts'
import type { Diagnostic } from '../base/diagnostic.ts'
import type { Source } from '../base/text.ts'
import { type SyntaxCode, syntaxError } from './codes.ts'
import { type Expected, wordEnd } from './expected.ts'

/** A mistake and, where a better word or sign is known, the text that replaces the wrong one. Offsets as in `text`. */
export interface Mistake {
  readonly start: number
  readonly end: number
  readonly code: SyntaxCode
  readonly message: string
  readonly hint: string
  readonly replacement: string | undefined
}

/** What people write, and the sign that was meant, best guess first. */
const confused: Readonly<Record<string, readonly string[]>> = {
  '=': ['==', '=>', '->'],
  '==': ['=', '=>'],
  '===': ['=='],
  '->': ['>', '=>', '='],
  '>': ['->', '=>'],
  '=>': ['->', '>', '=='],
  '-->': ['->', '>'],
  '<-': ['>', '->'],
  '=<': ['<='],
  '<>': ['!='],
  '~': ['matches'],
  '=~': ['matches'],
  '&&': ['and'],
  '||': ['or'],
  '!': ['not'],
}

const isWord = /^[A-Za-z]/

/** `a, b or c`, at most eight; the rest is counted. */
function listed(items: readonly string[]): string {
  const shown = items.slice(0, 8)
  const more = items.length - shown.length
  if (more > 0) return `${shown.join(', ')} or ${more} more`
  const last = shown.pop()
  return shown.length === 0 ? (last ?? 'nothing') : `${shown.join(', ')} or ${last}`
}

/** Everything that may stand there, signs and kinds of words first when the list is long. */
function listExpected({ literals, kinds }: Expected): string {
  const quoted = literals.filter((text) => text !== '\n' && text !== ';').map((text) => `\`${text}\``)
  const words = kinds.filter((kind) => kind !== 'end of line')
  const items = [...words.map((kind) => `${/^[aeio]/.test(kind) ? 'an' : 'a'} ${kind}`), ...quoted]
  return items.length === 0 ? 'the end of the line' : listed(items)
}

/** The words that a mistyped word may be compared with: literals of at least two letters, without a closing dot. */
function wordsOf({ literals }: Expected): string[] {
  return literals.filter((text) => isWord.test(text)).map((text) => text.replace(/[./]$/, ''))
}

/** A name with dots or in camel case, and a value behind it. */
const helmName = /^([A-Za-z]\w*(?:\.[\w-]+)+|[a-z]+[A-Z]\w*)[ \t]+([^\s=;{}]+)(?=[ \t]*(?:[;}\n#]|$))/

/** The mistake at `at`, where nothing of `expected` stands. */
export function mistakeAt(text: string, at: number, expected: Expected): Mistake {
  const end = wordEnd(text, at)
  const found = text.slice(at, end)
  const blank = oddBlank(text, at)
  if (blank !== undefined) return blank
  if (found === '' || found === '#') return stopsEarly(text, at, expected)
  return (
    wrongEdition(text, at, end) ??
    wrongSign(at, end, found, expected) ??
    valueWithoutSign(text, at, expected) ??
    brokenRow(text, at, end, expected) ??
    unknownWord(text, at, expected) ??
    unexpected(text, at, end, expected)
  )
}

/** A blank that only looks like one: what a web page or a word processor leaves in a text. */
function oddBlank(text: string, at: number): Mistake | undefined {
  const [sign] = /^[^\S \t\r\n]/.exec(text.slice(at, at + 1)) ?? []
  if (sign === undefined) return undefined
  const code = `U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
  const message = `this blank (${code}) is none of the language`
  return { start: at, end: at + 1, code: 'S001', message, hint: 'write a plain one', replacement: ' ' }
}

function stopsEarly(text: string, at: number, expected: Expected): Mistake {
  const hint = `expected ${listExpected(expected)}`
  const base = { start: at, end: at, hint, replacement: undefined }
  if (expected.literals.includes('|')) {
    return {
      ...base,
      code: 'S015',
      message: 'this row does not end with `|`',
      hint: 'close the row with `|`',
    }
  }
  const where = at >= text.length ? 'the file ends' : 'the line ends'
  return { ...base, code: 'S014', message: `${where} where the statement needs more` }
}

function wrongEdition(text: string, at: number, end: number): Mistake | undefined {
  if (/\S/.test(text.slice(0, at).replace(/#.*$/gm, ''))) return undefined
  if (closest(text.slice(at, end), ['scn']) !== undefined) return undefined
  const hint = 'the first line is `scn 1`'
  return {
    start: at,
    end,
    code: 'S008',
    message: 'the file does not begin with its language edition',
    hint,
    replacement: undefined,
  }
}

function wrongSign(at: number, end: number, found: string, expected: Expected): Mistake | undefined {
  const better = Object.hasOwn(confused, found)
    ? confused[found]?.find((sign) => expected.literals.includes(sign))
    : undefined
  if (better === undefined) return undefined
  const message = `\`${found}\` is the wrong sign here`
  return { start: at, end, code: 'S003', message, hint: `did you mean \`${better}\`?`, replacement: better }
}

/** `bpf.masquerade true` and `routingMode native` in the block of a cluster: names of Helm's, put as options are. */
function valueWithoutSign(text: string, start: number, expected: Expected): Mistake | undefined {
  if (!expected.kinds.includes('Helm value')) return undefined
  const [whole, name, value] = helmName.exec(text.slice(start, start + 200)) ?? []
  if (whole === undefined || name === undefined || value === undefined) return undefined
  return {
    start,
    end: start + whole.length,
    code: 'S003',
    message: 'a Helm value takes `=`',
    hint: `write \`${name} = ${value}\``,
    replacement: `${name} = ${value}`,
  }
}

function brokenRow(text: string, at: number, end: number, expected: Expected): Mistake | undefined {
  if (!expected.literals.includes('|')) return undefined
  const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at)
  if (!line.includes('|')) return undefined
  const message = 'this is not a cell of the table'
  const hint = 'a cell that holds `|`, `#` or `"` is quoted; a row ends with `|`'
  return { start: at, end, code: 'S015', message, hint, replacement: undefined }
}

function unknownWord(text: string, at: number, expected: Expected): Mistake | undefined {
  const found = /^[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*/.exec(text.slice(at, at + 200))?.[0]
  if (found === undefined) return undefined
  const words = wordsOf(expected)
  const better = closest(found, words)
  if (better === undefined || better === found) return undefined
  const message = `\`${found}\` is not known here`
  const end = at + found.length
  return { start: at, end, code: 'S002', message, hint: `did you mean \`${better}\`?`, replacement: better }
}

function unexpected(text: string, at: number, end: number, expected: Expected): Mistake {
  const found = text.slice(at, end)
  const hint = `expected ${listExpected(expected)}`
  const base = { start: at, end, hint, replacement: undefined }
  const atStart = /(^|[\n;{])[ \t\r]*(\[[^\]\n]*\][ \t]*)?$/.test(text.slice(0, at))
  if (expected.kinds.includes('end of line') && !atStart) {
    return { ...base, code: 'S013', message: `\`${found}\` does not belong to this statement` }
  }
  const known = isWord.test(found) && expected.kinds.length === 0
  if (known) return { ...base, code: 'S002', message: `\`${found}\` is not known here` }
  return { ...base, code: 'S001', message: `\`${found}\` is not expected here` }
}

/** The diagnostic of a mistake, at its place in the source. */
export function diagnosticOf(source: Source, mistake: Mistake, start: number, end: number): Diagnostic {
  const span = { source, start, end }
  const fix = mistake.replacement === undefined ? undefined : { span, text: mistake.replacement }
  return syntaxError(mistake.code, span, mistake.message, mistake.hint, fix)
}
