// IPv4 options that change a packet's way: net/ipv4/ip_options.c __ip_options_compile(), ip_options_rcv_srr(),
// ip_forward_options(). Source routes are refused or dropped as Linux does by default (accept_source_route is off);
// record route and timestamps are written by routers only in their simplest form.
import { readIpv4, writeIpv4 } from '../../net/address.ts'
import { readU8, writeU8 } from '../../net/bytes.ts'
import { ipv4HeaderLength, writeIpv4Checksum } from '../../net/ipv4.ts'
import { ipv4OptionType } from '../../net/ipv4-options.ts'
import type { Skb } from '../skb.ts'
import { type Route, routeScope } from './route.ts'
import { selectAddress } from './source.ts'

const looseSourceRoute = 131
const strictSourceRoute = 137

/** What the options of a header ask for. */
export type OptionsVerdict =
  | { readonly kind: 'ok' }
  /** Malformed: ICMP parameter problem with the offset of the bad byte in the header. */
  | { readonly kind: 'malformed'; readonly pointer: number }
  | { readonly kind: 'source-route' }

const ok: OptionsVerdict = { kind: 'ok' }

/** Whether the header at `l3` has options at all. */
export function hasOptions(bytes: Uint8Array, l3: number): boolean {
  return ipv4HeaderLength(bytes, l3) > 20
}

/** Walks the options of the header at `l3`. */
export function inspectOptions(bytes: Uint8Array, l3: number): OptionsVerdict {
  const end = l3 + ipv4HeaderLength(bytes, l3)
  for (let at = l3 + 20; at < end; ) {
    const type = readU8(bytes, at)
    if (type === ipv4OptionType.end) return ok
    if (type === ipv4OptionType.nop) {
      at += 1
      continue
    }
    const length = at + 1 < end ? readU8(bytes, at + 1) : 0
    if (length < 2 || length > end - at) return { kind: 'malformed', pointer: at - l3 }
    if (type === looseSourceRoute || type === strictSourceRoute) return { kind: 'source-route' }
    at += length
  }
  return ok
}

/** ip_forward_options(): a router writes its address on the out-going device into a record route that has room. */
export function recordRoute(skb: Skb, route: Route): void {
  const { bytes, networkHeader: l3 } = skb
  const end = l3 + ipv4HeaderLength(bytes, l3)
  for (let at = l3 + 20; at + 2 < end; ) {
    const type = readU8(bytes, at)
    if (type === ipv4OptionType.end) return
    const length = type === ipv4OptionType.nop ? 1 : Math.max(readU8(bytes, at + 1), 2)
    const pointer = readU8(bytes, at + 2)
    if (type === ipv4OptionType.recordRoute && pointer + 3 <= length) {
      const source = readIpv4(bytes, l3 + 12)
      writeIpv4(bytes, at + pointer - 1, selectAddress(route.device, source, routeScope.universe))
      writeU8(bytes, at + 2, pointer + 4)
      writeIpv4Checksum(bytes, l3)
      return
    }
    at += length
  }
}
