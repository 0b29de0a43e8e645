// What conntrack knows of a packet: xt_conntrack.c and its older form xt_state.c. Facts: linux 8.11 (virtual states).
import { didYouMean } from '../../../base/closest.ts'
import { parseIp } from '../../../net/address.ts'
import { type Connection, connInfo, connStatus, directionOf, tupleOf } from '../../conntrack/connection.ts'
import { secondsLeft } from '../../conntrack/timeouts.ts'
import type { Tuple } from '../../conntrack/tuple.ts'
import type { ChainPacket, Given, Matcher, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { protocolNumbers } from '../header-match.ts'
import {
  bang,
  compareIp,
  formatMaskedAddress,
  formatPortRange,
  maskAddress,
  parseMaskedAddress,
  parseNumber,
  parsePortRange,
  parseRange,
} from '../values.ts'
import { find, negatable, read, valueText, withValue } from './given.ts'

const stateBits: ReadonlyMap<string, number> = new Map([
  ['INVALID', 1],
  ['NEW', 2],
  ['RELATED', 4],
  ['ESTABLISHED', 8],
  ['UNTRACKED', 16],
  ['SNAT', 32],
  ['DNAT', 64],
])
/** What the older match knows. */
const plainStates = new Map([...stateBits].filter(([name]) => name !== 'SNAT' && name !== 'DNAT'))
/** The order in which the tools print states. */
const stateOrder = ['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED', 'SNAT', 'DNAT'] as const

/** The states a packet is in, as bits. */
export function packetState({ skb }: ChainPacket): number {
  const { nfct, nfctInfo } = skb
  if (nfct === undefined) return nfctInfo === connInfo.untracked ? 16 : 1
  let bits = 8
  if (nfctInfo === connInfo.new) bits = 2
  else if (nfctInfo === connInfo.related || nfctInfo === connInfo.relatedReply) bits = 4
  if ((nfct.status & connStatus.sourceNat) !== 0) bits |= 32
  if ((nfct.status & connStatus.destinationNat) !== 0) bits |= 64
  return bits
}

function readBits(option: Given, scope: RuleScope, bits: ReadonlyMap<string, number>): number | undefined {
  let mask = 0
  for (const word of valueText(option).split(',')) {
    const bit = bits.get(word.toUpperCase())
    if (bit === undefined) {
      const hint = didYouMean(word, bits.keys()) ?? `one of ${[...bits.keys()].join(', ')}`
      return scope.report(option.values[0] ?? option.word, `there is no state \`${word}\``, hint)
    }
    mask |= bit
  }
  return mask
}

function bitsText(mask: number, order: readonly string[], bits: ReadonlyMap<string, number>): string {
  return order.filter((name) => (mask & (bits.get(name) ?? 0)) !== 0).join(',')
}

const statusBits: ReadonlyMap<string, number> = new Map([
  ['NONE', 0],
  ['EXPECTED', connStatus.expected],
  ['SEEN_REPLY', connStatus.seenReply],
  ['ASSURED', connStatus.assured],
  ['CONFIRMED', connStatus.confirmed],
])

/** One test on a flow; `print` is its option. */
interface FlowTest {
  readonly print: string
  readonly test: (connection: Connection, packet: ChainPacket) => boolean
}

type Reader = (option: Given, scope: RuleScope) => FlowTest | undefined

function addressTest(direction: 0 | 1, side: 'source' | 'destination'): Reader {
  return (option, scope) => {
    const wanted = read(option, scope, (text) => parseMaskedAddress(text, scope.family), 'address')
    if (wanted === undefined) return undefined
    const { address, mask } = wanted
    // the tool prints the address as it was given, with its host bits
    const given = parseIp(valueText(option).split('/')[0] ?? '') ?? address
    const whole = formatMaskedAddress({ address: given, mask }).replace(
      scope.family === 4 ? /\/32$/ : /\/128$/,
      '',
    )
    return {
      print: `${bang(option.inverted)}${option.name} ${whole}`,
      test: (connection) => {
        const actual = tupleOf(connection, direction)[side]
        return (compareIp(maskAddress(actual, mask), address) === 0) !== option.inverted
      },
    }
  }
}

function portTest(direction: 0 | 1, side: 'sport' | 'dport'): Reader {
  return (option, scope) => {
    const range = read(option, scope, (text) => parsePortRange(text), 'port or range of ports')
    if (range === undefined) return undefined
    return {
      print: `${bang(option.inverted)}${option.name} ${formatPortRange(range)}`,
      test: (connection) => {
        const port = (tupleOf(connection, direction) as Tuple)[side]
        return (port >= range.first && port <= range.last) !== option.inverted
      },
    }
  }
}

const readProtocol: Reader = (option, scope) => {
  const parse = (text: string): number | undefined => protocolNumbers.get(text) ?? parseNumber(text, 255)
  const protocol = read(option, scope, parse, 'protocol')
  if (protocol === undefined) return undefined
  return {
    print: `${bang(option.inverted)}--ctproto ${protocol}`,
    test: ({ original }) => (original.protocol === protocol) !== option.inverted,
  }
}

const readStatus: Reader = (option, scope) => {
  const mask = readBits(option, scope, statusBits)
  if (mask === undefined) return undefined
  const names = bitsText(mask, ['EXPECTED', 'SEEN_REPLY', 'ASSURED', 'CONFIRMED'], statusBits)
  return {
    print: `${bang(option.inverted)}--ctstatus ${names === '' ? 'NONE' : names}`,
    test: ({ status }) => {
      const found = mask === 0 ? status === 0 : (status & mask) !== 0
      return found !== option.inverted
    },
  }
}

const readExpire: Reader = (option, scope) => {
  const range = read(option, scope, (text) => parseRange(text, 0xffff_ffff), 'number of seconds or range')
  if (range === undefined) return undefined
  const { first, last } = range
  return {
    print: `${bang(option.inverted)}--ctexpire ${first === last ? first : `${first}:${last}`}`,
    test: ({ expires }, { ns }) => {
      const left = secondsLeft(expires, ns.machine.clock.now)
      return (left >= first && left <= last) !== option.inverted
    },
  }
}

const readDirection: Reader = (option, scope) => {
  const word = valueText(option).toUpperCase()
  if (word !== 'ORIGINAL' && word !== 'REPLY') {
    return scope.report(option.values[0] ?? option.word, 'a direction is ORIGINAL or REPLY')
  }
  const wanted = word === 'ORIGINAL' ? 0 : 1
  return {
    print: `--ctdir ${word}`,
    test: (_connection, { skb }) => directionOf(skb.nfctInfo) === wanted,
  }
}

/** Options in the order in which iptables-save prints them. */
const flowTests: ReadonlyMap<string, Reader> = new Map([
  ['--ctproto', readProtocol],
  ['--ctorigsrc', addressTest(0, 'source')],
  ['--ctorigdst', addressTest(0, 'destination')],
  ['--ctreplsrc', addressTest(1, 'source')],
  ['--ctrepldst', addressTest(1, 'destination')],
  ['--ctorigsrcport', portTest(0, 'sport')],
  ['--ctorigdstport', portTest(0, 'dport')],
  ['--ctreplsrcport', portTest(1, 'sport')],
  ['--ctrepldstport', portTest(1, 'dport')],
  ['--ctstatus', readStatus],
  ['--ctexpire', readExpire],
  ['--ctdir', readDirection],
])

function readFlowTests(given: readonly Given[], scope: RuleScope): FlowTest[] | undefined {
  const tests: FlowTest[] = []
  for (const [name, reader] of flowTests) {
    const option = find(given, name)
    if (option === undefined) continue
    const test = reader(option, scope)
    if (test === undefined) return undefined
    tests.push(test)
  }
  return tests
}

function stateMatcher(mask: number, inverted: boolean): Matcher {
  return (packet) => ((packetState(packet) & mask) !== 0) !== inverted
}

function flowMatcher(state: Matcher | undefined, tests: readonly FlowTest[]): Matcher {
  return (packet) => {
    if (state !== undefined && !state(packet)) return false
    const { nfct } = packet.skb
    if (nfct === undefined) return state !== undefined
    for (const { test } of tests) if (!test(nfct, packet)) return false
    return true
  }
}

const conntrack: MatchKind = {
  name: 'conntrack',
  options: [
    negatable('--ctstate'),
    withValue('--ctdir'),
    ...[...flowTests.keys()].filter((name) => name !== '--ctdir').map((name) => negatable(name)),
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    if (given.length === 0) return scope.report(word, '`-m conntrack` needs an option')
    const option = find(given, '--ctstate')
    const mask = option === undefined ? 0 : readBits(option, scope, stateBits)
    const tests = readFlowTests(given, scope)
    if (mask === undefined || tests === undefined) return undefined
    const state = option === undefined ? undefined : stateMatcher(mask, option.inverted)
    const words =
      option === undefined
        ? []
        : [`${bang(option.inverted)}--ctstate ${bitsText(mask, stateOrder, stateBits)}`]
    const text = [...words, ...tests.map(({ print }) => print)].join(' ')
    const only = state !== undefined && tests.length === 0 ? state : flowMatcher(state, tests)
    return { text, need: 'conntrack', bind: () => only }
  },
}

const state: MatchKind = {
  name: 'state',
  options: [negatable('--state')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = find(given, '--state')
    if (option === undefined) return scope.report(word, '`-m state` needs `--state`')
    const mask = readBits(option, scope, plainStates)
    if (mask === undefined) return undefined
    const text = `${bang(option.inverted)}--state ${bitsText(mask, stateOrder, stateBits)}`
    return { text, need: 'conntrack', bind: () => stateMatcher(mask & 31, option.inverted) }
  },
}

/** Matches on conntrack's word. */
export const conntrackMatches: readonly MatchKind[] = [conntrack, state]
