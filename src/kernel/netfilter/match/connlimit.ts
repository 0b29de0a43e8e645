// How many connections an address has: xt_connlimit.c, nf_conncount.c. Each rule keeps its own lists; connections that are
// forgotten or closed leave them when a packet finds it out (the kernel looks once a jiffy).
import { type IpAddress, readIpv4, readIpv6 } from '../../../net/address.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import { connStatus, isConfirmed } from '../../conntrack/connection.ts'
import { tcpState } from '../../conntrack/tcp-track.ts'
import { readTuple, sameTuple, type Tuple } from '../../conntrack/tuple.ts'
import { AddressMap } from '../../ip/address-map.ts'
import type { ChainPacket, Given, Matcher, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { maskAddress, parseNumber, prefixMask } from '../values.ts'
import { find, flag, negatable, read, withValue } from './given.ts'

interface ConnLimit {
  readonly limit: number
  /** Matches up to the limit, not above it. */
  readonly upto: boolean
  readonly bits: number
  readonly side: 'source' | 'destination'
}

function addressOf({ skb, l3, family }: ChainPacket, side: ConnLimit['side']): IpAddress {
  return family === 4 ? readIpv4(skb.bytes, l3 + ipv4At[side]) : readIpv6(skb.bytes, l3 + ipv6At[side])
}

/** The packet's own tuple, or that of its flow's first direction. */
function tupleOf({ skb, l3, l4, family, protocol }: ChainPacket): Tuple | undefined {
  if (skb.nfct !== undefined && !skb.nfct.template) return skb.nfct.original
  return readTuple(skb.bytes, { l3, l4, end: skb.tail }, family, protocol)
}

/** Whether a connection counts: it is known, and TCP has not closed it (already_closed()). */
function isLive({ ns }: ChainPacket, tuple: Tuple): boolean {
  const found = ns.netfilter.conntrack?.find(tuple, 0)
  if (found === undefined) return false
  const state = found.connection.tcp?.state
  return state !== tcpState.timeWait && state !== tcpState.close
}

/** CONNCOUNT_GC_MAX_COLLECT: so many are taken off a list for one packet. */
const goneMax = 64

/** Takes off a list what is over, up to the packet's own flow; whether that was met. */
function collect(list: Tuple[], packet: ChainPacket, own: Tuple | undefined): boolean {
  let gone = 0
  for (let at = 0; at < list.length && gone <= goneMax; ) {
    const other = list[at] as Tuple
    if (isLive(packet, other)) {
      if (own !== undefined && sameTuple(other, own)) return true
      at += 1
    } else {
      list.splice(at, 1)
      gone += 1
    }
  }
  return false
}

/** __nf_conncount_add(), count_tree(): an assured flow is counted already; one that is not is looked for in the list. */
function addTo(list: Tuple[], tuple: Tuple, packet: ChainPacket): void {
  const { nfct } = packet.skb
  const counted = nfct !== undefined && isConfirmed(nfct) && (nfct.status & connStatus.assured) !== 0
  if (counted) collect(list, packet, undefined)
  else if (!collect(list, packet, tuple)) list.push(tuple)
}

function matcherOf({ limit, upto, bits, side }: ConnLimit, family: 4 | 6): Matcher {
  const lists = new AddressMap<Tuple[]>()
  const mask = prefixMask(family, bits)
  return (packet) => {
    const tuple = tupleOf(packet)
    if (tuple === undefined) {
      packet.broken = true
      return false
    }
    const address = maskAddress(addressOf(packet, side), mask)
    const list = lists.get(address) ?? []
    addTo(list, tuple, packet)
    lists.set(address, 0, list)
    return list.length > limit !== upto
  }
}

function readLimit(given: readonly Given[], scope: RuleScope, word: Given['word']): ConnLimit | undefined {
  const above = find(given, '--connlimit-above')
  const upto = find(given, '--connlimit-upto')
  const option = above ?? upto
  if (option === undefined || (above !== undefined && upto !== undefined))
    return scope.report(word, '`-m connlimit` needs `--connlimit-above` or `--connlimit-upto`')
  const limit = read(option, scope, (text) => parseNumber(text), 'number')
  const full = scope.family === 4 ? 32 : 128
  const maskOption = find(given, '--connlimit-mask')
  const bits =
    maskOption === undefined
      ? full
      : read(maskOption, scope, (text) => parseNumber(text, full), `number up to ${full}`)
  if (limit === undefined || bits === undefined) return undefined
  const side = find(given, '--connlimit-daddr') === undefined ? 'source' : 'destination'
  return { limit, upto: (upto !== undefined) !== option.inverted, bits, side }
}

const connlimit: MatchKind = {
  name: 'connlimit',
  options: [
    negatable('--connlimit-above'),
    negatable('--connlimit-upto'),
    withValue('--connlimit-mask'),
    flag('--connlimit-saddr'),
    flag('--connlimit-daddr'),
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    const wanted = readLimit(given, scope, word)
    if (wanted === undefined) return undefined
    const { limit, upto, bits, side } = wanted
    return {
      text: `--connlimit-${upto ? 'upto' : 'above'} ${limit} --connlimit-mask ${bits} --connlimit-${side === 'source' ? 's' : 'd'}addr`,
      need: 'conntrack',
      bind: ({ family }) => matcherOf(wanted, family),
    }
  },
}

/** The match on numbers of connections. */
export const connlimitMatches: readonly MatchKind[] = [connlimit]
