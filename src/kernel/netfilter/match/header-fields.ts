// Single fields of the IP header and of the packet: length, ttl, hl, tos, dscp, pkttype, mac, iprange, and TCP's MSS.
import { formatIp, type IpAddress, readIpv4, readIpv6 } from '../../../net/address.ts'
import { readU8, readU16 } from '../../../net/bytes.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At, ipv6TrafficClass } from '../../../net/ipv6.ts'
import { formatMac, parseMac, readMac } from '../../../net/mac.ts'
import { readMss } from '../../../net/tcp-options.ts'
import { pktType, type Skb } from '../../skb.ts'
import type { ChainPacket, Given, Matcher, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { packetLength } from '../header-match.ts'
import {
  bang,
  compareIp,
  parseAddressRange,
  parseMasked,
  parseNumber,
  parseRange,
  type Range,
} from '../values.ts'
import { find, negatable, read } from './given.ts'

/** The byte that holds DSCP and ECN. */
export function trafficClass({ skb, l3, family }: ChainPacket): number {
  return family === 4 ? readU8(skb.bytes, l3 + ipv4At.tos) : ipv6TrafficClass(skb.bytes, l3)
}

/** TTL or hop limit. */
export function hopLimit({ skb, l3, family }: ChainPacket): number {
  return readU8(skb.bytes, l3 + (family === 4 ? ipv4At.ttl : ipv6At.hopLimit))
}

function inRange({ first, last }: Range, value: number): boolean {
  return value >= first && value <= last
}

function rangeText({ first, last }: Range): string {
  return first === last ? `${first}` : `${first}:${last}`
}

/** A match on one number that a range may hold. */
function rangeMatch(
  name: string,
  option: string,
  max: number,
  valueText: (packet: ChainPacket) => number | undefined,
): MatchKind {
  return {
    name,
    options: [negatable(option)],
    read: (given, scope, word): MatchSpec | undefined => {
      const found = find(given, option)
      if (found === undefined) return scope.report(word, `\`-m ${name}\` needs \`${option}\``)
      const range = read(found, scope, (text) => parseRange(text, max), 'number or range')
      if (range === undefined) return undefined
      const matcher: Matcher = (packet) => {
        const value = valueText(packet)
        return value !== undefined && inRange(range, value) !== found.inverted
      }
      return { text: `${bang(found.inverted)}${option} ${rangeText(range)}`, bind: () => matcher }
    },
  }
}

function ttlMatch(name: 'ttl' | 'hl', family: 4 | 6): MatchKind {
  const options = ['eq', 'lt', 'gt'].map((word) => `--${name}-${word}`)
  return {
    name,
    families: [family],
    options: options.map((option) =>
      option.endsWith('-eq') ? negatable(option, `--${name}`) : { names: [option], values: 1 },
    ),
    read: (given, scope, word): MatchSpec | undefined => {
      const [option] = given
      if (option === undefined) return scope.report(word, `\`-m ${name}\` needs one of ${options.join(', ')}`)
      const wanted = read(option, scope, (text) => parseNumber(text, 255), 'number from 0 to 255')
      if (wanted === undefined) return undefined
      const test = (value: number): boolean => {
        if (option.name.endsWith('-lt')) return value < wanted
        return option.name.endsWith('-gt') ? value > wanted : (value === wanted) !== option.inverted
      }
      const text = `${bang(option.inverted)}${option.name} ${wanted}`
      return { text, bind: () => (packet) => test(hopLimit(packet)) }
    },
  }
}

const dscpClasses: ReadonlyMap<string, number> = new Map([
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => [`CS${n}`, n << 3] as const),
  ...[1, 2, 3, 4].flatMap((n) => [1, 2, 3].map((m) => [`AF${n}${m}`, (n << 3) | (m << 1)] as const)),
  ['BE', 0],
  ['EF', 0x2e],
])

/** A DSCP value by number or class name. */
export function readDscp(
  given: readonly Given[],
  scope: RuleScope,
  names: readonly string[],
): number | undefined {
  const [option] = given.filter(({ name }) => names.includes(name))
  if (option === undefined) return undefined
  const byClass = option.name.endsWith('class')
  const parse = (text: string): number | undefined =>
    byClass ? dscpClasses.get(text.toUpperCase()) : parseNumber(text, 63)
  return read(option, scope, parse, byClass ? 'DSCP class' : 'DSCP value')
}

