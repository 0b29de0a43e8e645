// `dnat`, `snat`, `masquerade`, `redirect` (nft_nat.c, nft_masq.c, nft_redir.c): they only decide; the NAT hook rewrites.
import type { IpAddress } from '../../net/address.ts'
import { masquerade, redirectToSelf } from '../conntrack/masquerade.ts'
import { setupNat } from '../conntrack/nat.ts'
import type { Manip, NatRange } from '../conntrack/nat-choose.ts'
import type { ChainPacket } from '../netfilter/extension.ts'
import type { Binding } from './bound.ts'
import { readSpan } from './constant.ts'
import { type Cursor, Mistake } from './cursor.ts'
import { readJoined } from './expression.ts'
import { bothFamilies, inlineSet, namedSet, setText, statementOf, type TableScope } from './relation.ts'
import { code, type Requirement, type Run, type Span, type Statement, type Step } from './ruleset.ts'
import type { Token } from './tokens.ts'
import { addressOf, dataTypes, type Words } from './types.ts'

const flagNames = ['random', 'fully-random', 'persistent'] as const

function readFlags(cursor: Cursor): readonly string[] {
  const found: string[] = []
  while (cursor.isAny(...flagNames)) {
    found.push(cursor.take().text)
    cursor.accept(',')
  }
  return flagNames.filter((flag) => found.includes(flag))
}

function flagText(flags: readonly string[]): string {
  return flags.length === 0 ? '' : ` ${flags.join(',')}`
}

function isRandom(flags: readonly string[]): boolean {
  return flags.includes('random') || flags.includes('fully-random')
}

/** Whether something earlier in the rule says which transport protocol it is about. */
function knowsTransport(earlier: readonly Statement[]): boolean {
  return earlier.some(
    ({ protocol, text }) => protocol !== undefined || /l4proto|ip protocol|nexthdr/.test(text),
  )
}

/** A mistake unless the rule is about one transport protocol; `what` begins its sentence. */
export function checkTransport(place: Token, earlier: readonly Statement[], what = 'a port'): void {
  if (!knowsTransport(earlier))
    throw new Mistake(
      place,
      `${what} needs the transport protocol in front of it`,
      'write `meta l4proto tcp` before it',
    )
}

function portsOf({ first, last }: Span): NatRange['ports'] {
  return { first: first[0] as number, last: last[0] as number }
}

function readPorts(cursor: Cursor, earlier: readonly Statement[]): Span | undefined {
  const place = cursor.token
  if (!cursor.accept(':')) return undefined
  checkTransport(place, earlier)
  return readSpan(cursor, dataTypes.inet_service, false)
}

type Chosen = Pick<NatRange, 'addresses' | 'ports'>

interface Target {
  readonly text: string
  /** Sets without a name. */
  readonly sets: number
  /** The addresses and ports for a packet; undefined when a map has none for it. */
  readonly bind: (binding: Binding) => (run: Run) => Chosen | undefined
}

function readAddress(cursor: Cursor, family: 4 | 6): Span | undefined {
  if (cursor.is(':')) return undefined
  const bracketed = cursor.accept('[')
  const span = readSpan(cursor, family === 4 ? dataTypes.ipv4_addr : dataTypes.ipv6_addr, false)
  if (bracketed) cursor.expect(']')
  return span
}

function fixedTarget(cursor: Cursor, family: 4 | 6, earlier: readonly Statement[]): Target {
  const address = readAddress(cursor, family)
  const ports = readPorts(cursor, earlier)
  const range = {
    addresses:
      address === undefined ? undefined : { first: addressOf(address.first), last: addressOf(address.last) },
    ports: ports === undefined ? undefined : portsOf(ports),
  }
  const shown =
    address === undefined ? '' : family === 6 && ports !== undefined ? `[${address.text}]` : address.text
  const text = `${shown}${ports === undefined ? '' : `:${ports.text}`}`
  return { text, sets: 0, bind: () => () => range }
}

function ofWords(words: Words, family: 4 | 6): Chosen {
  const width = family === 4 ? 1 : 4
  const address: IpAddress = addressOf(words.slice(0, width))
  const port = words[width]
  return {
    addresses: { first: address, last: address },
    ports: port === undefined ? undefined : { first: port, last: port },
  }
}

