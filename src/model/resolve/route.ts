// Routes, as `ip route` would take them.

import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { IpAddress } from '../../net/address.ts'
import { anyIpv4, anyIpv6, isIpv4, isLinkLocal, sameIp } from '../../net/address.ts'
import { covers, networkOf, type Prefix, parsePrefix, prefixOf } from '../../net/prefix.ts'
import type { Option, Route, RouteOptionName, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { NexthopModel, RouteModel } from '../model.ts'
import { addressIn, prefixIn } from '../words/addresses.ts'
import { integerOf, numberIn, ranges } from '../words/numbers.ts'
import { isSet, optionOf, optionValue } from '../words/options.ts'
import type { HostDraft } from '../world/entities.ts'
import { deviceNamed, type Scope } from './scope.ts'
import { optionsNotYet } from './unavailable.ts'

/** Names of /etc/iproute2/rt_tables. */
export const tables: Readonly<Record<string, number>> = { main: 254, local: 255, default: 253 }
/** Names of /etc/iproute2/rt_protos. */
const origins: Readonly<Record<string, number>> = {
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  ra: 9,
  zebra: 11,
  bird: 12,
  dhcp: 16,
  bgp: 186,
  ospf: 188,
}
/** Names of /etc/iproute2/rt_scopes. */
const scopes: Readonly<Record<string, number>> = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 }

/** A number, or a name of one; any other word is reported. */
export function named(
  word: Word,
  names: Readonly<Record<string, number>>,
  what: string,
  report: Report,
): number | undefined {
  const known = Object.hasOwn(names, word.text) ? names[word.text] : integerOf(word.text)
  if (known !== undefined && known >= 0 && known <= 0xffff_ffff) return known
  const hint = didYouMean(word.text, Object.keys(names)) ?? `a number, or ${Object.keys(names).join(', ')}`
  report(mistakeIn('S103', word, `no ${what} is called \`${word.text}\``, { hint }))
  return undefined
}

/**
 * One route. IPv6 routes have metric 1024 unless one is given (IP6_RT_PRIO_USER), IPv4 routes 0. A route that is to be
 * deleted needs no next hop: `ip route del` takes the first that fits what is said.
 */
