// Matches with a memory or with chance: xt_statistic.c, xt_limit.c, xt_quota.c. Chance is a pure function of the flow and the rule, so
// the order of unrelated packets never changes it; buckets are filled by the virtual clock.
import { second } from '../../clock.ts'
import { readTuple, tupleHash } from '../../conntrack/tuple.ts'
import type { Namespace } from '../../namespace.ts'
import type { ChainPacket, Given, Matcher, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { packetLength } from '../header-match.ts'
import { bang, parseNumber } from '../values.ts'
import { find, negatable, read, required, valueText, withValue } from './given.ts'

/** A 32-bit hash of the flow a packet belongs to. */
export function flowHashOf({ skb, l3, l4, family, protocol, fragmentOffset }: ChainPacket): number {
  const end = fragmentOffset === 0 ? skb.tail : l4
  const tuple = readTuple(skb.bytes, { l3, l4, end }, family, protocol)
  if (tuple !== undefined) return tupleHash(tuple, 0)
  return tupleHash(readTuple(skb.bytes, { l3, l4: l3, end: skb.tail }, family, 255) as never, 0)
}

function parseProbability(text: string): number | undefined {
  const value = Number(text)
  return text !== '' && value >= 0 && value <= 1 ? Math.round(value * 0x8000_0000) : undefined
}

function readRandom(
  option: Given | undefined,
  scope: RuleScope,
  inverted: boolean,
  word: Given['word'],
): MatchSpec | undefined {
  if (option === undefined) return scope.report(word, '`--mode random` needs `--probability`')
  const threshold = read(option, scope, parseProbability, 'probability from 0 to 1')
  if (threshold === undefined) return undefined
  const negate = inverted || option.inverted
  return {
    text: `--mode random ${bang(negate)}--probability ${(threshold / 0x8000_0000).toFixed(11)}`,
    bind: ({ ns, ordinal }) => {
      const { machine } = ns
      return (packet) => {
        const drawn = machine.random('statistic', flowHashOf(packet) * 0x10_0000 + ordinal) >>> 1
        return drawn < threshold !== negate
      }
    },
  }
}

function readNth(
  given: readonly Given[],
  scope: RuleScope,
  inverted: boolean,
  word: Given['word'],
): MatchSpec | undefined {
  const option = find(given, '--every')
  if (option === undefined) return scope.report(word, '`--mode nth` needs `--every`')
  const every = read(option, scope, (text) => parseNumber(text), 'number')
  const start = find(given, '--packet')
  if (start === undefined) return scope.report(option.word, '`--every` needs `--packet` too')
  const packet = read(start, scope, (text) => parseNumber(text), 'number')
  if (every === undefined || packet === undefined) return undefined
  if (every === 0) return scope.report(option.word, '`--every` cannot be 0')
  if (packet >= every) return scope.report(start.word, '`--packet` must be smaller than `--every`')
  const negate = inverted || option.inverted
  return {
    text: `--mode nth ${bang(negate)}--every ${every} --packet ${packet}`,
    bind: () => {
      // xt_statistic.c: the counter begins so that packet number `packet` is the first that matches
      let count = (every - packet - 1) % every
      return () => {
        count = count + 1 === every ? 0 : count + 1
        return (count === 0) !== negate
      }
    },
  }
}

const statistic: MatchKind = {
  name: 'statistic',
  options: [withValue('--mode'), negatable('--probability'), negatable('--every'), withValue('--packet')],
  read: (given, scope, word): MatchSpec | undefined => {
    const mode = find(given, '--mode')
    if (mode === undefined) return scope.report(word, '`-m statistic` needs `--mode random` or `--mode nth`')
    if (valueText(mode) === 'random')
      return readRandom(find(given, '--probability'), scope, mode.inverted, word)
    if (valueText(mode) === 'nth') return readNth(given, scope, mode.inverted, word)
    return scope.report(mode.values[0] ?? mode.word, 'a mode is `random` or `nth`')
  },
}

const unitSeconds: ReadonlyMap<string, number> = new Map([
  ['second', 1],
  ['minute', 60],
  ['hour', 3600],
  ['day', 86_400],
])

/** A rate as the time between two packets. */
export interface Rate {
  /** Nanoseconds of virtual time for one packet. */
  readonly interval: number
  /** As iptables-save prints it: `10/sec`. */
  readonly text: string
}

/** `3/hour`, `10/sec`, `5`: a unit may be shortened. */
export function parseRate(text: string): Rate | undefined {
  const [left = '', unit = 'second', ...more] = text.split('/')
  const count = parseNumber(left)
  const name = [...unitSeconds.keys()].find((known) => unit !== '' && known.startsWith(unit.toLowerCase()))
  if (count === undefined || count === 0 || name === undefined || more.length > 0) return undefined
  const seconds = unitSeconds.get(name) ?? 1
  const printed = reduced(count, seconds)
  return { interval: (seconds / count) * second, text: printed }
}

/** The tool prints a rate in the largest unit of its scaled value: 60/minute is 1/sec. */
function reduced(count: number, seconds: number): string {
  const scaled = Math.floor((10_000 * seconds) / count)
  const units = [
    ['day', 86_400],
    ['hour', 3600],
    ['min', 60],
    ['sec', 1],
  ] as const
  let index = 1
  for (; index < units.length; index += 1) {
    const value = (units[index]?.[1] ?? 1) * 10_000
    if (scaled > value || value / scaled < value % scaled) break
  }
  const [name, size] = units[index - 1] ?? units[0]
  return `${Math.floor((size * 10_000) / scaled)}/${name}`
}

/** A token bucket on the virtual clock. */
export class Bucket {
  private credit: number
  private last: number
  private readonly ns: Namespace
  private readonly interval: number
  private readonly capacity: number

  constructor(ns: Namespace, interval: number, burst: number) {
    this.ns = ns
    this.interval = interval
    this.capacity = interval * burst
    this.credit = this.capacity
    this.last = ns.machine.clock.now
  }

  /** Whether a packet may pass now; it then takes its token. */
  take(): boolean {
    const { now } = this.ns.machine.clock
    this.credit = Math.min(this.capacity, this.credit + now - this.last)
    this.last = now
    if (this.credit < this.interval) return false
    this.credit -= this.interval
    return true
  }
}

/** XT_LIMIT_SCALE: a token takes at least a ten-thousandth of a second. */
const fastestLimit = second / 10_000

const limit: MatchKind = {
  name: 'limit',
  options: [withValue('--limit'), withValue('--limit-burst')],
  read: (given, scope): MatchSpec | undefined => {
    const option = find(given, '--limit')
    const rate =
      option === undefined ? parseRate('3/hour') : read(option, scope, parseRate, 'rate as `10/second`')
    const burstOption = find(given, '--limit-burst')
    const burst =
      burstOption === undefined ? 5 : read(burstOption, scope, (text) => parseNumber(text, 10_000), 'number')
    if (rate === undefined || burst === undefined) return undefined
    const { interval } = rate
    if (option !== undefined && interval < fastestLimit)
      return scope.report(option.values[0] ?? option.word, 'a limit is at most 10000/second')
    if (burstOption !== undefined && burst === 0)
      return scope.report(burstOption.values[0] ?? burstOption.word, '`--limit-burst` must be above 0')
    const text = `--limit ${rate.text}${burst === 5 ? '' : ` --limit-burst ${burst}`}`
    const bind = ({ ns }: { readonly ns: Namespace }): Matcher => {
      const bucket = new Bucket(ns, interval, burst)
      return () => bucket.take()
    }
    return { text, bind }
  },
}

const quota: MatchKind = {
  name: 'quota',
  options: [negatable('--quota')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = required(given, scope, '--quota', { word, name: '-m quota' })
    const parse = (text: string): number | undefined => parseNumber(text, Number.MAX_SAFE_INTEGER)
    const bytes = option && read(option, scope, parse, 'number of bytes')
    if (option === undefined || bytes === undefined) return undefined
    return {
      text: `${bang(option.inverted)}--quota ${bytes}`,
      bind: () => {
        let left = bytes
        return (packet) => {
          const length = packetLength(packet)
          const fits = left >= length
          left = fits ? left - length : 0 // quota_mt(): behind the first that does not fit, no smaller one does
          return fits !== option.inverted
        }
      },
    }
  },
}

/** Matches with chance or memory. */
export const chanceMatches: readonly MatchKind[] = [statistic, limit, quota]
