// Reverse path filter as a match: ipt_rpfilter.c, ip6t_rpfilter.c. Unlike the sysctl it sees every packet at PREROUTING.
import {
  anyIpv4,
  anyIpv6,
  broadcastIpv4,
  type Ipv4,
  type Ipv6,
  isLinkLocal,
  isMulticast,
  isUnspecified,
  readIpv4,
  readIpv6,
} from '../../../net/address.ts'
import { readU8 } from '../../../net/bytes.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import { isLookupError, lookupRoute } from '../../ip/lookup.ts'
import { type Flow, routeScope } from '../../ip/route.ts'
import { plainFlow } from '../../ip/source.ts'
import { pktType } from '../../skb.ts'
import type { ChainPacket, MatchKind, MatchSpec } from '../extension.ts'
import { find, flag } from './given.ts'

interface Options {
  readonly loose: boolean
  readonly acceptLocal: boolean
  readonly useMark: boolean
}

/** rpfilter_lookup_reverse(): a route back to the source, by the device of arrival unless `loose`. */
function hasRouteBack(packet: ChainPacket, flow: Flow, { loose, acceptLocal }: Options): boolean {
  const found = lookupRoute(packet.ns, flow)
  if (isLookupError(found)) return false
  const { type, nextHops } = found.route
  if (flow.family === 6 && type === 'local') return acceptLocal
  if (type !== 'unicast' && !(type === 'local' && acceptLocal)) return false
  return loose || nextHops.some(({ device }) => device === packet.in)
}

/** 224.0.0.0/24. */
function isLocalMulticast(address: Ipv4): boolean {
  return address >>> 8 === 0xe0_0000
}

function passes4(packet: ChainPacket, options: Options): boolean {
  const { bytes, mark } = packet.skb
  const source = readIpv4(bytes, packet.l3 + ipv4At.source)
  const destination = readIpv4(bytes, packet.l3 + ipv4At.destination)
  if (source === 0 && (destination === broadcastIpv4 || isLocalMulticast(destination))) return true
  const group = isMulticast(destination) || destination === broadcastIpv4
  const flow = {
    ...plainFlow(source),
    source: group ? anyIpv4 : destination,
    mark: options.useMark ? mark : 0,
    tos: readU8(bytes, packet.l3 + ipv4At.tos) & 0xfc,
  }
  return hasRouteBack(packet, flow, options)
}

function isUnicast(address: Ipv6): boolean {
  return !isMulticast(address) && !isUnspecified(address)
}

/** A source that no packet can be sent to passes: the forward path drops it. */
function passes6(packet: ChainPacket, options: Options): boolean {
  const { bytes, mark } = packet.skb
  const source = readIpv6(bytes, packet.l3 + ipv6At.source)
  if (isUnspecified(source)) return true
  const destination = readIpv6(bytes, packet.l3 + ipv6At.destination)
  const flow: Flow = {
    family: 6,
    destination: source,
    source: isUnicast(destination) ? destination : anyIpv6,
    oif: isLinkLocal(source) ? (packet.in?.ifindex ?? 0) : 0,
    iif: 1,
    mark: options.useMark ? mark : 0,
    tos: 0,
    protocol: readU8(bytes, packet.l3 + ipv6At.nextHeader),
    sport: 0,
    dport: 0,
    scope: routeScope.universe,
  }
  return hasRouteBack(packet, flow, options)
}

/** rpfilter_is_loopback(). */
function isLooped({ skb, in: input }: ChainPacket): boolean {
  return skb.pktType === pktType.loopback || input?.kind === 'loopback'
}

const rpfilter: MatchKind = {
  name: 'rpfilter',
  tables: ['raw', 'mangle'],
  hooks: ['PREROUTING'],
  options: [flag('--loose'), flag('--validmark'), flag('--accept-local'), flag('--invert')],
  read: (given, scope): MatchSpec => {
    const has = (name: string): boolean => find(given, name) !== undefined
    const options = { loose: has('--loose'), acceptLocal: has('--accept-local'), useMark: has('--validmark') }
    const invert = has('--invert')
    const order = ['--loose', '--validmark', '--accept-local', '--invert']
    const passes = scope.family === 4 ? passes4 : passes6
    return {
      text: order.filter(has).join(' '),
      bind: () => (packet) => (isLooped(packet) || passes(packet, options)) !== invert,
    }
  },
}

/** The match on the way back. */
export const reversePathMatches: readonly MatchKind[] = [rpfilter]
