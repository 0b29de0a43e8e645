// Claims about state: counters, tables, maps. They hold at the step behind which they stand.
import type { Span } from '../../base/text.ts'
import type { ClaimBody, Value } from '../../model/claim.ts'
import type { CompareOperator } from '../../syntax/ast.ts'
import { type Answer, expectedActual, missAt, missHere } from './answer.ts'
import type { ClaimContext } from './context.ts'
import { shownValue } from './field-text.ts'
import { patternMatches } from './fields.ts'
import { compareNumbers } from './numbers.ts'

type Body<Kind extends ClaimBody['kind']> = Extract<ClaimBody, { readonly kind: Kind }>

/** The number in a value; undefined where it is none. */
export function numberIn(value: Value, context: ClaimContext): number | undefined {
  if (value.kind === 'number') return value.number
  const bound = value.kind === 'variable' ? context.captured.get(value.name) : undefined
  return bound?.kind === 'number' ? bound.number : undefined
}

/** `counter host/eth0 rx_packets == 1`, `counter n1 IpForwDatagrams == 1`. */
export function counterClaim(body: Body<'counter'>, context: ClaimContext): Answer {
  const { node, device, text } = body.place.value
  const actual = context.state.counter({ node, device }, body.name.value)
  if (actual === undefined) return missAt(body.name, `${text} has no counter ${body.name.value}`)
  const wanted = numberIn(body.value.value, context)
  if (wanted !== undefined && compareNumbers(actual, body.operator, wanted)) return undefined
  const sign = body.operator === '==' ? '' : `${body.operator} `
  return missAt(body.value, expectedActual(`${sign}${shownValue(body.value.value, context)}`, String(actual)))
}

/** Lines of a table that begin with the words of an entry, as far as the entry goes. */
function linesFor(lines: readonly (readonly string[])[], entry: readonly string[]): (readonly string[])[] {
  return lines.filter((line) => entry.every((word) => line.some((other) => patternMatches(word, other))))
}

/** `state n1 neigh 10.0.0.2 == failed`, `state host conntrack empty`, `state n1 route 10.0.0.0/8 absent`. */
export function stateClaim(body: Body<'state'>, span: Span, context: ClaimContext): Answer {
  const all = context.state.table(body.node.value.node, body.table)
  if (all === undefined) return missHere(span, `${body.node.value.text} has no table ${body.table}`)
  const lines = linesFor(
    all,
    body.entry.map((word) => word.value),
  )
  const shown = lines
    .slice(0, 3)
    .map((line) => line.join(' '))
    .join('; ')
  switch (body.claim) {
    case 'empty':
    case 'absent':
      return lines.length === 0
        ? undefined
        : missHere(span, `expected ${body.claim}, actual ${lines.length}: ${shown}`)
    case 'present':
      return lines.length > 0 ? undefined : missHere(span, `there is no such entry among ${all.length}`)
    default:
      return stateValue(body, lines, body.claim, span, context)
  }
}

function stateValue(
  body: Body<'state'>,
  lines: readonly (readonly string[])[],
  operator: CompareOperator,
  span: Span,
  context: ClaimContext,
): Answer {
  const value = body.value
  if (value === undefined) return missHere(span, 'there is nothing to compare with')
  const wanted = value.value
  if (wanted.kind === 'number') {
    if (compareNumbers(lines.length, operator, wanted.number)) return undefined
    return missAt(value, expectedActual(`${operator} ${wanted.number} entries`, String(lines.length)))
  }
  const word = shownValue(wanted, context).toLowerCase()
  const has = lines.some((line) => line.some((other) => other.toLowerCase() === word))
  if (has === (operator !== '!=')) return undefined
  const actual = lines.length === 0 ? 'no such entry' : lines.map((line) => line.join(' ')).join('; ')
  return missAt(value, expectedActual(word, actual))
}

/** A little-endian number of up to eight bytes, as programs store it. */
function numberOfBytes(bytes: Uint8Array): number {
  let value = 0
  for (let at = Math.min(bytes.length, 8) - 1; at >= 0; at -= 1) value = value * 256 + (bytes[at] ?? 0)
  return value
}

/** `map host/hits[6] == 3`, `map host/seen 10.1.0.66 present`, `map host/seen empty`. */
export function mapClaim(body: Body<'map'>, span: Span, context: ClaimContext): Answer {
  const size = context.state.mapSize(body.node, body.map.value)
  if (size === undefined) return missAt(body.map, `${body.node} has no map ${body.map.value}`)
  if (body.claim === 'empty')
    return size === 0 ? undefined : missHere(span, expectedActual('an empty map', `${size} entries`))
  if (body.key === undefined) return missHere(span, 'the entry is not named')
  const entry = context.state.mapEntry(body.node, body.map.value, body.key.value)
  const there = entry?.value
  const key = shownValue(body.key.value, context)
  if (body.claim === 'present')
    return there !== undefined ? undefined : missAt(body.key, `there is no entry ${key}`)
  if (body.claim === 'absent')
    return there === undefined ? undefined : missAt(body.key, `there is an entry ${key}: ${entry?.text}`)
  if (body.value === undefined) return missHere(span, 'there is nothing to compare with')
  if (there === undefined) return missAt(body.key, `there is no entry ${key}`)
  const wanted = numberIn(body.value.value, context)
  const same =
    wanted === undefined
      ? entry?.text === shownValue(body.value.value, context)
      : compareNumbers(numberOfBytes(there), body.claim, wanted)
  if (same) return undefined
  return missAt(
    body.value,
    expectedActual(shownValue(body.value.value, context), entry?.text ?? String(numberOfBytes(there))),
  )
}
