// What the namespace says of a packet's addresses and devices: xt_addrtype.c, xt_physdev.c, ipt_rpfilter.c, xt_owner.c.

import { didYouMean } from '../../../base/closest.ts'
import {
  type IpAddress,
  type Ipv4,
  isIpv4,
  isMulticast,
  isUnspecified,
  readIpv4,
  readIpv6,
} from '../../../net/address.ts'
import { readU8 } from '../../../net/bytes.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import type { NetDevice } from '../../device/device.ts'
import { isLookupError, lookupRoute } from '../../ip/lookup.ts'
import { routeScope } from '../../ip/route.ts'
import { addressesOf, addressType, isOwnAddress, plainFlow } from '../../ip/source.ts'
import type { Namespace } from '../../namespace.ts'
import type { ChainPacket, Given, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { type DeviceName, deviceMatches } from '../header-match.ts'
import { bang, parseNumber } from '../values.ts'
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

/** inet_dev_addr_type(): with a device, only what that device has is local. */
function typeOf4(ns: Namespace, address: Ipv4, dev: NetDevice | undefined): string {
  const type = addressType(ns, address)
  if (dev === undefined || type !== 'local') return type.toUpperCase()
  return addressesOf(dev, 4).some((own) => own.address === address) ? 'LOCAL' : 'UNICAST'
}

function typeOf6(ns: Namespace, address: IpAddress, dev: NetDevice | undefined): string {
  if (isUnspecified(address)) return 'UNSPEC'
  if (isMulticast(address)) return 'MULTICAST'
  const own =
    dev === undefined
      ? isOwnAddress(ns, address)
      : addressesOf(dev, 6).some((one) => String(one.address) === String(address))
  return own ? 'LOCAL' : 'UNICAST'
}

function addressAt({ skb, l3, family }: ChainPacket, side: 'source' | 'destination'): IpAddress {
  if (family === 4) return readIpv4(skb.bytes, l3 + ipv4At[side])
  return readIpv6(skb.bytes, l3 + ipv6At[side])
}

/** The type of an address as addrtype names it. */
function addressTypeOf(
  packet: ChainPacket,
  side: 'source' | 'destination',
  dev: NetDevice | undefined,
): string {
  const address = addressAt(packet, side)
  return isIpv4(address) ? typeOf4(packet.ns, address, dev) : typeOf6(packet.ns, address, dev)
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
      return test.names.includes(addressTypeOf(packet, side, dev)) !== test.inverted
    }
    return {
      text: text.trimStart(),
      bind: () => (packet) => fits(packet, 'source', source) && fits(packet, 'destination', destination),
    }
  },
}

/** Bridge ports of a bridged packet; other packets have none. */
export interface BridgePorts {
  readonly in: NetDevice | undefined
  readonly out: NetDevice | undefined
}

function deviceName(text: string): DeviceName {
  const prefix = text.endsWith('+')
  return { name: prefix ? text.slice(0, -1) : text, prefix }
}

const physdev: MatchKind = {
  name: 'physdev',
  options: [
    negatable('--physdev-in'),
    negatable('--physdev-out'),
    { names: ['--physdev-is-in'], values: 0, negatable: true },
    { names: ['--physdev-is-out'], values: 0, negatable: true },
    { names: ['--physdev-is-bridged'], values: 0, negatable: true },
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    if (given.length === 0) return scope.report(word, '`-m physdev` needs an option')
    const order = [
      '--physdev-is-in',
      '--physdev-in',
      '--physdev-is-out',
      '--physdev-out',
      '--physdev-is-bridged',
    ]
    const sorted = order.flatMap((name) => find(given, name) ?? [])
    const text = sorted.map(
      ({ name, inverted, values }) =>
        `${bang(inverted)}${name}${values.length > 0 ? ` ${valueText({ name, inverted, values, word })}` : ''}`,
    )
    const tests = sorted.map((option) => {
      const wanted = deviceName(valueText(option))
      return (ports: BridgePorts): boolean => {
        switch (option.name) {
          case '--physdev-in':
            return deviceMatches(ports.in?.name ?? '', wanted) !== option.inverted
          case '--physdev-out':
            return deviceMatches(ports.out?.name ?? '', wanted) !== option.inverted
          case '--physdev-is-in':
            return (ports.in !== undefined) !== option.inverted
          case '--physdev-is-out':
            return (ports.out !== undefined) !== option.inverted
          default:
            return (ports.in !== undefined && ports.out !== undefined) !== option.inverted
        }
      }
    })
    return {
      text: text.join(' '),
      bind: () => (packet) => {
        const { bridged } = packet.skb
        const ports = { in: bridged?.physIn, out: bridged?.physOut }
        return tests.every((test) => test(ports))
      },
    }
  },
}

