// Ports and TCP flags: xt_tcpudp.c, xt_sctp.c, xt_multiport.c. A later fragment has no ports and matches nothing.
import { readU8 } from '../../../net/bytes.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import { tcpAt, tcpFlag, tcpHeaderLength } from '../../../net/tcp.ts'
import type { ChainPacket, Given, Matcher, MatchKind, RuleScope } from '../extension.ts'
import { portAt } from '../header-match.ts'
import { bang, formatPortRange, parseNumber, parsePort, parsePortRange, type Range } from '../values.ts'
import { find, negatable, read, valueText } from './given.ts'

interface PortTest extends Range {
  readonly inverted: boolean
}

function readPorts(given: readonly Given[], name: string, scope: RuleScope): PortTest | undefined | 'wrong' {
  const option = find(given, name)
  if (option === undefined) return undefined
  const range = read(option, scope, (text) => parsePortRange(text), 'port or range of ports')
  return range === undefined ? 'wrong' : { ...range, inverted: option.inverted }
}

function portText(name: string, test: PortTest | undefined): string {
  if (test === undefined || (test.first === 0 && test.last === 0xffff && !test.inverted)) return ''
  return ` ${bang(test.inverted)}${name} ${formatPortRange(test)}`
}

function fits(test: PortTest | undefined, port: number): boolean {
  return test === undefined || (port >= test.first && port <= test.last) !== test.inverted
}

/** The transport header must be there; a packet too short for it is dropped (hotdrop). */
export function hasHeader(packet: ChainPacket, bytes: number): boolean {
  if (packet.fragmentOffset !== 0) return false
  if (packet.l4 + bytes <= packet.skb.tail) return true
  packet.broken = true
  return false
}

function portMatcher(
  source: PortTest | undefined,
  destination: PortTest | undefined,
  header: number,
): Matcher {
  return (packet) =>
    hasHeader(packet, header) &&
    fits(source, portAt(packet, 'source')) &&
    fits(destination, portAt(packet, 'destination'))
}

const portOptions = [
  negatable('--sport', '--source-port'),
  negatable('--dport', '--destination-port'),
] as const

function needsProtocol(
  scope: RuleScope,
  word: Given['word'],
  protocols: readonly number[],
  names: string,
): boolean {
  if (protocols.includes(scope.protocol)) return true
  scope.report(word, `\`-m ${word.text}\` needs \`-p ${names}\``)
  return false
}

/** `-m udp`, `-m udplite`, `-m dccp`: ports only. */
function portMatch(name: string, protocol: number): MatchKind {
  return {
    name,
    options: portOptions,
    read: (given, scope, word) => {
      if (!needsProtocol(scope, word, [protocol], name)) return undefined
      const source = readPorts(given, '--sport', scope)
      const destination = readPorts(given, '--dport', scope)
      if (source === 'wrong' || destination === 'wrong') return undefined
      const text = (portText('--sport', source) + portText('--dport', destination)).trimStart()
      return { text, bind: () => portMatcher(source, destination, 8) }
    },
  }
}

const flagBits: ReadonlyMap<string, number> = new Map([
  ['FIN', 1],
  ['SYN', 2],
  ['RST', 4],
  ['PSH', 8],
  ['ACK', 16],
  ['URG', 32],
  ['ALL', 63],
  ['NONE', 0],
])

function parseFlags(text: string): number | undefined {
  let bits = 0
  for (const word of text.split(',')) {
    const bit = flagBits.get(word.toUpperCase())
    if (bit === undefined) return undefined
    bits |= bit
  }
  return bits
}

function flagsText(bits: number): string {
  if (bits === 0) return 'NONE'
  const names = [...flagBits].filter(([name, bit]) => name !== 'ALL' && bit !== 0 && (bits & bit) !== 0)
  return names.map(([name]) => name).join(',')
}

interface FlagTest {
  readonly mask: number
  readonly wanted: number
  readonly inverted: boolean
}

function readFlags(given: readonly Given[], scope: RuleScope): FlagTest | undefined | 'wrong' {
  const syn = find(given, '--syn')
  const both = syn === undefined ? undefined : find(given, '--tcp-flags')
  if (both !== undefined) {
    scope.report(both.word, '`--syn` and `--tcp-flags` exclude each other')
    return 'wrong'
  }
  if (syn !== undefined) return { mask: 0x17, wanted: 2, inverted: syn.inverted }
  const option = find(given, '--tcp-flags')
  if (option === undefined) return undefined
  const mask = parseFlags(valueText(option))
  const wanted = parseFlags(option.values[1]?.text ?? '')
  if (mask !== undefined && wanted !== undefined) return { mask, wanted, inverted: option.inverted }
  scope.report(option.word, 'flags are SYN, ACK, FIN, RST, URG, PSH, ALL or NONE, separated by commas')
  return 'wrong'
}

