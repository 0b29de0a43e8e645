// The data types of nft that expressions have and sets are keyed by: how many 32-bit words they take in the registers, how
// their constants are written and printed (src/datatype.c, src/ct.c, src/meta.c, src/proto.c of nftables).
import { formatIp, type IpAddress, isIpv4, parseIp } from '../../net/address.ts'
import { connStatus } from '../conntrack/connection.ts'
import { parseNumber, parsePort } from '../netfilter/values.ts'

/** A constant: its words, big-endian in order of significance. */
export type Words = readonly number[]

export interface DataType {
  readonly name: string
  readonly words: 1 | 2 | 4
  /** Values are sets of flags: `a,b` is one value, and a test without `==` asks whether any of them is set. */
  readonly flags?: boolean
  /** Names of values, in the order of their numbers. */
  readonly symbols?: ReadonlyMap<string, number>
  /** The highest value of a type of one word. */
  readonly max?: number
  readonly parse: (text: string) => Words | undefined
  readonly print: (words: Words) => string
}

function address(family: 4 | 6): Pick<DataType, 'parse' | 'print' | 'words'> {
  return {
    words: family === 4 ? 1 : 4,
    parse: (text) => {
      const ip = parseIp(text)
      if (ip === undefined || isIpv4(ip) !== (family === 4)) return undefined
      return isIpv4(ip) ? [ip] : ip
    },
    print: (words) => formatIp(addressOf(words)),
  }
}

/** One word is IPv4, four are IPv6. */
export function addressOf(words: Words): IpAddress {
  return (words.length === 1 ? words[0] : words) as IpAddress
}

function number(
  max: number,
  print: (value: number) => string = String,
): Pick<DataType, 'parse' | 'print' | 'words' | 'max'> {
  return {
    words: 1,
    max,
    parse: (text) => {
      const value = parseNumber(text, max)
      return value === undefined ? undefined : [value]
    },
    print: ([value = 0]) => print(value),
  }
}

function named(
  name: string,
  max: number,
  symbols: ReadonlyMap<string, number>,
  print: (value: number) => string = String,
): DataType {
  const names = new Map<number, string>()
  for (const [text, value] of symbols) if (!names.has(value)) names.set(value, text)
  return {
    name,
    words: 1,
    max,
    symbols,
    parse: (text) => {
      const value = symbols.get(text) ?? parseNumber(text, max)
      return value === undefined ? undefined : [value]
    },
    print: ([value = 0]) => names.get(value) ?? print(value),
  }
}

function flagged(name: string, max: number, symbols: ReadonlyMap<string, number>): DataType {
  const base = named(name, max, symbols)
  return {
    ...base,
    flags: true,
    print: ([value = 0]) => {
      const bits = [...symbols].filter(([, bit]) => (value & bit) !== 0)
      const known = bits.reduce((sum, [, bit]) => sum | bit, 0)
      return value !== 0 && known === value ? bits.map(([text]) => text).join(',') : hex(value)
    },
  }
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`
}

/** A mark prints all its digits. */
export function markText(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, '0')}`
}

const nameBytes = 16

/** Four words of a device's name; `fill` follows it. */
function nameWords(text: string, fill: number): Words {
  const words: number[] = []
  for (let at = 0; at < nameBytes; at += 4) {
    let word = 0
    for (let byte = at; byte < at + 4; byte += 1)
      word = (word << 8) | (byte < text.length ? text.charCodeAt(byte) : fill)
    words.push(word >>> 0)
  }
  return words
}

function nameText(words: Words): string {
  let text = ''
  for (const word of words) {
    for (let shift = 24; shift >= 0; shift -= 8) {
      const code = (word >>> shift) & 0xff
      if (code !== 0 && code !== 0xff) text += String.fromCharCode(code)
    }
  }
  return text
}

/** First and last words of the names that begin with a text. */
export function namePrefix(text: string): { readonly first: Words; readonly last: Words } {
  return { first: nameWords(text, 0), last: nameWords(text, 0xff) }
}

const protocols = new Map([
  ['icmp', 1],
  ['igmp', 2],
  ['tcp', 6],
  ['udp', 17],
  ['dccp', 33],
  ['ipv6', 41],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['ipv6-icmp', 58],
  ['icmpv6', 58],
  ['sctp', 132],
  ['udplite', 136],
])
const icmpTypes = new Map([
  ['echo-reply', 0],
  ['destination-unreachable', 3],
  ['source-quench', 4],
  ['redirect', 5],
  ['echo-request', 8],
  ['router-advertisement', 9],
  ['router-solicitation', 10],
  ['time-exceeded', 11],
  ['parameter-problem', 12],
  ['timestamp-request', 13],
  ['timestamp-reply', 14],
  ['info-request', 15],
  ['info-reply', 16],
  ['address-mask-request', 17],
  ['address-mask-reply', 18],
])
const icmpv6Types = new Map([
  ['destination-unreachable', 1],
  ['packet-too-big', 2],
  ['time-exceeded', 3],
  ['parameter-problem', 4],
  ['echo-request', 128],
  ['echo-reply', 129],
  ['mld-listener-query', 130],
  ['mld-listener-report', 131],
  ['mld-listener-done', 132],
  ['nd-router-solicit', 133],
  ['nd-router-advert', 134],
  ['nd-neighbor-solicit', 135],
  ['nd-neighbor-advert', 136],
  ['nd-redirect', 137],
  ['router-renumbering', 138],
  ['ind-neighbor-solicit', 141],
  ['ind-neighbor-advert', 142],
  ['mld2-listener-report', 143],
])
const dscp = new Map<string, number>([
  ['cs0', 0],
  ...[1, 2, 3, 4, 5, 6, 7].map((one) => [`cs${one}`, one * 8] as const),
  ...[1, 2, 3, 4].flatMap((one) => [1, 2, 3].map((two) => [`af${one}${two}`, one * 8 + two * 2] as const)),
  ['ef', 46],
])

