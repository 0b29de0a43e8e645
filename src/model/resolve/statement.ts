// Claims about state: tables of a host, maps, counters. They hold at the point of the scenario where they stand.
import { didYouMean } from '../../base/closest.ts'
import type { MapClaim, StateClaim, Statement, Word } from '../../syntax/ast.ts'
import type { Claim, ClaimBody } from '../claim.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { MapModel } from '../program.ts'
import { defined } from '../words/defined.ts'
import type { FieldInfo } from '../words/fields.ts'
import { given } from '../words/fill.ts'
import { integerOf } from '../words/numbers.ts'
import { counterField, hasCilium, readCounter } from './claim.ts'
import { layoutBytes } from './layout.ts'
import { readPlace } from './place.ts'
import type { Scope } from './scope.ts'
import { notYet } from './unavailable.ts'
import { readValue } from './value.ts'

/** One claim about state; nothing after a message. */
export function readStatement(
  item: Statement,
  maps: ReadonlyMap<string, MapModel>,
  scope: Scope,
): readonly Claim[] {
  const body = bodyOf(item, maps, scope)
  return body === undefined ? [] : [{ never: false, body, span: item.span }]
}

function bodyOf(item: Statement, maps: ReadonlyMap<string, MapModel>, scope: Scope): ClaimBody | undefined {
  switch (item.kind) {
    case 'counter':
      return readCounter(item, scope)
    case 'state':
      return readState(item, scope)
    case 'map-claim':
      return readMapClaim(item, maps, scope)
    case 'metric':
      return readMetric(item, scope)
  }
}

function readState(item: StateClaim, scope: Scope): ClaimBody | undefined {
  const node = readPlace(item.place, scope)
  const value = item.value?.kind === 'word' ? given(item.value, plain(item.value)) : undefined
  if (item.value !== null && value === undefined) {
    scope.report(mistake('S121', item.value.span, 'a table is compared with one word'))
    return undefined
  }
  if (item.table === 'affinity') {
    notYet(item.span, '`state NODE affinity`', scope.report)
    return undefined
  }
  if (node === undefined) return undefined
  const entry = item.entry.map((word) => given(word, word.text))
  return defined({ kind: 'state' as const, node, table: item.table, entry, claim: item.claim, value })
}

function plain(word: Word): { kind: 'number'; number: number } | { kind: 'text'; text: string } {
  const number = integerOf(word.text)
  return number === undefined ? { kind: 'text', text: word.text } : { kind: 'number', number }
}

/** What a value of a layout is compared as. */
function fieldOf(layout: string, map: string): FieldInfo {
  const base = { path: `map ${map}`, max: Number.MAX_SAFE_INTEGER, where: 'trace', writable: false } as const
  if (layout === 'ipv4' || layout === 'prefix') return { ...base, kind: 'address', family: 4 }
  if (layout === 'ipv6' || layout === 'prefix6') return { ...base, kind: 'address', family: 6 }
  if (layout === 'mac') return { ...base, kind: 'mac' }
  const bytes = layoutBytes(layout) ?? 8
  if (layout.includes('[')) return { ...base, kind: 'text' }
  return { ...base, kind: 'number', max: bytes >= 7 ? Number.MAX_SAFE_INTEGER : 2 ** (8 * bytes) - 1 }
}

function readMapClaim(
  item: MapClaim,
  maps: ReadonlyMap<string, MapModel>,
  scope: Scope,
): ClaimBody | undefined {
  const [hostWord, ...rest] = item.place.segments
  if (hostWord === undefined) return undefined
  const host = readPlace({ ...item.place, segments: [hostWord] }, scope)
  const nameWord = rest.at(-1)
  if (host === undefined) return undefined
  if (nameWord === undefined) {
    scope.report(
      mistake('S135', item.place.span, 'a map is needed here', { hint: `write \`${hostWord.text}/MAP\`` }),
    )
    return undefined
  }
  const map = maps.get(nameWord.text)
  if (map === undefined) {
    // An agent's maps are known when its engine is.
    if (scope.entities.clusters.length === 0) {
      const hint = didYouMean(nameWord.text, maps.keys())
      scope.report(mistakeIn('S135', nameWord, `no map is called \`${nameWord.text}\``, { hint }))
    }
    return undefined
  }
  const key = item.key === null ? undefined : readValue(item.key, fieldOf(map.keyType, map.name), '==', scope)
  const value =
    item.value === null
      ? undefined
      : readValue(
          item.value,
          map.valueType === 'u64' ? counterField : fieldOf(map.valueType, map.name),
          '==',
          scope,
        )
  if ((item.key !== null && key === undefined) || (item.value !== null && value === undefined))
    return undefined
  const named = given(nameWord, map.name)
  return defined({ kind: 'map' as const, node: host.value.node, map: named, key, claim: item.claim, value })
}

function readMetric(item: Extract<Statement, { kind: 'metric' }>, scope: Scope): ClaimBody | undefined {
  const node = readPlace(item.place, scope)
  const value = readValue(item.value, counterField, item.operator, scope)
  if (!hasCilium(item, scope) || node === undefined || value === undefined) return undefined
  const labels = item.labels.map(({ key, value: word }) => ({ key: key.text, value: given(word, word.text) }))
  return {
    kind: 'metric',
    node,
    name: given(item.name, item.name.text),
    labels,
    operator: item.operator,
    value,
  }
}
