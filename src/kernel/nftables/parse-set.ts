// Declarations of sets and maps: `set NAME { type T; flags F; timeout D; size N; comment "C"; elements = { ... } }`.
import { didYouMean } from '../../base/closest.ts'
import { type Cursor, eachStatement, Mistake } from './cursor.ts'
import { readDuration } from './duration.ts'
import { checkElements, readElements } from './elements.ts'
import { sameKey } from './remove.ts'
import type { ElementSpec, SetSpec } from './ruleset.ts'
import { type DataType, typesByName } from './types.ts'

type Draft = { -readonly [Key in keyof SetSpec]: SetSpec[Key] }

const setFlags = ['constant', 'dynamic', 'interval', 'timeout'] as const

function readType(cursor: Cursor): DataType {
  const token = cursor.name('type')
  const type = typesByName.get(token.text)
  if (type !== undefined) return type
  throw new Mistake(
    token,
    `there is no data type \`${token.text}\``,
    didYouMean(token.text, typesByName.keys()),
  )
}

function readTypes(cursor: Cursor): DataType[] {
  const types = [readType(cursor)]
  while (cursor.accept('.')) types.push(readType(cursor))
  return types
}

function readFlags(cursor: Cursor): string[] {
  const found: string[] = []
  do {
    const token = cursor.name('flag')
    if (!(setFlags as readonly string[]).includes(token.text)) {
      const hint = didYouMean(token.text, setFlags) ?? `one of ${setFlags.join(', ')}`
      throw new Mistake(token, `there is no flag \`${token.text}\` of a set`, hint)
    }
    found.push(token.text)
  } while (cursor.accept(','))
  return setFlags.filter((flag) => found.includes(flag))
}

function readData(cursor: Cursor, draft: Draft): void {
  if (draft.kind === 'set') return
  cursor.expect(':')
  if (cursor.accept('verdict')) draft.data = 'verdict'
  else draft.data = readTypes(cursor)
}

function readOption(cursor: Cursor, draft: Draft): void {
  const token = cursor.name('property')
  switch (token.text) {
    case 'type':
      draft.types = readTypes(cursor)
      readData(cursor, draft)
      return
    case 'flags':
      draft.flags = readFlags(cursor)
      return
    case 'timeout':
      draft.timeout = readDuration(cursor)
      return
    case 'size':
      draft.size = cursor.number('a size')
      return
    case 'gc-interval':
      readDuration(cursor)
      return
    case 'policy':
      cursor.take()
      return
    case 'comment':
      draft.comment = cursor.string('a comment').text
      return
    case 'auto-merge':
    case 'typeof':
    case 'counter':
      throw new Mistake(token, `\`${token.text}\` of a set is not modelled`)
    case 'elements':
      cursor.expect('=')
      if (draft.types.length === 0) throw new Mistake(token, 'a set says its `type` before its elements')
      draft.elements.push(...readElements(cursor, draft))
      return
    default: {
      const known = ['type', 'flags', 'timeout', 'size', 'comment', 'elements', 'gc-interval', 'policy']
      throw new Mistake(token, `a set has no \`${token.text}\``, didYouMean(token.text, known))
    }
  }
}

/** Adds elements to a set that is there; one that it has already stays as it is. */
export function addElements(set: SetSpec, elements: readonly ElementSpec[]): void {
  const fresh = elements.filter((element) => {
    const known = set.elements.find((other) => sameKey(other, element))
    if (known !== undefined && known.dataText !== element.dataText)
      throw new Mistake(element.place, `\`@${set.name}\` has another value for this key: ${known.dataText}`)
    return known === undefined
  })
  checkElements(set, [...set.elements, ...fresh])
  set.elements.push(...fresh)
}

/** The block of a set or map; `name` was read already. */
export function readSet(cursor: Cursor, kind: 'set' | 'map', name: string): SetSpec {
  const draft: Draft = {
    name,
    handle: 0,
    kind,
    types: [],
    data: undefined,
    flags: [],
    timeout: 0,
    size: undefined,
    comment: undefined,
    elements: [],
    flushed: 0,
  }
  const place = cursor.expect('{')
  const right = eachStatement(cursor, () => readOption(cursor, draft))
  cursor.expect('}')
  if (!right) return draft
  if (draft.types.length === 0) throw new Mistake(place, `a ${kind} needs a \`type\``)
  if (kind === 'map' && draft.data === undefined) throw new Mistake(place, 'a map needs the type of its data')
  checkElements(draft, draft.elements)
  return draft
}
