// Chains: what makes one a base chain, and its rules.
import { didYouMean } from '../../base/closest.ts'
import type { HookName } from '../netfilter/hook.ts'
import { type Cursor, Mistake } from './cursor.ts'
import { priorityNames } from './priority.ts'
import type { TableScope } from './relation.ts'
import type { BaseChain, ChainSpec, ChainType, RuleSpec, Statement } from './ruleset.ts'
import { readStatement } from './statement.ts'
import type { Token } from './tokens.ts'

const hooks: ReadonlyMap<string, HookName> = new Map([
  ['prerouting', 'PREROUTING'],
  ['input', 'INPUT'],
  ['forward', 'FORWARD'],
  ['output', 'OUTPUT'],
  ['postrouting', 'POSTROUTING'],
])
const hooksOfType: Readonly<Record<ChainType, readonly HookName[]>> = {
  filter: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  route: ['OUTPUT'],
}
/** NF_IP_PRI_CONNTRACK. */
const conntrackPriority = -200

function pick<T>(known: ReadonlyMap<string, T>, token: Token, what: string): T {
  const found = known.get(token.text)
  if (found !== undefined) return found
  const hint = didYouMean(token.text, known.keys()) ?? `one of ${[...known.keys()].join(', ')}`
  throw new Mistake(token, `there is no ${what} \`${token.text}\``, hint)
}

/** `-110`, `filter`, `dstnat + 5`. */
function readPriority(cursor: Cursor, hook: HookName): number {
  const { token } = cursor
  if (token.kind !== 'word') {
    const negative = cursor.accept('-')
    const value = cursor.number('a priority')
    return negative ? -value : value
  }
  cursor.take()
  const [, name = token.text, sign, digits] = /^([a-z]+)([+-])(\d+)$/.exec(token.text) ?? []
  const base = pick(priorityNames(hook), { ...token, text: name }, 'priority')
  if (digits !== undefined) return sign === '-' ? base - Number(digits) : base + Number(digits)
  if (cursor.accept('-')) return base - cursor.number('a number')
  return cursor.accept('+') ? base + cursor.number('a number') : base
}

/** `type filter hook prerouting priority -110`. */
function readBase(cursor: Cursor): BaseChain {
  const place = cursor.expect('type')
  const typeToken = cursor.name('chain type')
  const type = pick(
    new Map(Object.keys(hooksOfType).map((key) => [key, key as ChainType])),
    typeToken,
    'type of chain',
  )
  cursor.expect('hook')
  const hookToken = cursor.name('hook')
  const hook = pick(hooks, hookToken, 'hook')
  if (!hooksOfType[type].includes(hook))
    throw new Mistake(hookToken, `a chain of type ${type} has no hook ${hookToken.text}`)
  if (cursor.is('device')) cursor.fail('chains of a device are not modelled')
  cursor.expect('priority')
  const priority = readPriority(cursor, hook)
  if (type === 'nat' && priority <= conntrackPriority)
    throw new Mistake(place, 'a nat chain stands behind conntrack: its priority is more than -200')
  return { type, hook, priority, policy: 'accept' }
}

function readPolicy(cursor: Cursor, chain: ChainSpec): void {
  const place = cursor.expect('policy')
  const word = cursor.name('policy')
  if (word.text !== 'accept' && word.text !== 'drop')
    throw new Mistake(word, `the policy of a chain is accept or drop, not \`${word.text}\``)
  if (chain.base === undefined)
    throw new Mistake(place, 'only a base chain (`type ... hook ...`) has a policy')
  chain.base = { ...chain.base, policy: word.text }
}

/** A rule is about one transport protocol and one family at most. */
function checkProtocols(statements: readonly Statement[], scope: TableScope, place: Token): void {
  const protocols = statements.flatMap(({ protocol, implied }) => protocol ?? implied?.protocol ?? [])
  const families = statements.flatMap(({ family, implied }) => family ?? implied?.family ?? [])
  const [protocol] = protocols
  const [family] = scope.family === 'inet' ? families : [scope.family]
  if (protocols.at(-1) !== protocol)
    throw new Mistake(place, 'the rule is about another transport protocol already')
  if (families.some((each) => each !== family))
    throw new Mistake(place, `the rule or its table is about IPv${family} already`)
}

/** One rule: the statements up to the end of the line, or to the `}` of the chain. */
export function readRule(cursor: Cursor, scope: TableScope): RuleSpec {
  const place = cursor.token
  const statements: Statement[] = []
  let comment: string | undefined
  while (!cursor.ended) {
    if (cursor.accept('comment')) {
      comment = cursor.string('a comment').text
      if (!cursor.ended) cursor.fail('nothing stands behind the comment of a rule')
      break
    }
    if (statements.at(-1)?.terminal === true) cursor.fail('a statement behind a final one has no effect')
    const start = cursor.token
    const statement = readStatement(cursor, scope, statements)
    if (statement.guard !== undefined) statements.unshift(statement.guard)
    statements.push(statement)
    checkProtocols(statements, scope, start)
  }
  if (statements.length === 0) cursor.fail('a rule has a statement at least')
  return { handle: 0, statements, comment, place }
}

/** One line of a chain's block. */
export function readChainLine(cursor: Cursor, chain: ChainSpec, scope: TableScope): void {
  if (cursor.is('type')) chain.base = readBase(cursor)
  else if (cursor.is('policy')) readPolicy(cursor, chain)
  else if (cursor.is('comment')) {
    cursor.take()
    chain.comment = cursor.string('a comment').text
  } else chain.rules.push(readRule(cursor, scope))
}
