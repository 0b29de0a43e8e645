// Statements of a rule: verdicts, counters, marks, limits, logs, and those of statement-*.ts. What enters are the tokens of one
// rule.
import { didYouMean } from '../../base/closest.ts'
import { second } from '../clock.ts'
import { connInfo } from '../conntrack/connection.ts'
import type { ChainPacket } from '../netfilter/extension.ts'
import { Bucket } from '../netfilter/match/chance.ts'
import { readSpan } from './constant.ts'
import { type Cursor, Mistake } from './cursor.ts'
import { readVerdict, verdictText } from './elements.ts'
import { beginsExpression, readJoined, readTerm } from './expression.ts'
import { bothFamilies, readRelation, statementOf, type TableScope } from './relation.ts'
import { type CounterStart, code, type Expression, type Loader, type Statement } from './ruleset.ts'
import { readAddressNat, readMasquerade, readRedirect } from './statement-nat.ts'
import { isSettable, readPayloadSet, settableFields } from './statement-payload.ts'
import { readReject } from './statement-reject.ts'
import { codeOf, readSetStatement, readVerdictMap } from './statement-set.ts'
import { readTproxy } from './statement-tproxy.ts'
import { dataTypes } from './types.ts'

function readVerdictStatement(cursor: Cursor): Statement {
  const verdict = readVerdict(cursor) ?? cursor.fail('expected a verdict')
  const answer = codeOf(verdict)
  return statementOf(undefined, {
    text: verdictText(verdict),
    verdicts: () => [verdict],
    terminal: true,
    bind: ({ table }) => {
      const chain = 'chain' in verdict ? table.chains.get(verdict.chain) : undefined
      return (run) => {
        run.target = chain
        return answer
      }
    },
  })
}

function count(packet: ChainPacket, counters: { packets: number; bytes: number }): void {
  counters.packets += 1
  counters.bytes += packet.skb.tail - packet.l3
}

/** `counter`, `counter packets 1 bytes 84`, `counter name drops`. */
function readCounter(cursor: Cursor, scope: TableScope): Statement {
  cursor.take()
  if (cursor.accept('name') || cursor.token.kind === 'string') {
    const token = cursor.identifier('counter')
    if (!scope.counter(token.text))
      throw new Mistake(token, `there is no counter \`${token.text}\` in this table`)
    return statementOf(undefined, {
      text: `counter name "${token.text}"`,
      bind: ({ table }) => {
        const counters = table.counters.get(token.text)
        return ({ packet }) => {
          if (counters !== undefined) count(packet, counters)
          return code.next
        }
      },
    })
  }
  const start: CounterStart = readCounterStart(cursor)
  return statementOf(undefined, {
    text: 'counter',
    counter: start,
    bind: (binding) => {
      const counters = binding.counter(start)
      return ({ packet }) => {
        count(packet, counters)
        return code.next
      }
    },
  })
}

/** `packets 1 bytes 84`, or nothing. */
export function readCounterStart(cursor: Cursor): CounterStart {
  if (!cursor.accept('packets')) return { packets: 0, bytes: 0 }
  const packets = cursor.number('a number of packets')
  cursor.expect('bytes')
  return { packets, bytes: cursor.number('a number of bytes') }
}

const levels = ['emerg', 'alert', 'crit', 'err', 'warn', 'notice', 'info', 'debug', 'audit']

/** `log`: written for the reader of the rules; a simulated kernel has no log. */
function readLog(cursor: Cursor): Statement {
  cursor.take()
  let text = 'log'
  for (;;) {
    if (cursor.accept('prefix')) text += ` prefix "${cursor.string('a prefix').text}"`
    else if (cursor.accept('level')) {
      const token = cursor.name('level')
      if (!levels.includes(token.text))
        throw new Mistake(token, `there is no log level \`${token.text}\``, didYouMean(token.text, levels))
      if (token.text !== 'warn') text += ` level ${token.text}`
    } else if (cursor.isAny('group', 'snaplen', 'queue-threshold'))
      text += ` ${cursor.take().text} ${cursor.number('a number')}`
    else if (cursor.accept('flags')) {
      const words = [cursor.take().text]
      while (cursor.isAny(',', 'sequence', 'options')) words.push(cursor.take().text)
      text += ` flags ${words.join(' ').replaceAll(' ,', ',').replaceAll(', ', ',')}`
    } else break
  }
  return statementOf(undefined, { text, bind: () => () => code.next })
}

const units: ReadonlyMap<string, number> = new Map([
  ['second', 1],
  ['minute', 60],
  ['hour', 3600],
  ['day', 86_400],
  ['week', 604_800],
])
const defaultBurst = 5