/** `tcp dport map { 80 : 10.0.0.1 }`, `numgen inc mod 2 map @backends`. */
function mappedTarget(cursor: Cursor, scope: TableScope, family: 4 | 6): Target {
  const expression = readJoined(cursor)
  cursor.expect('map')
  const type = family === 4 ? dataTypes.ipv4_addr : dataTypes.ipv6_addr
  const set =
    cursor.token.kind === 'set' ? namedSet(cursor, scope, expression) : inlineSet(cursor, expression, [type])
  const data = set.data === undefined || set.data === 'verdict' ? [] : set.data
  if (data[0] !== type || (data[1] !== undefined && data[1] !== dataTypes.inet_service))
    cursor.fail(`this map does not lead to an ${type.name}`)
  return {
    text: `${expression.text} map ${setText(set)}`,
    sets: set.name === '' ? 1 : 0,
    bind: (binding) => {
      const store = binding.storeOf(set)
      const load = expression.bind(binding)
      return ({ packet, registers }) => {
        const found = load(packet, registers, 0) ? store.find(registers, 0)?.data : undefined
        return found === undefined ? undefined : ofWords(found, family)
      }
    },
  }
}

function requirement(place: Token, hooks: Requirement['hooks']): Requirement {
  return { type: 'nat', hooks, place, name: place.text }
}

function verdictOf(verdict: 'accept' | 'drop'): 2 | 3 {
  return verdict === 'accept' ? code.accept : code.drop
}

function decide({ packet }: Run, range: NatRange, manip: Manip): 2 | 3 {
  const { conntrack } = packet.ns.netfilter
  const { nfct } = packet.skb
  if (conntrack === undefined || nfct === undefined) return code.drop
  return verdictOf(setupNat(conntrack, nfct, range, manip))
}

/** The family that a target is of; in an inet table it is written: `dnat ip to`. */
function readFamily(cursor: Cursor, scope: TableScope): 4 | 6 {
  const written = cursor.accept('ip') ? 4 : cursor.accept('ip6') ? 6 : undefined
  if (scope.family !== 'inet') {
    if (written !== undefined && written !== scope.family) cursor.fail('this table has only the other family')
    return scope.family
  }
  return written ?? cursor.fail('in an inet table the family is written: `dnat ip to`')
}

/** `dnat [ip|ip6] to TARGET [FLAGS]`, `snat ...`. */
export function readAddressNat(cursor: Cursor, scope: TableScope, earlier: readonly Statement[]): Statement {
  const place = cursor.take()
  const manip = place.text === 'dnat' ? 'destination' : 'source'
  const family = readFamily(cursor, scope)
  cursor.expect('to')
  const mapped = cursor.token.kind === 'word'
  const target = mapped ? mappedTarget(cursor, scope, family) : fixedTarget(cursor, family, earlier)
  const flags = readFlags(cursor)
  const options = { random: isRandom(flags), persistent: flags.includes('persistent'), basePort: undefined }
  const shown = scope.family === 'inet' ? (family === 4 ? ' ip' : ' ip6') : ''
  return statementOf(undefined, {
    text: `${place.text}${shown} to ${target.text}${flagText(flags)}`,
    conntrack: [family],
    terminal: true,
    sets: target.sets,
    requires: requirement(place, manip === 'source' ? ['POSTROUTING', 'INPUT'] : ['PREROUTING', 'OUTPUT']),
    bind: (binding) => {
      const choose = target.bind(binding)
      return (run) => {
        if (run.packet.family !== family) return code.broken
        const range = choose(run)
        return range === undefined ? code.broken : decide(run, { ...range, ...options }, manip)
      }
    },
  })
}

type Own = (packet: ChainPacket, wish: Pick<NatRange, 'ports' | 'random'>) => 'accept' | 'drop'

function ownNat(
  cursor: Cursor,
  earlier: readonly Statement[],
  hooks: Requirement['hooks'],
  own: Own,
): Statement {
  const place = cursor.take()
  const ports = cursor.accept('to') ? readPorts(cursor, earlier) : undefined
  const flags = readFlags(cursor)
  const wish = { ports: ports === undefined ? undefined : portsOf(ports), random: isRandom(flags) }
  const step: Step = ({ packet }) => verdictOf(own(packet, wish))
  return statementOf(undefined, {
    text: `${place.text}${ports === undefined ? '' : ` to :${ports.text}`}${flagText(flags)}`,
    conntrack: bothFamilies,
    terminal: true,
    requires: requirement(place, hooks),
    bind: () => step,
  })
}

/** `masquerade [to :PORTS] [FLAGS]`. */
export function readMasquerade(cursor: Cursor, earlier: readonly Statement[]): Statement {
  return ownNat(cursor, earlier, ['POSTROUTING'], ({ ns, skb, out }, wish) =>
    out === undefined ? 'drop' : masquerade(ns, skb, out, wish),
  )
}

/** `redirect [to :PORTS] [FLAGS]`. */
export function readRedirect(cursor: Cursor, earlier: readonly Statement[]): Statement {
  return ownNat(cursor, earlier, ['PREROUTING', 'OUTPUT'], ({ ns, skb, hook, in: input }, wish) =>
    redirectToSelf(ns, skb, { hook, in: input }, wish),
  )
}
