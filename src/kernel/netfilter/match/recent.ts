// Lists of addresses seen recently: xt_recent.c. Session affinity of kube-proxy is made of it. Lists are named, belong to
// the namespace, and live on the virtual clock.
import { formatIp, type IpAddress, readIpv4, readIpv6 } from '../../../net/address.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import { second } from '../../clock.ts'
import { AddressMap } from '../../ip/address-map.ts'
import type { Namespace } from '../../namespace.ts'
import type { ChainPacket, Given, Matcher, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { bang, maskAddress, parseMaskedAddress, parseNumber, prefixMask } from '../values.ts'
import { find, flag, read, valueText, withValue } from './given.ts'
import { hopLimit } from './header-fields.ts'

/** When an address was seen, the latest `stampsMax` times, and with which TTL last. */
interface RecentEntry {
  stamps: number[]
  ttl: number
}

interface RecentList {
  /** The one that was seen longest ago stands first. */
  readonly entries: AddressMap<RecentEntry>
  /** nstamps_max_mask + 1: grows with the rules that name the list. */
  stampsMax: number
}

/** Stamps that an address has when no rule asks for more, addresses in a list (ip_list_tot), and hits that may be asked for. */
const stampsDefault = 32
const entriesMax = 100
const hitcountMax = 65_535

const lists = new WeakMap<Namespace, Map<string, RecentList>>()

/** The list of a name and family; made when a rule names it. */
function listOf(ns: Namespace, family: 4 | 6, name: string): RecentList {
  const all = lists.get(ns) ?? new Map<string, RecentList>()
  lists.set(ns, all)
  const key = `${family}/${name}`
  const list = all.get(key) ?? { entries: new AddressMap<RecentEntry>(), stampsMax: stampsDefault }
  all.set(key, list)
  return list
}

interface RecentOptions {
  readonly action: 'set' | 'rcheck' | 'update' | 'remove'
  readonly inverted: boolean
  readonly name: string
  readonly mask: IpAddress
  readonly side: 'source' | 'destination'
  readonly seconds: number
  readonly hitcount: number
  readonly ttl: boolean
  readonly reap: boolean
}

function addressOf({ skb, l3, family }: ChainPacket, side: 'source' | 'destination'): IpAddress {
  if (family === 4) return readIpv4(skb.bytes, l3 + ipv4At[side])
  return readIpv6(skb.bytes, l3 + ipv6At[side])
}

/** In FORWARD and POSTROUTING the TTL is one lower than when the list was written in PREROUTING (recent_mt). */
function ttlOf(packet: ChainPacket): number {
  const forwarded =
    packet.out !== undefined && packet.skb.sk === undefined && packet.skb.kernelSocket === undefined
  return hopLimit(packet) + (forwarded ? 1 : 0)
}

/** Whether an entry is recent enough and was seen often enough. */
function isRecent(entry: RecentEntry, options: RecentOptions, now: number): boolean {
  const { seconds, hitcount } = options
  if (seconds === 0 && hitcount === 0) return true
  let hits = 0
  for (const stamp of entry.stamps) {
    if (seconds !== 0 && now - stamp > seconds * second) continue
    hits += 1
    if (hitcount === 0 || hits >= hitcount) return true
  }
  return false
}

/** recent_entry_update(): the entry is now the one seen last. */
function stamp(
  list: RecentList,
  address: IpAddress,
  entry: RecentEntry,
  seen: { readonly now: number; readonly ttl: number },
): void {
  entry.stamps.push(seen.now)
  if (entry.stamps.length > list.stampsMax) entry.stamps.shift()
  entry.ttl = seen.ttl
  list.entries.delete(address)
  list.entries.set(address, 0, entry)
}

/** recent_entry_init(): a full list forgets the address that was seen longest ago. */
function enter(
  list: RecentList,
  address: IpAddress,
  seen: { readonly now: number; readonly ttl: number },
): void {
  const [oldest] = list.entries.values()
  if (list.entries.size >= entriesMax && oldest !== undefined)
    list.entries.removeIf((each) => each === oldest)
  list.entries.set(address, 0, { stamps: [seen.now], ttl: seen.ttl })
}

/** recent_entry_reap(): the address seen longest ago goes when that is too long, unless it is just being seen. */
function reap(list: RecentList, since: number, updated: RecentEntry | undefined): void {
  const [oldest] = list.entries.values()
  if (oldest === undefined || oldest === updated) return
  if ((oldest.stamps.at(-1) ?? 0) < since) list.entries.removeIf((each) => each === oldest)
}

function matcherOf(options: RecentOptions, ns: Namespace, family: 4 | 6): Matcher {
  const list = listOf(ns, family, options.name)
  if (options.hitcount > list.stampsMax) {
    list.stampsMax = 2 ** Math.ceil(Math.log2(options.hitcount))
    list.entries.removeIf(() => true)
  }
  const { clock } = ns.machine
  return (packet) => {
    const address = maskAddress(addressOf(packet, options.side), options.mask)
    const seen = { now: clock.now, ttl: ttlOf(packet) }
    let entry = list.entries.get(address)
    if (entry !== undefined && options.ttl && entry.ttl !== seen.ttl) entry = undefined
    if (options.action === 'set') {
      if (entry === undefined) enter(list, address, seen)
      else stamp(list, address, entry, seen)
      return !options.inverted
    }
    if (entry === undefined) return options.inverted
    if (options.action === 'remove') {
      list.entries.delete(address)
      return !options.inverted
    }
    const found = isRecent(entry, options, seen.now) !== options.inverted
    const updates = options.action === 'update' && found
    if (options.reap) reap(list, seen.now - options.seconds * second, updates ? entry : undefined)
    if (updates) stamp(list, address, entry, seen)
    return found
  }
}

const actions = ['set', 'rcheck', 'update', 'remove'] as const

function readAction(given: readonly Given[], scope: RuleScope, word: Given['word']): Given | undefined {
  const found = given.filter(({ name }) => actions.some((action) => name === `--${action}`))
  if (found.length === 1) return found[0]
  return scope.report(word, '`-m recent` needs one of `--set`, `--rcheck`, `--update`, `--remove`')
}

function readCount(given: readonly Given[], name: string, scope: RuleScope): number | undefined {
  const option = find(given, name)
  return option === undefined ? 0 : read(option, scope, (text) => parseNumber(text), 'number')
}

function readOptions(
  given: readonly Given[],
  scope: RuleScope,
  word: Given['word'],
): RecentOptions | undefined {
  const action = readAction(given, scope, word)
  const seconds = readCount(given, '--seconds', scope)
  const hitcount = readCount(given, '--hitcount', scope)
  if (action === undefined || seconds === undefined || hitcount === undefined) return undefined
  const maskOption = find(given, '--mask')
  const mask =
    maskOption === undefined
      ? prefixMask(scope.family, scope.family === 4 ? 32 : 128)
      : read(maskOption, scope, (text) => parseMaskedAddress(text, scope.family)?.address, 'mask')
  if (mask === undefined) return undefined
  const name = find(given, '--name')
  return {
    action: actions.find((known) => action.name === `--${known}`) ?? 'set',
    inverted: action.inverted,
    name: name === undefined ? 'DEFAULT' : valueText(name),
    mask,
    side: find(given, '--rdest') === undefined ? 'source' : 'destination',
    seconds,
    hitcount,
    ttl: find(given, '--rttl') !== undefined,
    reap: find(given, '--reap') !== undefined,
  }
}

function textOf(options: RecentOptions): string {
  let text = `${bang(options.inverted)}--${options.action}`
  if (options.seconds !== 0) text += ` --seconds ${options.seconds}`
  if (options.reap) text += ' --reap'
  if (options.hitcount !== 0) text += ` --hitcount ${options.hitcount}`
  if (options.ttl) text += ' --rttl'
  text += ` --name ${options.name} --mask ${formatIp(options.mask)}`
  return `${text} ${options.side === 'source' ? '--rsource' : '--rdest'}`
}

const recent: MatchKind = {
  name: 'recent',
  options: [
    ...actions.map((action) => ({ names: [`--${action}`], values: 0, negatable: true }) as const),
    withValue('--seconds'),
    withValue('--hitcount'),
    flag('--rttl'),
    flag('--reap'),
    withValue('--name'),
    withValue('--mask'),
    flag('--rsource'),
    flag('--rdest'),
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    const options = readOptions(given, scope, word)
    if (options === undefined) return undefined
    const counts = options.seconds !== 0 || options.hitcount !== 0
    if (counts && (options.action === 'set' || options.action === 'remove')) {
      return scope.report(word, '`--seconds` and `--hitcount` go with `--rcheck` or `--update`')
    }
    if (options.hitcount > hitcountMax) return scope.report(word, `\`--hitcount\` is at most ${hitcountMax}`)
    if (find(given, '--seconds') !== undefined && options.seconds === 0)
      return scope.report(word, '`--seconds` must be above 0')
    if (options.reap && options.seconds === 0) return scope.report(word, '`--reap` needs `--seconds`')
    if (options.ttl && (options.action === 'set' || options.action === 'remove'))
      return scope.report(word, '`--rttl` goes with `--rcheck` or `--update`')
    if (options.name === '' || options.name.includes('/'))
      return scope.report(word, 'the name of a list is the name of a file in /proc: it has no `/`')
    return { text: textOf(options), bind: ({ ns, family }) => matcherOf(options, ns, family) }
  },
}

/** The match on recently seen addresses. */
export const recentMatches: readonly MatchKind[] = [recent]