function hex2(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`
}

const dscp: MatchKind = {
  name: 'dscp',
  options: [negatable('--dscp'), negatable('--dscp-class')],
  read: (given, scope, word): MatchSpec | undefined => {
    const wanted = readDscp(given, scope, ['--dscp', '--dscp-class'])
    if (given.length === 0) return scope.report(word, '`-m dscp` needs `--dscp` or `--dscp-class`')
    if (wanted === undefined) return undefined
    const inverted = given[0]?.inverted ?? false
    return {
      text: `${bang(inverted)}--dscp ${hex2(wanted)}`,
      bind: () => (packet) => (trafficClass(packet) >>> 2 === wanted) !== inverted,
    }
  },
}

const tosNames: ReadonlyMap<string, number> = new Map([
  ['minimize-delay', 0x10],
  ['maximize-throughput', 8],
  ['maximize-reliability', 4],
  ['minimize-cost', 2],
  ['normal-service', 0],
])

/** `0x10/0x3f` or a name of RFC 1349; names and bare numbers of the target leave the two low bits alone. */
export function parseTos(text: string): { readonly value: number; readonly mask: number } | undefined {
  const named = tosNames.get(text.toLowerCase())
  return named === undefined ? parseMasked(text, 255) : { value: named, mask: 0x3f }
}

const tos: MatchKind = {
  name: 'tos',
  options: [negatable('--tos')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = find(given, '--tos')
    if (option === undefined) return scope.report(word, '`-m tos` needs `--tos`')
    const wanted = read(option, scope, parseTos, 'type of service')
    if (wanted === undefined) return undefined
    const { value, mask } = wanted
    return {
      text: `${bang(option.inverted)}--tos ${hex2(value)}/${hex2(mask)}`,
      bind: () => (packet) => ((trafficClass(packet) & mask) === value) !== option.inverted,
    }
  },
}

const packetTypes: ReadonlyMap<string, number> = new Map([
  ['unicast', pktType.host],
  ['broadcast', pktType.broadcast],
  ['multicast', pktType.multicast],
])

/** Of a copy for this host itself the address says what it was (pkttype_mt). */
function typeOf({ skb, l3, family }: ChainPacket): number {
  if (skb.pktType !== pktType.loopback) return skb.pktType
  if (family === 6)
    return readU8(skb.bytes, l3 + ipv6At.destination) === 0xff ? pktType.multicast : pktType.broadcast
  return readU8(skb.bytes, l3 + ipv4At.destination) >>> 4 === 14 ? pktType.multicast : pktType.broadcast
}

const pkttype: MatchKind = {
  name: 'pkttype',
  options: [negatable('--pkt-type')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = find(given, '--pkt-type')
    if (option === undefined) return scope.report(word, '`-m pkttype` needs `--pkt-type`')
    const typed = (text: string): number | undefined =>
      packetTypes.get(text.toLowerCase() === 'host' ? 'unicast' : text.toLowerCase())
    const wanted = read(option, scope, typed, 'packet type')
    if (wanted === undefined) return undefined
    const name = [...packetTypes].find(([, type]) => type === wanted)?.[0] ?? ''
    return {
      text: `${bang(option.inverted)}--pkt-type ${name}`,
      bind: () => (packet) => (typeOf(packet) === wanted) !== option.inverted,
    }
  },
}

/** mac_mt(): ARPHRD_ETHER; packets of lo and of tunnels of layer 3 match neither way. */
function hasMac({ dev, macHeader }: Skb): boolean {
  return macHeader >= 0 && dev.kind !== 'loopback' && dev.kind !== 'ipip'
}

const mac: MatchKind = {
  name: 'mac',
  hooks: ['PREROUTING', 'INPUT', 'FORWARD'],
  options: [negatable('--mac-source')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = find(given, '--mac-source')
    if (option === undefined) return scope.report(word, '`-m mac` needs `--mac-source`')
    const wanted = read(option, scope, parseMac, 'MAC address')
    if (wanted === undefined) return undefined
    return {
      text: `${bang(option.inverted)}--mac-source ${formatMac(wanted)}`,
      bind:
        () =>
        ({ skb }) =>
          hasMac(skb) && (readMac(skb.bytes, skb.macHeader + 6) === wanted) !== option.inverted,
    }
  },
}

function addressOf({ skb, l3, family }: ChainPacket, side: 'source' | 'destination'): IpAddress {
  if (family === 4) return readIpv4(skb.bytes, l3 + ipv4At[side])
  return readIpv6(skb.bytes, l3 + ipv6At[side])
}

const iprange: MatchKind = {
  name: 'iprange',
  options: [negatable('--src-range'), negatable('--dst-range')],
  read: (given, scope, word): MatchSpec | undefined => {
    if (given.length === 0) return scope.report(word, '`-m iprange` needs `--src-range` or `--dst-range`')
    const tests: Matcher[] = []
    let text = ''
    for (const name of ['--src-range', '--dst-range']) {
      const option = find(given, name)
      if (option === undefined) continue
      const range = read(
        option,
        scope,
        (value) => parseAddressRange(value, scope.family),
        'range of addresses',
      )
      if (range === undefined) return undefined
      const side = name === '--src-range' ? 'source' : 'destination'
      tests.push((packet) => {
        const address = addressOf(packet, side)
        const inside = compareIp(address, range.first) >= 0 && compareIp(address, range.last) <= 0
        return inside !== option.inverted
      })
      text += ` ${bang(option.inverted)}${name} ${formatIp(range.first)}-${formatIp(range.last)}`
    }
    return { text: text.trimStart(), bind: () => (packet) => tests.every((test) => test(packet)) }
  },
}

function mssOf({ skb, l4, fragmentOffset }: ChainPacket): number | undefined {
  if (fragmentOffset !== 0 || l4 + 20 > skb.tail) return undefined
  return readMss(skb.bytes, l4)
}

/** Length of the packet; for IPv4 what its header says. */
function lengthOf(packet: ChainPacket): number {
  if (packet.family === 4) return readU16(packet.skb.bytes, packet.l3 + ipv4At.totalLength)
  return packetLength(packet)
}

/** Matches on one field. */
export const fieldMatches: readonly MatchKind[] = [
  rangeMatch('length', '--length', 0xffff, lengthOf),
  rangeMatch('tcpmss', '--mss', 0xffff, mssOf),
  ttlMatch('ttl', 4),
  ttlMatch('hl', 6),
  dscp,
  tos,
  pkttype,
  mac,
  iprange,
]
