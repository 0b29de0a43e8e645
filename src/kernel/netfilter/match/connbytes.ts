// What a flow has carried, and whose child it is: xt_connbytes.c, xt_helper.c.
import type { Connection, FlowCounter } from '../../conntrack/connection.ts'
import type { Given, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { bang, parseNumber } from '../values.ts'
import { quoteWord } from '../words.ts'
import { negatable, read, required, valueText, withValue } from './given.ts'

/** Switches accounting on for the flows that begin from now on. */
const accounting = 'net.netfilter.nf_conntrack_acct'

const sides = { original: [0], reply: [1], both: [0, 1] } as const
type Side = keyof typeof sides

const modes: Readonly<Record<string, (packets: number, bytes: number) => number>> = {
  packets: (packets) => packets,
  bytes: (_packets, bytes) => bytes,
  avgpkt: (packets, bytes) => (packets === 0 ? 0 : Math.floor(bytes / packets)),
}

/** Bounds as the kernel has them: a negated range is one whose end lies before its beginning. */
interface Bounds {
  readonly from: number
  readonly to: number
}

const boundless = Number.POSITIVE_INFINITY

/** `10`, `10:`, `10:20`, `:20`. */
function parseBounds(text: string): Bounds | undefined {
  const [left = '', right = '', ...more] = text.split(':')
  const from = left === '' && text.includes(':') ? 0 : parseNumber(left, Number.MAX_SAFE_INTEGER)
  const to = right === '' ? boundless : parseNumber(right, Number.MAX_SAFE_INTEGER)
  return from === undefined || to === undefined || more.length > 0 ? undefined : { from, to }
}

function boundsText({ from, to }: Bounds): string {
  const [first, last] = from > to ? [to, from] : [from, to]
  return `${bang(from > to)}--connbytes ${first}${last === boundless ? '' : `:${last}`}`
}

function readBounds(option: Given, scope: RuleScope): Bounds | undefined {
  const bounds = read(option, scope, parseBounds, 'number or range')
  if (bounds === undefined) return undefined
  if (bounds.from > bounds.to) {
    return scope.report(option.values[0] ?? option.word, `${bounds.from} should be less than ${bounds.to}`)
  }
  return option.inverted ? { from: bounds.to, to: bounds.from } : bounds
}

/** One of a few words. */
function readChoice<T extends string>(option: Given, scope: RuleScope, words: readonly T[]): T | undefined {
  const found = words.find((word) => word === valueText(option))
  const message = `\`${option.name}\` is one of ${words.join(', ')}`
  return found ?? scope.report(option.values[0] ?? option.word, message)
}

function carried({ counters }: Connection, side: Side): FlowCounter | undefined {
  if (counters === undefined) return undefined
  const sum = { packets: 0, bytes: 0 }
  for (const direction of sides[side]) {
    sum.packets += counters[direction].packets
    sum.bytes += counters[direction].bytes
  }
  return sum
}

const connbytes: MatchKind = {
  name: 'connbytes',
  options: [negatable('--connbytes'), withValue('--connbytes-dir'), withValue('--connbytes-mode')],
  read: (given, scope, word): MatchSpec | undefined => {
    const extension = { word, name: '-m connbytes' }
    const option = required(given, scope, '--connbytes', extension)
    const dir = option && required(given, scope, '--connbytes-dir', extension)
    const mode = dir && required(given, scope, '--connbytes-mode', extension)
    if (option === undefined || dir === undefined || mode === undefined) return undefined
    const bounds = readBounds(option, scope)
    const side = readChoice(dir, scope, Object.keys(sides) as Side[])
    const what = readChoice(mode, scope, Object.keys(modes))
    const measure = modes[what ?? '']
    if (bounds === undefined || side === undefined || measure === undefined) return undefined
    const { from, to } = bounds
    return {
      text: `${boundsText(bounds)} --connbytes-mode ${what} --connbytes-dir ${side}`,
      need: 'conntrack',
      bind: ({ ns }) => {
        ns.sysctls.set(accounting, 1) // connbytes_mt_check()
        return ({ skb }) => {
          const seen = skb.nfct === undefined ? undefined : carried(skb.nfct, side)
          if (seen === undefined) return false
          const value = measure(seen.packets, seen.bytes)
          return to >= from ? value <= to && value >= from : value < to || value > from
        }
      },
    }
  },
}

/** Bytes of a helper's name (NF_CT_HELPER_NAME_LEN and its padding). */
const helperNameMax = 29

const helper: MatchKind = {
  name: 'helper',
  options: [negatable('--helper')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = required(given, scope, '--helper', { word, name: '-m helper' })
    if (option === undefined) return undefined
    if (valueText(option).length > helperNameMax)
      return scope.report(
        option.values[0] ?? word,
        `the name of a helper has at most ${helperNameMax} characters`,
      )
    return {
      text: `${bang(option.inverted)}--helper ${quoteWord(valueText(option))}`,
      need: 'conntrack',
      // a flow that a helper has expected has a master; there are no helpers here, as in a fresh namespace of Linux
      bind: () => () => option.inverted,
    }
  },
}

/** Matches on a flow's counters and helper. */
export const flowMatches: readonly MatchKind[] = [connbytes, helper]
