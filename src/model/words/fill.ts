// Variables become values here. A tree and the values of one case go in; the same tree without those variables comes out,
// and every word remembers the cell that its value came from. Subtrees without variables are returned as they are, so
// that what is the same in all cases is one object and is checked once.
import type { Span } from '../../base/text.ts'
import type { VariablePart, Word } from '../../syntax/ast.ts'
import type { Given } from '../model.ts'

/** A word whose value came out of a cell. */
export interface FilledWord extends Word {
  readonly cell?: Span
}

/** What a variable stands for. */
export interface Binding {
  readonly text: string
  readonly form: Word['form']
  /** The cell of the case table, where it came from one. */
  readonly cell?: Span
}

/** The value of a variable (named without `$`), or undefined where it has none yet: captures and repeats. */
export type Lookup = (name: string) => Binding | undefined

/** The cell that a word's value came from. */
export function cellOf(word: Word): Span | undefined {
  const filled: FilledWord = word
  return filled.cell
}

/** A value with the words and the cell it came from. */
export function given<T>(word: Word, value: T): Given<T> {
  const cell = cellOf(word)
  return cell === undefined ? { value, span: word.span } : { value, span: word.span, cell }
}

/** Whether a word still has variables after everything known was put in: its value is only known while running. */
export function isOpen(word: Word): boolean {
  return word.parts.length > 0
}

/** The word `-`: nothing, not reached. In quotes it is a text. */
export function isNothing(word: Word): boolean {
  return word.text === '-' && word.form === 'bare'
}

function isVariable(part: string | VariablePart): part is VariablePart {
  return typeof part !== 'string'
}

/** A word with every known variable replaced. */
export function fillWord(word: Word, lookup: Lookup): Word {
  if (word.parts.length === 0) return word
  let text = ''
  let open = false
  let first: Binding | undefined
  const parts: (string | VariablePart)[] = []
  for (const part of word.parts) {
    const binding = isVariable(part) ? lookup(part.name) : undefined
    if (isVariable(part) && binding === undefined) {
      open = true
      text += `\${${part.name}}`
      parts.push(part)
      continue
    }
    const piece = isVariable(part) ? (binding?.text ?? '') : part
    first ??= binding
    text += piece
    parts.push(piece)
  }
  if (first === undefined) return word
  const cell = first.cell ?? cellOf(word)
  const filled: FilledWord = {
    kind: 'word',
    span: word.span,
    text,
    form: word.parts.length === 1 && word.form === 'bare' ? first.form : word.form,
    parts: open ? parts : [],
    ...(cell === undefined ? {} : { cell }),
  }
  return filled
}

const constant = new WeakMap<object, boolean>()

/** Whether a tree has no variable anywhere; remembered, because every case of a table asks again. */
export function isConstant(node: object): boolean {
  if (isWord(node)) return node.parts.length === 0
  const known = constant.get(node)
  if (known !== undefined) return known
  const answer = childrenAreConstant(node)
  constant.set(node, answer)
  return answer
}

/** Asked of every node of every file: without lists in between. */
function childrenAreConstant(node: object): boolean {
  const source = node as Readonly<Record<string, unknown>>
  for (const key in source) {
    if (key === 'span' || key === 'typeSpan') continue
    const value = source[key]
    if (typeof value === 'object' && value !== null && !isConstant(value)) return false
  }
  return true
}

function isWord(node: object): node is Word {
  return 'kind' in node && node.kind === 'word'
}

function childrenOf(node: object): object[] {
  const children: object[] = []
  for (const [key, value] of Object.entries(node)) {
    if (key !== 'span' && key !== 'typeSpan' && typeof value === 'object' && value !== null)
      children.push(value)
  }
  return children
}

/** The tree with every known variable replaced; the same object where nothing was replaced. */
export function fill<T extends object>(node: T, lookup: Lookup): T {
  return fillTree(node, lookup) as T
}

function fillTree(node: object, lookup: Lookup): object {
  if (isWord(node)) return fillWord(node, lookup)
  if (isConstant(node)) return node
  if (Array.isArray(node)) return node.map((item: unknown) => fillAny(item, lookup))
  const copy: Record<string, unknown> = {}
  const source = node as Readonly<Record<string, unknown>>
  for (const key in source) {
    const value = source[key]
    copy[key] = key === 'span' || key === 'typeSpan' ? value : fillAny(value, lookup)
  }
  return copy
}

function fillAny(value: unknown, lookup: Lookup): unknown {
  return typeof value === 'object' && value !== null ? fillTree(value, lookup) : value
}

/** Every variable of a tree, in order. */
export function variablesIn(node: object, found: VariablePart[] = []): VariablePart[] {
  if (isConstant(node)) return found
  if (isWord(node)) found.push(...node.parts.filter(isVariable))
  else for (const child of childrenOf(node)) variablesIn(child, found)
  return found
}
