// Rows of a case table repeat themselves: the same line with the same values means the same in every case, except for the
// cell that a value came from. Enters: a piece of a scenario and the values of a case; leaves: what it was read as, read
// once for each set of values and given this case's cells. What gave a message is read again, so that none is lost.
import type { Span } from '../../base/text.ts'
import { type Binding, fill, type Lookup, variablesIn } from '../words/fill.ts'
import type { Scope } from './scope.ts'

interface Reading {
  readonly value: object
  /** The cells of the case that was read, in the order of the variables. */
  readonly cells: readonly (Span | undefined)[]
}

const readings = new WeakMap<Scope, WeakMap<object, Map<string, Reading>>>()
const names = new WeakMap<object, readonly string[]>()

function namesIn(node: object): readonly string[] {
  const known = names.get(node)
  if (known !== undefined) return known
  const made = [...new Set(variablesIn(node).map(({ name }) => name))]
  names.set(node, made)
  return made
}

function readingsOf(node: object, scope: Scope): Map<string, Reading> {
  let nodes = readings.get(scope)
  if (nodes === undefined) {
    nodes = new WeakMap()
    readings.set(scope, nodes)
  }
  let known = nodes.get(node)
  if (known === undefined) {
    known = new Map()
    nodes.set(node, known)
  }
  return known
}

/** All that reading depends on: of each variable its text and form, and whether it came out of a cell. */
function keyOf(bindings: readonly (Binding | undefined)[]): string {
  let key = ''
  for (const binding of bindings) {
    if (binding !== undefined) key += `${binding.form} ${binding.cell === undefined ? 0 : 1} ${binding.text}`
    key += '\n'
  }
  return key
}

/**
 * What `read` makes of a piece with the variables of a case put in. `read` must depend on nothing but its arguments, and
 * its result is shared: nobody may change it.
 */
export function readShared<Node extends object, Result extends object>(
  node: Node,
  lookup: Lookup,
  scope: Scope,
  read: (filled: Node, scope: Scope) => Result,
): Result {
  const bindings = namesIn(node).map(lookup)
  const known = readingsOf(node, scope)
  const key = keyOf(bindings)
  const found = known.get(key)
  // the map belongs to one piece, and a piece is always read by the same function
  if (found !== undefined) return withCells(found, bindings) as Result
  let silent = true
  const value = read(fill(node, lookup), {
    ...scope,
    report: (diagnostic) => {
      silent = false
      scope.report(diagnostic)
    },
  })
  if (silent) known.set(key, { value, cells: bindings.map((binding) => binding?.cell) })
  return value
}

function withCells({ value, cells }: Reading, bindings: readonly (Binding | undefined)[]): object {
  const moved = new Map<object, Span>()
  for (const [index, cell] of cells.entries()) {
    const now = bindings[index]?.cell
    if (cell !== undefined && now !== undefined && now !== cell) moved.set(cell, now)
  }
  return moved.size === 0 ? value : replaced(value, moved)
}

/** A tree with other cells; parts without a cell stay the same objects. */
function replaced<Tree extends object>(tree: Tree, moved: ReadonlyMap<object, Span>): Tree {
  if (ArrayBuffer.isView(tree) || tree instanceof Set || tree instanceof Map) return tree
  const source = tree as Readonly<Record<string, unknown>>
  let copy: Record<string, unknown> | undefined
  for (const key in source) {
    const value = source[key]
    if (typeof value !== 'object' || value === null || key === 'span') continue
    const now = key === 'cell' ? (moved.get(value) ?? value) : replaced(value, moved)
    if (now === value) continue
    copy ??= (Array.isArray(tree) ? [...tree] : { ...tree }) as Record<string, unknown>
    copy[key] = now
  }
  return (copy ?? tree) as Tree
}