/** Every type by the name that nft gives it. */
export const dataTypes = {
  integer: { name: 'integer', ...number(0xffff_ffff) },
  integer16: { name: 'integer', ...number(0xffff) },
  integer8: { name: 'integer', ...number(0xff) },
  ipv4_addr: { name: 'ipv4_addr', ...address(4) },
  ipv6_addr: { name: 'ipv6_addr', ...address(6) },
  inet_proto: named('inet_proto', 0xff, protocols),
  inet_service: {
    name: 'inet_service',
    ...number(0xffff),
    parse: (text: string) => {
      const port = parsePort(text) ?? parseNumber(text, 0xffff)
      return port === undefined ? undefined : [port]
    },
  },
  mark: { name: 'mark', ...number(0xffff_ffff, markText) },
  ifname: {
    name: 'ifname',
    words: 4,
    parse: (text: string) => (text.length < nameBytes ? nameWords(text, 0) : undefined),
    print: (words: Words) => `"${nameText(words)}${((words[3] ?? 0) & 0xff) === 0xff ? '*' : ''}"`,
  },
  iface_index: {
    name: 'iface_index',
    words: 4,
    parse: (text: string) => (text.length < nameBytes ? nameWords(text, 0) : undefined),
    print: (words: Words) => `"${nameText(words)}"`,
  },
  nf_proto: named(
    'nf_proto',
    0xff,
    new Map([
      ['ipv4', 2],
      ['ipv6', 10],
    ]),
  ),
  ether_type: named(
    'ether_type',
    0xffff,
    new Map([
      ['ip', 0x800],
      ['arp', 0x806],
      ['ip6', 0x86dd],
      ['vlan', 0x8100],
    ]),
    hex,
  ),
  pkt_type: named(
    'pkt_type',
    0xff,
    new Map([
      ['host', 0],
      ['unicast', 0],
      ['broadcast', 1],
      ['multicast', 2],
      ['other', 3],
    ]),
  ),
  fib_addrtype: named(
    'fib_addrtype',
    0xff,
    new Map(
      [
        'unspec',
        'unicast',
        'local',
        'broadcast',
        'anycast',
        'multicast',
        'blackhole',
        'unreachable',
        'prohibit',
      ].map((text, value) => [text, value]),
    ),
  ),
  ct_state: flagged(
    'ct_state',
    0x7f,
    new Map([
      ['invalid', 1],
      ['established', 2],
      ['related', 4],
      ['new', 8],
      ['untracked', 64],
    ]),
  ),
  ct_dir: named(
    'ct_dir',
    1,
    new Map([
      ['original', 0],
      ['reply', 1],
    ]),
  ),
  ct_status: flagged(
    'ct_status',
    0xffff_ffff,
    new Map([
      ['expected', connStatus.expected],
      ['seen-reply', connStatus.seenReply],
      ['assured', connStatus.assured],
      ['confirmed', connStatus.confirmed],
      ['snat', connStatus.sourceNat],
      ['dnat', connStatus.destinationNat],
      ['dying', connStatus.dying],
    ]),
  ),
  tcp_flag: flagged(
    'tcp_flag',
    0xff,
    new Map(['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ecn', 'cwr'].map((text, bit) => [text, 1 << bit])),
  ),
  icmp_type: named('icmp_type', 0xff, icmpTypes),
  icmpv6_type: named('icmpv6_type', 0xff, icmpv6Types),
  ecn: named(
    'ecn',
    3,
    new Map([
      ['not-ect', 0],
      ['ect1', 1],
      ['ect0', 2],
      ['ce', 3],
    ]),
  ),
  dscp: named('dscp', 63, dscp, (value) => `0x${value.toString(16).padStart(2, '0')}`),
} as const satisfies Record<string, DataType>

/** Types as sets are declared with them. */
export const typesByName: ReadonlyMap<string, DataType> = new Map(
  Object.values(dataTypes)
    .filter(({ name }) => name !== 'integer')
    .map((type) => [type.name, type]),
)

/** `ipv4_addr . inet_service`. */
export function typesText(types: readonly DataType[]): string {
  return types.map(({ name }) => name).join(' . ')
}

/** How many words values of these types take together. */
export function wordsOfTypes(types: readonly DataType[]): number {
  return types.reduce((sum, { words }) => sum + words, 0)
}
