// IPv4 options on their way through a host: net/ipv4/ip_options.c __ip_options_compile(), ip_forward_options(),
// __ip_options_echo(). What enters is a header that may hold anything; what leaves is where its options stand, and a
// header with this host written into them. Source routes are refused, as by default (accept_source_route is off).
// Before changing this file, read RFC 791 section 3.1 and RFC 1812 section 5.2.4.
import { type Ipv4, readIpv4, writeIpv4 } from '../../net/address.ts'
import { readU8, writeU8, writeU32 } from '../../net/bytes.ts'
import { ipv4At, ipv4HeaderLength, writeIpv4Checksum } from '../../net/ipv4.ts'
import { ipv4OptionType } from '../../net/ipv4-options.ts'
import { millisecond } from '../clock.ts'
import type { Skb } from '../skb.ts'
import { isLookupError, lookupRoute } from './lookup.ts'
import type { Route } from './route.ts'
import { addressType, plainFlow, selectAddress, sourceForRoute, specificDestination } from './source.ts'

const timestampOption = 68
const looseSourceRoute = 131
const strictSourceRoute = 137
const cipso = 134
/** Low bits of a timestamp's fourth byte: times only, addresses with times, times of the addresses that are named. */
const stampKind = { timeOnly: 0, withAddress: 1, prespecified: 3 } as const

/** struct ip_options: where the options of a header stand (offsets from its start, 0 for none), what they still need. */
export interface IpOptions {
  recordRoute: number
  /** A router on the way out puts its address over the one that was written on the way in. */
  recordNeedsAddress: boolean
  timestamp: number
  sourceRoute: number
  cipso: number
  /** Something was written: the checksum of the header is made anew when the packet is sent on. */
  changed: boolean
}

/** Whether the header at `l3` has options at all. */
export function hasOptions(bytes: Uint8Array, l3: number): boolean {
  return ipv4HeaderLength(bytes, l3) > ipv4At.options
}

/** One option: where it stands, and its length. */
interface Place {
  readonly at: number
  readonly length: number
}

/** Everything that `compile` knows while it walks. */
interface Walk {
  readonly skb: Skb
  readonly options: IpOptions
}

/** What an option's reader answers: the offset of a byte that is wrong, or undefined. */
type Wrong = number | undefined

/**
 * ip_options_compile(): walks the options of a routed packet and writes this host into them. Answers them, or the offset
 * in the header of the first byte that is wrong, as an ICMP parameter problem tells it; `skb.options` is set either way.
 */
export function compileOptions(skb: Skb): number | undefined {
  const { bytes, networkHeader: l3 } = skb
  const options: IpOptions = {
    recordRoute: 0,
    recordNeedsAddress: false,
    timestamp: 0,
    sourceRoute: 0,
    cipso: 0,
    changed: false,
  }
  skb.options = options
  const end = l3 + ipv4HeaderLength(bytes, l3)
  for (let at = l3 + ipv4At.options; at < end; ) {
    const type = readU8(bytes, at)
    if (type === ipv4OptionType.end) {
      clearBehind(skb, at + 1, end)
      return undefined
    }
    if (type === ipv4OptionType.nop) {
      at += 1
      continue
    }
    const length = at + 1 < end ? readU8(bytes, at + 1) : 0
    if (length < 2 || length > end - at) return at - l3
    const wrong = readOption({ skb, options }, type, { at, length })
    if (wrong !== undefined) return wrong - l3
    at += length
  }
  return undefined
}

/** What stands behind the end of the options is zero from now on. */
function clearBehind(skb: Skb, from: number, end: number): void {
  for (let at = from; at < end; at += 1) {
    if (readU8(skb.bytes, at) === 0) continue
    writeU8(skb.bytes, at, 0)
    if (skb.options !== undefined) skb.options.changed = true
  }
}

function readOption(walk: Walk, type: number, place: Place): Wrong {
  switch (type) {
    case looseSourceRoute:
    case strictSourceRoute:
      return readSourceRoute(walk, place)
    case ipv4OptionType.recordRoute:
      return readRecordRoute(walk, place)
    case timestampOption:
      return readTimestamp(walk, place)
    case ipv4OptionType.routerAlert:
      return place.length < 4 ? place.at + 1 : undefined
    case cipso:
      return readCipso(walk, place)
    default:
      return undefined
  }
}

function readSourceRoute({ skb, options }: Walk, { at, length }: Place): Wrong {
  if (length < 3) return at + 1
  if (readU8(skb.bytes, at + 2) < 4) return at + 2
  if (options.sourceRoute !== 0) return at
  options.sourceRoute = at - skb.networkHeader
  return undefined
}

function readRecordRoute({ skb, options }: Walk, { at, length }: Place): Wrong {
  if (options.recordRoute !== 0) return at
  if (length < 3) return at + 1
  const pointer = readU8(skb.bytes, at + 2)
  if (pointer < 4) return at + 2
  if (pointer <= length) {
    if (pointer + 3 > length) return at + 2
    writeIpv4(skb.bytes, at + pointer - 1, specificDestination(skb))
    writeU8(skb.bytes, at + 2, pointer + 4)
    options.changed = true
    options.recordNeedsAddress = true
  }
  options.recordRoute = at - skb.networkHeader
  return undefined
}