/** `limit rate [over] N/UNIT [burst N packets]` (nft_limit.c). */
function readLimit(cursor: Cursor): Statement {
  cursor.take()
  cursor.expect('rate')
  const over = cursor.accept('over')
  const rate = cursor.number('a number of packets')
  if (!cursor.is('/')) cursor.fail('limits of bytes are not modelled')
  cursor.take()
  const unit = cursor.name('unit of time')
  const seconds = units.get(unit.text)
  if (seconds === undefined || rate === 0)
    throw new Mistake(unit, `there is no rate per \`${unit.text}\``, didYouMean(unit.text, units.keys()))
  let burst = defaultBurst
  if (cursor.accept('burst')) {
    burst = cursor.number('a number of packets')
    cursor.expect('packets')
  }
  const shown = burst === defaultBurst ? '' : ` burst ${burst} packets`
  return statementOf(undefined, {
    text: `limit rate ${over ? 'over ' : ''}${rate}/${unit.text}${shown}`,
    bind: ({ ns }) => {
      const bucket = new Bucket(ns, (seconds * second) / rate, burst)
      return () => (bucket.take() !== over ? code.next : code.broken)
    },
  })
}

/** The value behind `set`: a constant, or a field with perhaps some of its bits changed. */
function readValue(
  cursor: Cursor,
  known: Expression,
): { readonly text: string; readonly from: Expression | undefined; readonly value: number } {
  if (beginsExpression(cursor)) {
    const from = readTerm(cursor)
    if (from.types[0]?.words !== 1) cursor.fail('this expression is no number')
    return { text: from.text, from, value: 0 }
  }
  const type = known.types[0] ?? dataTypes.integer
  const span = readSpan(cursor, type, true)
  return { text: span.text, from: undefined, value: span.first[0] ?? 0 }
}

type Write = (packet: ChainPacket, value: number) => void

const writes: ReadonlyMap<string, Write> = new Map<string, Write>([
  [
    'meta mark',
    (packet, value) => {
      if (packet.skb.mark !== value) packet.changed = true
      packet.skb.mark = value
    },
  ],
  [
    'ct mark',
    ({ skb: { nfct } }, value) => {
      if (nfct !== undefined && !nfct.template) nfct.mark = value
    },
  ],
])

/** `meta mark set VALUE`, `ct mark set VALUE`, `FIELD set CONSTANT`. */
function readAssignment(cursor: Cursor, target: Expression): Statement {
  const place = cursor.expect('set')
  if (isSettable(target.text)) return readPayloadSet(cursor, target)
  const write = writes.get(target.text)
  if (write === undefined)
    throw new Mistake(
      place,
      `setting \`${target.text}\` is not modelled`,
      `one of ${[...writes.keys(), ...settableFields].join(', ')}`,
    )
  const { text, from, value } = readValue(cursor, target)
  return statementOf(from, {
    acts: true,
    text: `${target.text} set ${text}`,
    ...(target.conntrack || from?.conntrack === true ? { conntrack: bothFamilies } : {}),
    bind: (binding) => {
      const load: Loader | undefined = from?.bind(binding)
      return ({ packet, registers }) => {
        registers[0] = value
        if (load !== undefined && !load(packet, registers, 0)) return code.broken
        write(packet, registers[0] as number)
        return code.next
      }
    },
  })
}

/** nft_notrack_eval(). */
function readNotrack(cursor: Cursor): Statement {
  cursor.take()
  return statementOf(undefined, {
    text: 'notrack',
    bind:
      () =>
      ({ packet: { skb } }) => {
        if (skb.nfct === undefined) skb.nfctInfo = connInfo.untracked
        return code.next
      },
  })
}

function readMatch(cursor: Cursor, scope: TableScope): Statement {
  const first = readTerm(cursor)
  if (cursor.is('set')) return readAssignment(cursor, first)
  const expression = cursor.is('.') ? readJoined(cursor, first) : first
  if (cursor.is('vmap')) return readVerdictMap(cursor, scope, expression)
  return readRelation(cursor, scope, expression, expression === first ? first : undefined)
}

const verdictWords = ['accept', 'drop', 'continue', 'return', 'jump', 'goto']
const known = [
  ...verdictWords,
  'counter',
  'log',
  'limit',
  'reject',
  'dnat',
  'snat',
  'masquerade',
  'redirect',
  'notrack',
  'tproxy',
  'add',
  'update',
  'delete',
  'ip',
  'ip6',
  'tcp',
  'udp',
  'meta',
  'ct',
  'fib',
  'numgen',
]

/** Reads one statement. */
export function readStatement(cursor: Cursor, scope: TableScope, earlier: readonly Statement[]): Statement {
  const { token } = cursor
  if (verdictWords.includes(token.text) && token.kind === 'word') return readVerdictStatement(cursor)
  switch (token.text) {
    case 'counter':
      return readCounter(cursor, scope)
    case 'log':
      return readLog(cursor)
    case 'limit':
      return readLimit(cursor)
    case 'reject':
      return readReject(cursor, scope, earlier)
    case 'dnat':
    case 'snat':
      return readAddressNat(cursor, scope, earlier)
    case 'masquerade':
      return readMasquerade(cursor, earlier)
    case 'redirect':
      return readRedirect(cursor, earlier)
    case 'notrack':
      return readNotrack(cursor)
    case 'tproxy':
      return readTproxy(cursor, scope, earlier)
    case 'add':
    case 'update':
    case 'delete':
      return readSetStatement(cursor, scope)
    default:
      break
  }
  if (beginsExpression(cursor)) return readMatch(cursor, scope)
  return cursor.fail(`${cursor.found()} begins no statement that is modelled`, didYouMean(token.text, known))
}
