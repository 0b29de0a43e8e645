// Explicit congestion notification: xt_ecn.c, in the IP header and in the flags of TCP.
import { readU8 } from '../../../net/bytes.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import { tcpAt, tcpFlag } from '../../../net/tcp.ts'
import type { Given, Matcher, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { bang, parseNumber } from '../values.ts'
import { find, negatable, read, valueText } from './given.ts'
import { trafficClass } from './header-fields.ts'

/** match_tcp(): of a packet without room for a TCP header it is said that it does not match. */
function flagMatcher(option: Given, flag: number): Matcher {
  return ({ skb, l4 }) =>
    l4 + tcpAt.options <= skb.tail && ((readU8(skb.bytes, l4 + tcpAt.flags) & flag) !== 0) !== option.inverted
}

function readIpBits(option: Given, scope: RuleScope): Matcher | undefined {
  const wanted = read(option, scope, (text) => parseNumber(text, 3), 'number from 0 to 3')
  return wanted === undefined
    ? undefined
    : (packet) => ((trafficClass(packet) & 3) === wanted) !== option.inverted
}

const tcpOptions: readonly (readonly [string, number])[] = [
  ['--ecn-tcp-ece', tcpFlag.ece],
  ['--ecn-tcp-cwr', tcpFlag.cwr],
]

const ecn: MatchKind = {
  name: 'ecn',
  options: [
    { names: ['--ecn-tcp-cwr'], values: 0, negatable: true },
    { names: ['--ecn-tcp-ece'], values: 0, negatable: true },
    negatable('--ecn-ip-ect'),
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    if (given.length === 0)
      return scope.report(word, '`-m ecn` needs `--ecn-tcp-cwr`, `--ecn-tcp-ece` or `--ecn-ip-ect`')
    const tests: Matcher[] = []
    const words: string[] = []
    for (const [name, flag] of tcpOptions) {
      const option = find(given, name)
      if (option === undefined) continue
      if (scope.protocol !== ipProtocol.tcp) return scope.report(option.word, `\`${name}\` needs \`-p tcp\``)
      tests.push(flagMatcher(option, flag))
      words.push(`${bang(option.inverted)}${name}`)
    }
    const option = find(given, '--ecn-ip-ect')
    if (option !== undefined) {
      const test = readIpBits(option, scope)
      if (test === undefined) return undefined
      tests.push(test)
      words.push(`${bang(option.inverted)}--ecn-ip-ect ${Number(valueText(option))}`)
    }
    return { text: words.join(' '), bind: () => (packet) => tests.every((test) => test(packet)) }
  },
}

/** The match on ECN. */
export const ecnMatches: readonly MatchKind[] = [ecn]