/** rpfilter_lookup_reverse(): a route back to the source, by this device unless `loose`. */
function hasRouteBack(
  packet: ChainPacket,
  options: { readonly loose: boolean; readonly acceptLocal: boolean; readonly useMark: boolean },
): boolean {
  const { ns, skb, l3 } = packet
  if (packet.in?.kind === 'loopback') return true
  const source = addressAt(packet, 'source')
  if (!isIpv4(source) || source === 0) return !isIpv4(source) || isMulticast(addressAt(packet, 'destination'))
  const flow = {
    ...plainFlow(source),
    source: readIpv4(skb.bytes, l3 + ipv4At.destination),
    mark: options.useMark ? skb.mark : 0,
    tos: readU8(skb.bytes, l3 + ipv4At.tos) & 0xfc,
    scope: routeScope.universe,
    iif: 1,
  }
  const found = lookupRoute(ns, flow)
  if (isLookupError(found)) return false
  const { type, nextHops } = found.route
  if (type !== 'unicast' && !(type === 'local' && options.acceptLocal)) return false
  return options.loose || nextHops.some(({ device }) => device === packet.in)
}

const rpfilter: MatchKind = {
  name: 'rpfilter',
  options: [flag('--loose'), flag('--validmark'), flag('--accept-local'), flag('--invert')],
  read: (given): MatchSpec => {
    const has = (name: string): boolean => find(given, name) !== undefined
    const options = { loose: has('--loose'), acceptLocal: has('--accept-local'), useMark: has('--validmark') }
    const invert = has('--invert')
    const order = ['--loose', '--validmark', '--accept-local', '--invert']
    return {
      text: order.filter(has).join(' '),
      bind: () => (packet) => hasRouteBack(packet, options) !== invert,
    }
  },
}

const owner: MatchKind = {
  name: 'owner',
  options: [
    negatable('--uid-owner'),
    negatable('--gid-owner'),
    { names: ['--socket-exists'], values: 0, negatable: true },
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    if (given.length === 0) return scope.report(word, '`-m owner` needs an option')
    const wrong = given.find(
      ({ values }) =>
        values[0] !== undefined && parseNumber(values[0].text.split('-')[0] ?? '') === undefined,
    )
    if (wrong !== undefined)
      return scope.report(wrong.values[0] ?? word, 'users and groups are given by number')
    const text = given.map(
      (option) =>
        `${bang(option.inverted)}${option.name}${option.values.length > 0 ? ` ${valueText(option)}` : ''}`,
    )
    // every socket of a scenario belongs to root (uid and gid 0)
    const inRange = (value: string): boolean => Number(value.split('-')[0]) === 0
    return {
      text: text.join(' '),
      bind:
        () =>
        ({ skb }) => {
          const socket = skb.sk
          return given.every(({ name, inverted, values }) => {
            if (name === '--socket-exists') return (socket !== undefined) !== inverted
            return socket !== undefined && inRange(values[0]?.text ?? '') !== inverted
          })
        },
    }
  },
}

/** Matches on what the namespace knows. */
export const placeMatches: readonly MatchKind[] = [addrtype, physdev, rpfilter, owner]