export function readRoute(
  item: Route,
  host: HostDraft,
  scope: Scope,
  purpose: 'add' | 'del' = 'add',
): RouteModel | undefined {
  const { report } = scope
  optionsNotYet(item.options, ['advmss', 'encap'], report)
  legsAreLegs(item, report)
  const via = optionValue(item.options, 'via')
  const gateway = via === undefined ? undefined : addressIn(via, report)
  const source = optional(item.options, 'src', (word) => addressIn(word, report))
  const prefix = targetOf(item, gateway ?? source, report)
  const table = optional(item.options, 'table', (word) => named(word, tables, 'table', report))
  const level = optional(item.options, 'scope', (word) => named(word, scopes, 'scope', report))
  const metric = optional(item.options, 'metric', (word) => numberIn(word, ranges.u32, report))
  const mtu = optional(item.options, 'mtu', (word) => numberIn(word, ranges.mtu, report))
  const tos = optional(item.options, 'tos', (word) => numberIn(word, ranges.u8, report))
  const protocol = optional(item.options, 'proto', (word) => named(word, origins, 'route protocol', report))
  const nexthops = readNexthops(item, host, scope)
  if (prefix === undefined || nexthops === undefined) return undefined
  ofOneFamily(item, prefix, report)
  const needsHop = !leadsNowhere(item.type)
  if (
    purpose === 'add' &&
    needsHop &&
    nexthops.every((hop) => hop.via === undefined && hop.device === undefined)
  ) {
    report(
      mistake('S126', item.span, 'this route leads nowhere', {
        hint: 'it needs `via ADDRESS` or `dev DEVICE`',
      }),
    )
  }
  return {
    type: item.type,
    prefix,
    table: table ?? (item.type === 'local' || item.type === 'broadcast' ? 255 : 254),
    metric: metric ?? (isIpv4(prefix.address) || purpose === 'del' ? 0 : 1024),
    tos: tos ?? 0,
    nexthops: needsHop ? nexthops : [],
    span: item.span,
    ...(level === undefined ? {} : { scope: level }),
    ...(source === undefined ? {} : { source }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(protocol === undefined ? {} : { protocol }),
  }
}

const legOptions: readonly RouteOptionName[] = ['via', 'dev', 'weight', 'onlink', 'encap']

/** What a leg has of its own, and that a route which leads nowhere has no next hop. */
function legsAreLegs(item: Route, report: Report): void {
  for (const leg of item.nexthops) {
    optionsNotYet(leg.options, ['encap'], report)
    for (const option of leg.options) {
      if (legOptions.includes(option.name)) continue
      const hint = 'write it in front of the first `nexthop`'
      report(mistake('S126', option.span, `a next hop has no \`${option.name}\` of its own`, { hint }))
    }
  }
  const hops = item.options.filter(({ name }) => name === 'via' || name === 'dev' || name === 'onlink')
  const [extra] = leadsNowhere(item.type) ? [...hops, ...item.nexthops] : item.nexthops.length > 0 ? hops : []
  if (extra === undefined) return
  const message = leadsNowhere(item.type)
    ? `a ${item.type} route has no next hop`
    : 'this next hop stands beside others'
  report(mistake('S126', extra.span, message, { hint: 'the kernel refuses such a route (EINVAL)' }))
}

function leadsNowhere(type: Route['type']): boolean {
  return type !== 'unicast' && type !== 'local' && type !== 'broadcast'
}

/** `ip route` reads every address of a route as one of the target's family. */
function ofOneFamily(item: Route, { address }: Prefix, report: Report): void {
  const four = isIpv4(address)
  for (const options of [item.options, ...item.nexthops.map((leg) => leg.options)]) {
    for (const name of ['via', 'src'] as const) {
      const word = optionValue(options, name)
      const own = word === undefined ? undefined : addressIn(word, () => {})
      if (word === undefined || own === undefined || isIpv4(own) === four) continue
      const hint = four ? 'the route is one of IPv4' : 'the route is one of IPv6'
      report(mistakeIn('S126', word, `\`${word.text}\` is of the other family`, { hint }))
    }
  }
}

/** `default` is of the family of the first address that follows: the gateway's, the source's, that of the first next hop. */
function targetOf(item: Route, beside: IpAddress | undefined, report: Report): Prefix | undefined {
  if (item.target.text === 'default') {
    const first = item.nexthops[0]?.options ?? []
    const via = beside ?? parsePrefix(`${optionValue(first, 'via')?.text ?? ''}/0`)?.address
    return via !== undefined && !isIpv4(via) ? prefixOf(anyIpv6, 0) : prefixOf(anyIpv4, 0)
  }
  const prefix = prefixIn(item.target, report)
  if (prefix === undefined) return undefined
  const network = networkOf(prefix)
  if (item.target.text.includes('/') && !sameAddress(network.address, prefix.address)) {
    report(
      mistakeIn('S104', item.target, `\`${item.target.text}\` has bits set behind its length`, {
        hint: 'the kernel refuses such a route; clear the host bits',
      }),
    )
  }
  return network
}

function sameAddress(left: IpAddress, right: IpAddress): boolean {
  return isIpv4(left) ? left === right : !isIpv4(right) && left.every((word, i) => word === right[i])
}

/** The value of an option, if it was given. */
export function optional<Name extends string, T>(
  options: readonly Option<Name>[],
  name: Name,
  read: (word: Word) => T | undefined,
): T | undefined {
  const word = optionValue(options, name)
  return word === undefined ? undefined : read(word)
}

function readNexthops(item: Route, host: HostDraft, scope: Scope): readonly NexthopModel[] | undefined {
  const legs = item.nexthops.length === 0 ? [item.options] : item.nexthops.map((leg) => leg.options)
  const hops = legs.map((options) => readNexthop(options, host, scope))
  const good = hops.filter((hop) => hop !== undefined)
  return good.length === hops.length ? good : undefined
}

function readNexthop(
  options: readonly Option<RouteOptionName>[],
  host: HostDraft,
  scope: Scope,
): NexthopModel | undefined {
  const { report } = scope
  const word = optionValue(options, 'via')
  const deviceWord = optionValue(options, 'dev')
  const weight = optional(options, 'weight', (each) => numberIn(each, ranges.weight, report)) ?? 1
  const via = word === undefined ? undefined : addressIn(word, report)
  const device = deviceWord === undefined ? undefined : deviceNamed(deviceWord, host, scope)
  if (word !== undefined && via === undefined) return undefined
  if (deviceWord !== undefined && device === undefined) return undefined
  const onlink = isSet(options, 'onlink')
  const out = deviceWord?.text
  if (via === undefined || word === undefined)
    return { weight, onlink, ...(out === undefined ? {} : { device: out }) }
  if ((onlink || !isIpv4(via)) && isOwn(via, host)) {
    report(
      mistakeIn('S126', word, `\`${word.text}\` is an address of \`${host.name}\` itself`, {
        hint: 'an IPv6 gateway, and one with `onlink`, is somebody else: `ip route` answers EINVAL',
      }),
    )
    return undefined
  }
  const way = onlink && out !== undefined ? out : wayTo(via, out, host)
  if (way === undefined) {
    report(
      mistakeIn('S126', word, `\`${word.text}\` is not on-link`, {
        hint: `no address of \`${host.name}${out === undefined ? '' : `/${out}`}\` shares a subnet with it`,
        notes: [{ message: 'a route to it with `dev DEVICE`, or the word `onlink`, makes it reachable' }],
      }),
    )
    return undefined
  }
  return { via, weight, onlink, device: way }
}

/**
 * IPv6 refuses a gateway that is a local address (ip6_route_check_nh), IPv4 one with `onlink`. Without it IPv4
 * takes an address of the route's device and asks for the destination itself there (fib_check_nh_v4_gw: a next
 * hop of host scope).
 */
function isOwn(via: IpAddress, host: HostDraft): boolean {
  return [...host.devices.values()].some(({ addresses }) =>
    addresses.some(({ prefix }) => sameIp(prefix.address, via)),
  )
}

/** The device behind which a gateway is on-link: a connected subnet, or a route without a gateway (fib_check_nh). */
function wayTo(via: IpAddress, wanted: string | undefined, host: HostDraft): string | undefined {
  if (isLinkLocal(via) && wanted !== undefined) return wanted
  let best: string | undefined
  let length = -1
  for (const device of host.devices.values()) {
    for (const { prefix } of device.addresses) {
      if (wanted !== undefined && wanted !== device.name) continue
      if (prefix.length > length && covers(prefix, via)) [best, length] = [device.name, prefix.length]
    }
  }
  if (best !== undefined) return best
  for (const item of host.items) {
    if (item.kind !== 'route' || optionOf(item.options, 'via') !== undefined) continue
    const out = optionValue(item.options, 'dev')?.text
    const prefix = parsePrefix(
      item.target.text.includes('/') ? item.target.text : `${item.target.text}/${isIpv4(via) ? 32 : 128}`,
    )
    if (out === undefined || prefix === undefined || !covers(prefix, via)) continue
    if (wanted === undefined || wanted === out) return out
  }
  return undefined
}
