// What rules do with sets: `update @set { ip saddr timeout 3h }` (nft_dynset.c) and verdict maps (nft_lookup.c).
import { type Cursor, Mistake } from './cursor.ts'
import { durationText, readDuration } from './duration.ts'
import { readJoined } from './expression.ts'
import { inlineSet, namedSet, setText, statementOf, type TableScope } from './relation.ts'
import { type Code, code, type Expression, type SetSpec, type Statement, type Verdict } from './ruleset.ts'
import { wordsOfTypes } from './types.ts'

/** What a verdict is to a rule. */
export function codeOf(verdict: Verdict): Code {
  switch (verdict.kind) {
    case 'continue':
      return code.next
    case 'accept':
      return code.accept
    case 'drop':
      return code.drop
    case 'return':
      return code.return
    case 'jump':
      return code.jump
    case 'goto':
      return code.goto
  }
}

/** Verdicts of elements, which packets may come to. */
function verdictsOf({ elements }: SetSpec): Verdict[] {
  return elements.flatMap(({ verdict }) => verdict ?? [])
}

/** `EXPRESSION vmap { ... }`: a key that is not there ends the rule. */
export function readVerdictMap(cursor: Cursor, scope: TableScope, expression: Expression): Statement {
  const place = cursor.expect('vmap')
  const set =
    cursor.token.kind === 'set'
      ? namedSet(cursor, scope, expression)
      : inlineSet(cursor, expression, 'verdict')
  if (set.data !== 'verdict') throw new Mistake(place, `\`@${set.name}\` is no map of verdicts`)
  return statementOf(expression, {
    text: `${expression.text} vmap ${setText(set)}`,
    sets: set.name === '' ? 1 : 0,
    verdicts: () => verdictsOf(set),
    bind: (binding) => {
      const store = binding.storeOf(set)
      const load = expression.bind(binding)
      return (run) => {
        const found = load(run.packet, run.registers, 0) ? store.find(run.registers, 0) : undefined
        if (found?.verdict === undefined) return code.broken
        run.target = found.chain
        run.verdict = found.spec?.dataText ?? ''
        return codeOf(found.verdict)
      }
    },
  })
}

/** What nft gives a set that rules add to, if it says nothing of its size. */
const dynamicSize = 65_535

/** The value behind a key, for a map. */
function readData(cursor: Cursor, set: SetSpec): Expression | undefined {
  if (set.data === undefined || set.data === 'verdict') return undefined
  cursor.expect(':')
  return readJoined(cursor)
}

/** `add @set { KEY [timeout D] [: DATA] }`, `update ...`, `delete ...`. */
export function readSetStatement(cursor: Cursor, scope: TableScope): Statement {
  const operation = cursor.take()
  const at = cursor.token
  if (at.kind !== 'set') cursor.fail(`expected a set such as \`@clients\`, found ${cursor.found()}`)
  cursor.take()
  cursor.expect('{')
  const key = readJoined(cursor)
  const seconds = cursor.accept('timeout') ? readDuration(cursor) : undefined
  const set = scope.set(at.text)
  if (set === undefined) throw new Mistake(at, `there is no set or map \`${at.text}\` in this table`)
  if (String(set.types.map(({ name }) => name)) !== String(key.types.map(({ name }) => name)))
    throw new Mistake(at, `\`@${set.name}\` has keys of another type`)
  set.size ??= dynamicSize
  const data = readData(cursor, set)
  if (!cursor.is('}')) cursor.fail(`\`${cursor.token.text}\` for an element is not modelled`)
  cursor.expect('}')
  if (seconds !== undefined && !set.flags.includes('timeout') && set.timeout === 0)
    throw new Mistake(at, `\`@${set.name}\` needs \`flags timeout\``)
  const width = wordsOfTypes(set.types)
  const dataWidth = set.data === undefined || set.data === 'verdict' ? 0 : wordsOfTypes(set.data)
  const shown = `${key.text}${seconds === undefined ? '' : ` timeout ${durationText(seconds)}`}${data === undefined ? '' : ` : ${data.text}`}`
  return statementOf(key, {
    acts: true,
    text: `${operation.text} @${set.name} { ${shown} }`,
    bind: (binding) => {
      const store = binding.storeOf(set)
      const load = key.bind(binding)
      const loadData = data?.bind(binding)
      const options = { renew: operation.text === 'update', timeout: seconds ?? set.timeout }
      return ({ packet, registers }) => {
        if (!load(packet, registers, 0)) return code.broken
        if (loadData !== undefined && !loadData(packet, registers, width)) return code.broken
        if (operation.text === 'delete') {
          store.remove(registers, 0)
          return code.next
        }
        const words = dataWidth === 0 ? undefined : Array.from(registers.subarray(width, width + dataWidth))
        return store.put(registers, 0, { ...options, data: words }) ? code.next : code.broken
      }
    },
  })
}
