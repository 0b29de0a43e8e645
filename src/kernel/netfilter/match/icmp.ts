// ICMP types by name or number: the icmp match of ip_tables.c, icmp6 of ip6_tables.c. iptables-save prints numbers.

import { didYouMean } from '../../../base/closest.ts'
import { readU8 } from '../../../net/bytes.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import type { Matcher, MatchKind } from '../extension.ts'
import { bang, parseNumber } from '../values.ts'
import { find, negatable, valueText } from './given.ts'
import { hasHeader } from './ports.ts'

/** Type and the codes that belong to a name. */
interface IcmpName {
  readonly type: number
  readonly first: number
  readonly last: number
}

const all = (type: number): IcmpName => ({ type, first: 0, last: 255 })
const one = (type: number, code: number): IcmpName => ({ type, first: code, last: code })

const names4: ReadonlyMap<string, IcmpName> = new Map([
  ['any', all(255)],
  ['echo-reply', all(0)],
  ['pong', all(0)],
  ['destination-unreachable', all(3)],
  ['network-unreachable', one(3, 0)],
  ['host-unreachable', one(3, 1)],
  ['protocol-unreachable', one(3, 2)],
  ['port-unreachable', one(3, 3)],
  ['fragmentation-needed', one(3, 4)],
  ['source-route-failed', one(3, 5)],
  ['network-unknown', one(3, 6)],
  ['host-unknown', one(3, 7)],
  ['network-prohibited', one(3, 9)],
  ['host-prohibited', one(3, 10)],
  ['TOS-network-unreachable', one(3, 11)],
  ['TOS-host-unreachable', one(3, 12)],
  ['communication-prohibited', one(3, 13)],
  ['host-precedence-violation', one(3, 14)],
  ['precedence-cutoff', one(3, 15)],
  ['source-quench', all(4)],
  ['redirect', all(5)],
  ['network-redirect', one(5, 0)],
  ['host-redirect', one(5, 1)],
  ['TOS-network-redirect', one(5, 2)],
  ['TOS-host-redirect', one(5, 3)],
  ['echo-request', all(8)],
  ['ping', all(8)],
  ['router-advertisement', all(9)],
  ['router-solicitation', all(10)],
  ['time-exceeded', all(11)],
  ['ttl-exceeded', all(11)],
  ['TTL-exceeded', all(11)],
  ['ttl-zero-during-transit', one(11, 0)],
  ['ttl-zero-during-reassembly', one(11, 1)],
  ['parameter-problem', all(12)],
  ['ip-header-bad', one(12, 0)],
  ['required-option-missing', one(12, 1)],
  ['timestamp-request', all(13)],
  ['timestamp-reply', all(14)],
  ['address-mask-request', all(17)],
  ['address-mask-reply', all(18)],
])

const names6: ReadonlyMap<string, IcmpName> = new Map([
  ['destination-unreachable', all(1)],
  ['no-route', one(1, 0)],
  ['communication-prohibited', one(1, 1)],
  ['beyond-scope', one(1, 2)],
  ['address-unreachable', one(1, 3)],
  ['port-unreachable', one(1, 4)],
  ['failed-policy', one(1, 5)],
  ['reject-route', one(1, 6)],
  ['packet-too-big', all(2)],
  ['time-exceeded', all(3)],
  ['ttl-exceeded', all(3)],
  ['ttl-zero-during-transit', one(3, 0)],
  ['ttl-zero-during-reassembly', one(3, 1)],
  ['parameter-problem', all(4)],
  ['bad-header', one(4, 0)],
  ['unknown-header-type', one(4, 1)],
  ['unknown-option', one(4, 2)],
  ['echo-request', all(128)],
  ['ping', all(128)],
  ['echo-reply', all(129)],
  ['pong', all(129)],
  ['router-solicitation', all(133)],
  ['router-advertisement', all(134)],
  ['neighbour-solicitation', all(135)],
  ['neighbor-solicitation', all(135)],
  ['neighbour-advertisement', all(136)],
  ['neighbor-advertisement', all(136)],
  ['redirect', all(137)],
])

function parseType(text: string, names: ReadonlyMap<string, IcmpName>): IcmpName | undefined {
  const named = names.get(text)
  if (named !== undefined) return named
  const [left = '', right] = text.split('/')
  const type = parseNumber(left, 255)
  const code = right === undefined ? undefined : parseNumber(right, 255)
  if (type === undefined || (right !== undefined && code === undefined)) return undefined
  return code === undefined ? all(type) : one(type, code)
}

function textOf({ type, first, last }: IcmpName, family: 4 | 6): string {
  if (family === 4 && type === 255) return 'any'
  return first === last ? `${type}/${first}` : `${type}`
}

/** struct icmphdr, struct icmp6hdr. */
const headerBytes = 8

function matcherOf(wanted: IcmpName, inverted: boolean, anyType: boolean): Matcher {
  return (packet) => {
    if (!hasHeader(packet, headerBytes)) return false
    const { skb, l4 } = packet
    const type = readU8(skb.bytes, l4)
    const code = readU8(skb.bytes, l4 + 1)
    const same = anyType || (type === wanted.type && code >= wanted.first && code <= wanted.last)
    return same !== inverted
  }
}

function icmpMatch(family: 4 | 6): MatchKind {
  const names = family === 4 ? names4 : names6
  const option = family === 4 ? '--icmp-type' : '--icmpv6-type'
  const protocol = family === 4 ? ipProtocol.icmp : ipProtocol.icmp6
  const aliases = family === 4 ? [] : ['--icmp-type']
  return {
    name: family === 4 ? 'icmp' : 'icmp6',
    families: [family],
    options: [negatable(option, ...aliases)],
    read: (given, scope, word) => {
      if (scope.protocol !== protocol)
        return scope.report(word, `\`-m ${word.text}\` needs \`-p ${family === 4 ? 'icmp' : 'ipv6-icmp'}\``)
      const type = find(given, option)
      if (type === undefined) {
        const any = family === 4 ? `${option} any` : `${option} 0:255/0:255`
        return { text: family === 4 ? any : '', bind: () => (packet) => hasHeader(packet, headerBytes) }
      }
      const wanted = parseType(valueText(type), names)
      if (wanted === undefined) {
        return scope.report(
          type.values[0] ?? word,
          `\`${valueText(type)}\` is no ICMP type`,
          didYouMean(valueText(type), names.keys()),
        )
      }
      const anyType = family === 4 && wanted.type === 255
      return {
        text: `${bang(type.inverted)}${option} ${textOf(wanted, family)}`,
        bind: () => matcherOf(wanted, type.inverted, anyType),
      }
    },
  }
}

/** `-m icmp` for IPv4, `-m icmp6` for IPv6. */
export const icmpMatches: readonly MatchKind[] = [icmpMatch(4), icmpMatch(6)]
