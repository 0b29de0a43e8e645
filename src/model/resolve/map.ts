// Maps of small programs. What the declaration leaves open is inferred: the key from the entries and from the fields it
// is looked up with, the value from the entries and from what is written into it, the size from both.
import { didYouMean } from '../../base/closest.ts'
import type { MapDeclaration, MapType, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { MapModel } from '../program.ts'
import { fieldInfo } from '../words/fields.ts'
import { mapFlagIn } from '../words/map-flags.ts'
import { integerOf, numberIn } from '../words/numbers.ts'
import { optionValue } from '../words/options.ts'
import { fits, layoutBytes, layoutNames, layoutOf } from './layout.ts'
import type { MapUse } from './program-uses.ts'
import type { Scope } from './scope.ts'
import { notYet } from './unavailable.ts'

/** Types whose key is an index. */
const indexed: ReadonlySet<MapType> = new Set([
  'array',
  'percpu-array',
  'devmap',
  'devmap-hash',
  'cpumap',
  'prog-array',
  'perf-event-array',
])

const fixedValues: Partial<Record<MapType, string>> = {
  devmap: 'ifindex',
  'devmap-hash': 'ifindex',
  cpumap: 'cpu',
  'prog-array': 'prog',
  'perf-event-array': 'u32',
  ringbuf: 'none',
}

const maxEntries = { what: 'a number of entries', min: 1, max: 1_000_000 } as const

/** One map with its layouts; `uses` are the places of the program that name it. */
export function readMap(item: MapDeclaration, uses: readonly MapUse[], scope: Scope): MapModel {
  const keyType = layoutIn(item, 'key', scope) ?? keyOf(item, uses, scope)
  const valueType = layoutIn(item, 'value', scope) ?? valueLayout(item, uses, scope)
  checkEntries(item, keyType, valueType, scope)
  const pinned = optionValue(item.options, 'pinned')?.text
  const flagWord = optionValue(item.options, 'flags')
  const flags = flagWord === undefined ? undefined : mapFlagIn(flagWord, item.type, scope.report)
  return {
    name: item.name.text,
    type: item.type,
    keyBytes: layoutBytes(keyType) ?? 4,
    valueBytes: layoutBytes(valueType) ?? 4,
    maxEntries: entriesOf(item, uses, scope),
    keyType,
    valueType,
    span: item.span,
    ...(pinned === undefined ? {} : { pinned }),
    ...(flags === undefined ? {} : { flags }),
  }
}

function layoutIn(item: MapDeclaration, name: 'key' | 'value', scope: Scope): string | undefined {
  const word = optionValue(item.options, name)
  if (word === undefined || layoutBytes(word.text) !== undefined) return word?.text
  scope.report(
    mistakeIn('S135', word, `no layout is called \`${word.text}\``, {
      hint: didYouMean(word.text, layoutNames) ?? `one of ${layoutNames.slice(0, 9).join(', ')}`,
    }),
  )
  return undefined
}

function keyOf(item: MapDeclaration, uses: readonly MapUse[], scope: Scope): string {
  if (indexed.has(item.type)) return 'u32'
  if (item.type === 'ringbuf') return 'none'
  const own = first(
    [...item.entries.map((entry) => entry.key), ...uses.map((use) => use.key)].map((key) =>
      layoutOf(key, scope),
    ),
  )
  if (item.type === 'lpm-trie') return own === 'ipv6' || own === 'prefix6' ? 'prefix6' : 'prefix'
  return own ?? 'u32'
}

function valueLayout(item: MapDeclaration, uses: readonly MapUse[], scope: Scope): string {
  const fixed = fixedValues[item.type]
  if (fixed !== undefined) return fixed
  if (uses.some((use) => use.how === 'count')) return 'u64'
  const values = [...item.entries.map((entry) => entry.value ?? undefined), ...uses.map((use) => use.value)]
  const own = first(values.map((value) => layoutOf(value, scope)))
  if (own !== undefined) return own
  return values.every((value) => value === undefined) && item.entries.length > 0 ? 'u8' : 'u32'
}

function first(layouts: readonly (string | undefined)[]): string | undefined {
  return layouts.find((layout) => layout !== undefined)
}

/**
 * The declared size; else what an array's indexes need (a field of 8 bits needs 256), 4096 bytes for a ring buffer and
 * room for 1024 entries elsewhere.
 */
function entriesOf(item: MapDeclaration, uses: readonly MapUse[], scope: Scope): number {
  const word = optionValue(item.options, 'max-entries')
  const declared = word === undefined ? undefined : numberIn(word, maxEntries, scope.report)
  if (declared !== undefined) return declared
  if (item.type === 'ringbuf') return 4096
  if (!indexed.has(item.type)) return Math.max(1024, item.entries.length)
  let size = item.type === 'perf-event-array' ? 8 : 1
  for (const key of [...item.entries.map((entry) => entry.key), ...uses.map((use) => use.key)]) {
    if (key?.kind === 'word') size = Math.max(size, (integerOf(key.text) ?? 0) + 1)
    const info = key?.kind === 'field' ? fieldInfo(key.path) : undefined
    if (info?.kind === 'number') size = Math.max(size, Math.min(info.max + 1, 65536))
  }
  return Math.min(size, maxEntries.max)
}

function checkEntries(item: MapDeclaration, keyType: string, valueType: string, scope: Scope): void {
  const wrong = (word: Word, what: string, layout: string): void =>
    scope.report(
      mistakeIn('S135', word, `\`${word.text}\` is no ${what} of map \`${item.name.text}\``, {
        hint: `its ${what}s are of type ${layout}`,
      }),
    )
  if (item.type === 'cpumap') notYet(item.span, 'a cpumap', scope.report)
  for (const entry of item.entries) {
    for (const expr of [entry.key, entry.value])
      if (expr !== null && expr.kind !== 'word')
        scope.report(
          mistake('S135', expr.span, 'an entry is made of plain values', {
            hint: 'a number, an address or a name',
          }),
        )
    if (entry.key.kind === 'word' && !fits(entry.key, keyType, scope)) wrong(entry.key, 'key', keyType)
    if (entry.value?.kind === 'word' && !fits(entry.value, valueType, scope))
      wrong(entry.value, 'value', valueType)
  }
}

/** What each kind of use asks of a map's type. */
const wanted: Readonly<Partial<Record<MapUse['how'], readonly MapType[]>>> = {
  redirect: ['devmap', 'devmap-hash', 'cpumap'],
  tail: ['prog-array'],
  emit: ['perf-event-array', 'ringbuf'],
}

/** Whether every map that a program names is declared, and of a type that the use can work with. */
export function checkMapUses(
  uses: readonly MapUse[],
  maps: ReadonlyMap<string, MapModel>,
  scope: Scope,
): void {
  for (const { map: word, how, key } of uses) {
    const map = maps.get(word.text)
    if (map === undefined) {
      const hint = didYouMean(word.text, maps.keys()) ?? 'declare it with `map NAME TYPE`'
      scope.report(mistakeIn('S135', word, `no map is called \`${word.text}\``, { hint }))
      continue
    }
    const types = wanted[how] ?? plainTypes
    if (!types.includes(map.type)) {
      scope.report(
        mistakeIn('S135', word, `\`${word.text}\` is a ${map.type}`, {
          hint: `this needs ${types.join(' or ')}`,
        }),
      )
    } else if (key?.kind === 'word' && !fits(key, map.keyType, scope)) {
      scope.report(
        mistakeIn('S135', key, `\`${key.text}\` is no key of map \`${map.name}\``, {
          hint: `its keys are of type ${map.keyType}`,
        }),
      )
    }
  }
}

const plainTypes: readonly MapType[] = [
  'array',
  'hash',
  'lru-hash',
  'lpm-trie',
  'percpu-array',
  'percpu-hash',
  'lru-percpu-hash',
]