function readTimestamp({ skb, options }: Walk, { at, length }: Place): Wrong {
  const { bytes } = skb
  if (options.timestamp !== 0) return at
  if (length < 4) return at + 1
  const pointer = readU8(bytes, at + 2)
  if (pointer < 5) return at + 2
  const kind = readU8(bytes, at + 3) & 15
  if (pointer <= length) {
    const size = kind === stampKind.timeOnly ? 4 : 8
    const known =
      kind === stampKind.timeOnly || kind === stampKind.withAddress || kind === stampKind.prespecified
    if (pointer + 3 > length || (known && pointer + size - 1 > length)) return at + 2
    if (known) stamp(skb, kind, at, pointer)
  } else if (kind !== stampKind.prespecified) {
    const overflow = readU8(bytes, at + 3) >>> 4
    if (overflow === 15) return at + 3
    writeU8(bytes, at + 3, kind | ((overflow + 1) << 4))
    options.changed = true
  }
  options.timestamp = at - skb.networkHeader
  return undefined
}

/** inet_current_timestamp(): milliseconds since midnight; the virtual clock begins with a day. */
function stamp(skb: Skb, kind: number, at: number, pointer: number): void {
  const { bytes, dev } = skb
  const slot = at + pointer - 1
  if (kind === stampKind.prespecified && addressType(dev.ns, readIpv4(bytes, slot)) === 'unicast') return
  if (kind === stampKind.withAddress) writeIpv4(bytes, slot, specificDestination(skb))
  const time = Math.floor(dev.ns.machine.clock.now / millisecond)
  writeU32(bytes, kind === stampKind.timeOnly ? slot : slot + 4, time)
  writeU8(bytes, at + 2, pointer + (kind === stampKind.timeOnly ? 4 : 8))
  if (skb.options !== undefined) skb.options.changed = true
}

/** cipso_v4_validate(): nobody has told this host of a domain of interpretation, so that all are unknown. */
function readCipso({ skb, options }: Walk, { at, length }: Place): Wrong {
  if (options.cipso !== 0) return at
  options.cipso = at - skb.networkHeader
  return length < 8 ? at + 1 : at + 2
}

/** ip_rt_get_source(): the address that a router has towards where it sends a packet. */
function routerAddress(skb: Skb, route: Route): Ipv4 {
  const { bytes, networkHeader: l3 } = skb
  const destination = readIpv4(bytes, l3 + ipv4At.destination)
  const found = lookupRoute(route.device.ns, {
    ...plainFlow(destination),
    source: readIpv4(bytes, l3 + ipv4At.source),
    oif: route.device.ifindex,
    iif: route.input?.ifindex ?? 1,
    mark: skb.mark,
    tos: readU8(bytes, l3 + ipv4At.tos) & 0xfc,
  })
  if (!isLookupError(found)) return sourceForRoute(found.route, found.nextHop)
  const { gateway } = route
  return selectAddress(route.device, typeof gateway === 'number' ? gateway : destination, 0)
}

/** ip_forward_options(): a router writes its address on the out-going device over the one of the way in. */
export function forwardOptions(skb: Skb, route: Route): void {
  const { options, bytes, networkHeader: l3 } = skb
  if (options === undefined) return
  if (options.recordNeedsAddress) {
    const at = l3 + options.recordRoute
    writeIpv4(bytes, at + readU8(bytes, at + 2) - 5, routerAddress(skb, route))
  }
  if (options.changed || options.recordNeedsAddress) writeIpv4Checksum(bytes, l3)
  options.changed = false
}

const noOptions = new Uint8Array(0)

/**
 * __ip_options_echo(), ip_options_build(): the options with which an answer from `source` goes back: a record route and a
 * timestamp go on where they are, CIPSO labels return. Undefined: there is no room, nobody is answered.
 */
export function echoOptions(skb: Skb, source: Ipv4): Uint8Array | undefined {
  const { options, bytes, networkHeader: l3 } = skb
  if (options === undefined) return noOptions
  const parts: number[] = []
  for (const offset of [options.recordRoute, options.timestamp, options.cipso]) {
    if (offset === 0) continue
    const at = l3 + offset
    const length = readU8(bytes, at + 1)
    const part = bytes.slice(at, at + length)
    const pointer = readU8(part, 2)
    if (offset === options.recordRoute && options.recordNeedsAddress && pointer <= length) {
      if (pointer + 3 > length) return undefined
      part[2] = pointer + 4
      writeIpv4(part, pointer - 1, source)
    }
    if (offset === options.timestamp && !stampAgain(skb, part, source)) return undefined
    parts.push(...part)
  }
  while ((parts.length & 3) !== 0) parts.push(0)
  return Uint8Array.from(parts)
}

/** The answer's own place in a timestamp option; false when half a place is left. */
function stampAgain(skb: Skb, part: Uint8Array, source: Ipv4): boolean {
  const pointer = readU8(part, 2)
  const kind = readU8(part, 3) & 15
  if (pointer > part.length || kind === stampKind.prespecified) return true
  const withAddress = kind === stampKind.withAddress
  if (pointer + (withAddress ? 7 : 3) > part.length) return false
  const slot = pointer - 1
  if (withAddress) writeIpv4(part, slot, source)
  const time = Math.floor(skb.dev.ns.machine.clock.now / millisecond)
  writeU32(part, withAddress ? slot + 4 : slot, time)
  part[2] = pointer + (withAddress ? 8 : 4)
  return true
}

/** Whether a packet asks for a way of its own; its next hop is never told to be a detour. */
export function isSourceRouted(skb: Skb): boolean {
  return skb.options !== undefined && skb.options.sourceRoute !== 0
}
