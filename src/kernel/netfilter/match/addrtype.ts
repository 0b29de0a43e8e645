// What routing says of a packet's addresses: xt_addrtype.c. For IPv4 table local alone is asked; IPv6 has few types, and an
// address may be of several.
import { didYouMean } from '../../../base/closest.ts'
import {
  anyIpv6,
  type IpAddress,
  type Ipv4,
  type Ipv6,
  isIpv4,
  isMulticast,
  isUnspecified,
  readIpv4,
  readIpv6,
  sameIp,
} from '../../../net/address.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import type { NetDevice } from '../../device/device.ts'
import { routeScope } from '../../ip/route.ts'
import { addressesOf, addressType } from '../../ip/source.ts'
import { route6Output } from '../../ip6/output-route.ts'
import type { Namespace } from '../../namespace.ts'
import type { ChainPacket, Given, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { bang } from '../values.ts'
import { find, flag, negatable, valueText } from './given.ts'

const typeNames = [
  'UNSPEC',
  'UNICAST',
  'LOCAL',
  'BROADCAST',
  'ANYCAST',
  'MULTICAST',
  'BLACKHOLE',
  'UNREACHABLE',
  'PROHIBIT',
  'THROW',
  'NAT',
  'XRESOLVE',
] as const

function addressAt({ skb, l3, family }: ChainPacket, side: 'source' | 'destination'): IpAddress {
  if (family === 4) return readIpv4(skb.bytes, l3 + ipv4At[side])
  return readIpv6(skb.bytes, l3 + ipv6At[side])
}

/** match_lookup_rt6(): what the route to an address says of it; with a device, only what that device has is local. */
function routeTypes(ns: Namespace, address: Ipv6, dev: NetDevice | undefined): readonly string[] {
  const types: string[] = []
  if (dev !== undefined && addressesOf(dev, 6).some((own) => sameIp(own.address, address)))
    types.push('LOCAL')
  const answer = route6Output(ns, {
    family: 6,
    destination: address,
    source: anyIpv6,
    oif: dev?.ifindex ?? 0,
    iif: 1,
    mark: 0,
    tos: 0,
    protocol: 0,
    sport: 0,
    dport: 0,
    scope: routeScope.universe,
  })
  if (answer.kind === 'error') return ['UNREACHABLE']
  if (dev === undefined && answer.route.local) types.push('LOCAL')
  return types
}

/** match_type6(): classes of the address must all hold; of what its route says one is enough. */
function fits6(ns: Namespace, address: Ipv6, dev: NetDevice | undefined, names: readonly string[]): boolean {
  const multicast = isMulticast(address)
  // ipv6_addr_type(): an IPv4-mapped address (::ffff:0:0/96) is no unicast address
  const mapped = address[0] === 0 && address[1] === 0 && address[2] === 0xffff
  if (names.includes('MULTICAST') && !multicast) return false
  if (names.includes('UNICAST') && (multicast || mapped || isUnspecified(address))) return false
  if (names.includes('UNSPEC') && !isUnspecified(address)) return false
  const asked = names.filter((name) => name === 'LOCAL' || name === 'ANYCAST' || name === 'UNREACHABLE')
  if (asked.length === 0) return true
  const said = routeTypes(ns, address, dev)
  return asked.some((name) => said.includes(name))
}

/** match_type(): the type that table local knows, UNICAST for every other address. */
function fits4(ns: Namespace, address: Ipv4, dev: NetDevice | undefined, names: readonly string[]): boolean {
  return names.includes(addressType(ns, address, dev).toUpperCase())
}

interface TypeTest {
  readonly names: readonly string[]
  readonly inverted: boolean
}

function readTypes(given: readonly Given[], name: string, scope: RuleScope): TypeTest | undefined | 'wrong' {
  const option = find(given, name)
  if (option === undefined) return undefined
  const wanted = valueText(option).toUpperCase().split(',')
  const unknown = wanted.find((word) => !(typeNames as readonly string[]).includes(word))
  if (unknown !== undefined) {
    scope.report(
      option.values[0] ?? option.word,
      `there is no address type \`${unknown}\``,
      didYouMean(unknown, typeNames),
    )
    return 'wrong'
  }
  return { names: typeNames.filter((type) => wanted.includes(type)), inverted: option.inverted }
}

function typesText(name: string, test: TypeTest | undefined): string {
  return test === undefined ? '' : ` ${bang(test.inverted)}${name} ${test.names.join(',')}`
}

const notInIpv6 = ['BROADCAST', 'BLACKHOLE', 'PROHIBIT', 'THROW', 'NAT', 'XRESOLVE']

/** addrtype_mt_checkentry_v1(): routes of IPv6 have fewer types. */
function knownToIpv6(given: readonly Given[], scope: RuleScope): boolean {
  for (const option of given) {
    const types = valueText(option).toUpperCase().split(',')
    const wrong = types.find((type) => notInIpv6.includes(type))
    if (wrong === undefined) continue
    scope.report(option.values[0] ?? option.word, `IPv6 has no address type \`${wrong}\``)
    return false
  }
  return true
}

const addrtype: MatchKind = {
  name: 'addrtype',
  options: [
    negatable('--src-type'),
    negatable('--dst-type'),
    flag('--limit-iface-in'),
    flag('--limit-iface-out'),
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    const source = readTypes(given, '--src-type', scope)
    const destination = readTypes(given, '--dst-type', scope)
    if (source === 'wrong' || destination === 'wrong') return undefined
    if (source === undefined && destination === undefined) {
      return scope.report(word, '`-m addrtype` needs `--src-type` or `--dst-type`')
    }
    const limitIn = find(given, '--limit-iface-in') !== undefined
    const limitOut = find(given, '--limit-iface-out') !== undefined
    if (limitIn && limitOut)
      return scope.report(word, '`--limit-iface-in` and `--limit-iface-out` exclude each other')
    if (scope.family === 6 && !knownToIpv6(given, scope)) return undefined
    let text = typesText('--src-type', source) + typesText('--dst-type', destination)
    if (limitIn) text += ' --limit-iface-in'
    if (limitOut) text += ' --limit-iface-out'
    const fits = (
      packet: ChainPacket,
      side: 'source' | 'destination',
      test: TypeTest | undefined,
    ): boolean => {
      if (test === undefined) return true
      const dev = limitIn ? packet.in : limitOut ? packet.out : undefined
      const address = addressAt(packet, side)
      const { ns } = packet
      const found = isIpv4(address)
        ? fits4(ns, address, dev, test.names)
        : fits6(ns, address, dev, test.names)
      return found !== test.inverted
    }
    const standing = limitIn
      ? ({ what: '`--limit-iface-in`', hooks: ['PREROUTING', 'INPUT', 'FORWARD'] } as const)
      : ({ what: '`--limit-iface-out`', hooks: ['FORWARD', 'OUTPUT', 'POSTROUTING'] } as const)
    return {
      text: text.trimStart(),
      ...(limitIn || limitOut ? { standing } : {}),
      bind: () => (packet) => fits(packet, 'source', source) && fits(packet, 'destination', destination),
    }
  },
}

/** The match on types of addresses. */
export const addressTypeMatches: readonly MatchKind[] = [addrtype]