/** tcp_find_option(): a header shorter than itself, or cut off, drops the packet. */
function hasOption(packet: ChainPacket, wanted: number): boolean {
  const { skb, l4 } = packet
  const end = l4 + tcpHeaderLength(skb.bytes, l4)
  if (end < l4 + tcpAt.options || end > skb.tail) {
    packet.broken = true
    return false
  }
  for (let at = l4 + tcpAt.options; at < end; ) {
    const kind = readU8(skb.bytes, at)
    if (kind === wanted) return true
    at += kind < 2 ? 1 : Math.max(readU8(skb.bytes, at + 1), 1)
  }
  return false
}

const tcpMatch: MatchKind = {
  name: 'tcp',
  options: [
    ...portOptions,
    { names: ['--tcp-flags'], values: 2, negatable: true },
    { names: ['--syn'], values: 0, negatable: true },
    negatable('--tcp-option'),
  ],
  read: (given, scope, word) => {
    if (!needsProtocol(scope, word, [ipProtocol.tcp], 'tcp')) return undefined
    const source = readPorts(given, '--sport', scope)
    const destination = readPorts(given, '--dport', scope)
    const flags = readFlags(given, scope)
    const option = find(given, '--tcp-option')
    const kind =
      option === undefined
        ? 0
        : read(option, scope, (text) => parseNumber(text, 255) || undefined, 'option number')
    if (source === 'wrong' || destination === 'wrong' || flags === 'wrong' || kind === undefined)
      return undefined
    let text = portText('--sport', source) + portText('--dport', destination)
    if (option !== undefined) text += ` ${bang(option.inverted)}--tcp-option ${kind}`
    if (flags !== undefined && (flags.mask !== 0 || flags.wanted !== 0 || flags.inverted))
      text += ` ${bang(flags.inverted)}--tcp-flags ${flagsText(flags.mask)} ${flagsText(flags.wanted)}`
    const ports = portMatcher(source, destination, tcpAt.options)
    const bind = (): Matcher => (packet) => {
      // a fragment that begins within the TCP header hides its flags from the first one (RFC 1858)
      if (packet.fragmentOffset === 8) packet.broken = true
      if (!ports(packet)) return false
      if (flags !== undefined) {
        const same = (readU8(packet.skb.bytes, packet.l4 + tcpAt.flags) & flags.mask) === flags.wanted
        if (same === flags.inverted) return false
      }
      return option === undefined || (hasOption(packet, kind) !== option.inverted && !packet.broken)
    }
    const onlySyn = flags !== undefined && (flags.wanted & tcpFlag.syn) !== 0 && !flags.inverted
    return {
      text: text.trimStart(),
      onlySyn,
      bind,
    }
  },
}

interface MultiPort {
  readonly option: string
  readonly ranges: readonly Range[]
  readonly inverted: boolean
}

const portsMax = 15

function readList(text: string): Range[] | undefined {
  const ranges: Range[] = []
  let used = 0
  for (const part of text.split(',')) {
    if (part.startsWith(':') || part.endsWith(':')) return undefined
    const range = part.includes(':') ? parsePortRange(part) : undefined
    const port = part.includes(':') ? undefined : parsePort(part)
    if (range === undefined && port === undefined) return undefined
    ranges.push(range ?? { first: port ?? 0, last: port ?? 0 })
    used += range === undefined ? 1 : 2
  }
  return used <= portsMax ? ranges : undefined
}

function anyOf(ranges: readonly Range[], port: number): boolean {
  for (const range of ranges) if (port >= range.first && port <= range.last) return true
  return false
}

function multiMatcher({ option, ranges, inverted }: MultiPort): Matcher {
  return (packet) => {
    if (!hasHeader(packet, 4)) return false
    const source = option !== '--dports' && anyOf(ranges, portAt(packet, 'source'))
    const found = source || (option !== '--sports' && anyOf(ranges, portAt(packet, 'destination')))
    return found !== inverted
  }
}

const multiport: MatchKind = {
  name: 'multiport',
  options: [
    negatable('--sports', '--source-ports'),
    negatable('--dports', '--destination-ports'),
    negatable('--ports'),
  ],
  read: (given, scope, word) => {
    const protocols = [ipProtocol.tcp, ipProtocol.udp, ipProtocol.sctp, 33, 136]
    if (!needsProtocol(scope, word, protocols, 'tcp, udp, udplite, sctp or dccp')) return undefined
    const [option, another] = given
    if (another !== undefined)
      return scope.report(another.word, `\`-m multiport\` has \`${option?.name}\` already`)
    if (option === undefined)
      return scope.report(word, '`-m multiport` needs `--sports`, `--dports` or `--ports`')
    const ranges = read(option, scope, readList, 'list of at most 15 ports')
    if (ranges === undefined) return undefined
    const test = { option: option.name, ranges, inverted: option.inverted }
    const list = ranges.map((range) => formatPortRange(range)).join(',')
    return { text: `${bang(test.inverted)}${test.option} ${list}`, bind: () => multiMatcher(test) }
  },
}

/** Port matches by protocol, and multiport. */
export const portMatches: readonly MatchKind[] = [
  tcpMatch,
  portMatch('udp', ipProtocol.udp),
  portMatch('udplite', 136),
  portMatch('sctp', ipProtocol.sctp),
  portMatch('dccp', 33),
  multiport,
]
