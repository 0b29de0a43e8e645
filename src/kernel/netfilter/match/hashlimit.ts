// Rate limits per address or port: xt_hashlimit.c. One bucket for each value of the chosen fields, on the virtual clock.
import { didYouMean } from '../../../base/closest.ts'
import { type IpAddress, readIpv4, readIpv6 } from '../../../net/address.ts'
import { readU32 } from '../../../net/bytes.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import { portsAt } from '../../../net/protocol.ts'
import { AddressMap } from '../../ip/address-map.ts'
import type { Namespace } from '../../namespace.ts'
import type { ChainPacket, Given, Matcher, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { maskAddress, parseNumber, prefixMask } from '../values.ts'
import { Bucket, parseRate, type Rate } from './chance.ts'
import { find, negatable, read, valueText, withValue } from './given.ts'

const modes = ['srcip', 'srcport', 'dstip', 'dstport'] as const
type Mode = (typeof modes)[number]

interface HashLimit {
  readonly rate: Rate
  readonly above: boolean
  readonly burst: number
  readonly modes: readonly Mode[]
  readonly name: string
  readonly sourceMask: number
  readonly destinationMask: number
}

function addressAt({ skb, l3, family }: ChainPacket, side: 'source' | 'destination'): IpAddress {
  if (family === 4) return readIpv4(skb.bytes, l3 + ipv4At[side])
  return readIpv6(skb.bytes, l3 + ipv6At[side])
}

function nothing(family: 4 | 6): IpAddress {
  return prefixMask(family, 0)
}

/** Buckets by source, then by destination, then by both ports. */
class Buckets {
  private readonly bySource = new AddressMap<AddressMap<Map<number, Bucket>>>()
  private readonly ns: Namespace
  readonly options: HashLimit

  constructor(ns: Namespace, options: HashLimit) {
    this.ns = ns
    this.options = options
  }

  of(source: IpAddress, destination: IpAddress, ports: number): Bucket {
    const first = this.bySource.get(source) ?? new AddressMap<Map<number, Bucket>>()
    this.bySource.set(source, 0, first)
    const second = first.get(destination) ?? new Map<number, Bucket>()
    first.set(destination, 0, second)
    const bucket = second.get(ports) ?? new Bucket(this.ns, this.options.rate.interval, this.options.burst)
    second.set(ports, bucket)
    return bucket
  }
}

const tables = new WeakMap<Namespace, Map<string, Buckets>>()

/** htable_find_get(): rules that name the same table share it, as the first of them set it up. */
function tableOf(ns: Namespace, family: 4 | 6, options: HashLimit): Buckets {
  const known = tables.get(ns) ?? new Map<string, Buckets>()
  tables.set(ns, known)
  const key = `${family}/${options.name}`
  const table = known.get(key) ?? new Buckets(ns, options)
  known.set(key, table)
  return table
}

/** The ports of a packet, 0 for protocols without; undefined when it is cut off before them: it is dropped. */
function portsOf(packet: ChainPacket): number | undefined {
  const offset = portsAt.get(packet.protocol)
  if (offset === undefined) return 0
  const at = packet.l4 + offset
  if (at + 4 <= packet.skb.tail) return readU32(packet.skb.bytes, at)
  packet.broken = true
  return undefined
}

function matcherOf(own: HashLimit, ns: Namespace, family: 4 | 6): Matcher {
  const buckets = tableOf(ns, family, own)
  const { options } = buckets
  const has = (mode: Mode): boolean => options.modes.includes(mode)
  const [bySource, byDestination] = [has('srcip'), has('dstip')]
  const portMask = ((has('srcport') ? 0xffff_0000 : 0) | (has('dstport') ? 0xffff : 0)) >>> 0
  const sourceMask = prefixMask(family, options.sourceMask)
  const destinationMask = prefixMask(family, options.destinationMask)
  return (packet) => {
    const source = bySource ? maskAddress(addressAt(packet, 'source'), sourceMask) : nothing(family)
    const destination = byDestination
      ? maskAddress(addressAt(packet, 'destination'), destinationMask)
      : nothing(family)
    const ports = portMask === 0 ? 0 : portsOf(packet)
    if (ports === undefined) return false
    return buckets.of(source, destination, (ports & portMask) >>> 0).take() !== own.above
  }
}

function parseModes(text: string): Mode[] | undefined {
  const words = text.split(',')
  const known = modes.filter((mode) => words.includes(mode))
  return known.length === words.length ? known : undefined
}

function readNumber(
  given: readonly Given[],
  name: string,
  scope: RuleScope,
  fallback: number,
): number | undefined {
  const option = find(given, name)
  return option === undefined ? fallback : read(option, scope, (text) => parseNumber(text), 'number')
}

function readOptions(given: readonly Given[], scope: RuleScope, word: Given['word']): HashLimit | undefined {
  const upto = find(given, '--hashlimit-upto')
  const above = find(given, '--hashlimit-above')
  const option = upto ?? above
  const name = find(given, '--hashlimit-name')
  if (option === undefined || name === undefined) {
    return scope.report(
      word,
      '`-m hashlimit` needs `--hashlimit-upto` or `--hashlimit-above`, and `--hashlimit-name`',
    )
  }
  const rate = read(option, scope, parseRate, 'rate as `10/second`')
  const modeOption = find(given, '--hashlimit-mode')
  const chosen = modeOption === undefined ? [] : parseModes(valueText(modeOption))
  if (chosen === undefined) {
    return scope.report(
      modeOption?.values[0] ?? word,
      'modes are srcip, srcport, dstip and dstport',
      didYouMean(valueText(modeOption), modes),
    )
  }
  const full = scope.family === 4 ? 32 : 128
  const burst = readNumber(given, '--hashlimit-burst', scope, 5)
  const sourceMask = readNumber(given, '--hashlimit-srcmask', scope, full)
  const destinationMask = readNumber(given, '--hashlimit-dstmask', scope, full)
  if (rate === undefined || burst === undefined || sourceMask === undefined || destinationMask === undefined)
    return undefined
  return {
    rate,
    above: (above !== undefined) !== option.inverted,
    burst,
    modes: chosen,
    name: valueText(name),
    sourceMask,
    destinationMask,
  }
}

const tableOptions = [
  '--hashlimit-htable-size',
  '--hashlimit-htable-max',
  '--hashlimit-htable-gcinterval',
  '--hashlimit-htable-expire',
] as const

/** What the tool does not print. */
const tableDefaults: Readonly<Record<string, string>> = {
  '--hashlimit-htable-gcinterval': '1000',
  '--hashlimit-htable-expire': '1000',
}

function textOf(options: HashLimit, given: readonly Given[], full: number): string {
  let text = `--hashlimit-${options.above ? 'above' : 'upto'} ${options.rate.text} --hashlimit-burst ${options.burst}`
  if (options.modes.length > 0) text += ` --hashlimit-mode ${options.modes.join(',')}`
  text += ` --hashlimit-name ${options.name}`
  for (const name of tableOptions) {
    const option = find(given, name)
    if (option !== undefined && valueText(option) !== tableDefaults[name])
      text += ` ${name} ${valueText(option)}`
  }
  if (options.sourceMask !== full) text += ` --hashlimit-srcmask ${options.sourceMask}`
  if (options.destinationMask !== full) text += ` --hashlimit-dstmask ${options.destinationMask}`
  return text
}

const hashlimit: MatchKind = {
  name: 'hashlimit',
  options: [
    negatable('--hashlimit-upto', '--hashlimit'),
    negatable('--hashlimit-above'),
    withValue('--hashlimit-burst'),
    withValue('--hashlimit-mode'),
    withValue('--hashlimit-name'),
    withValue('--hashlimit-srcmask'),
    withValue('--hashlimit-dstmask'),
    ...tableOptions.map((name) => withValue(name)),
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    const options = readOptions(given, scope, word)
    if (options === undefined) return undefined
    const text = textOf(options, given, scope.family === 4 ? 32 : 128)
    return { text, bind: ({ ns, family }) => matcherOf(options, ns, family) }
  },
}

/** The match on rates per flow. */
export const hashlimitMatches: readonly MatchKind[] = [hashlimit]
