// Walking over extension headers: ipv6_skip_exthdr(), and the options whose unknown ones must be acted on
// (net/ipv6/exthdrs.c ip6_parse_tlv, RFC 8200 section 4.2).
import { readU8, readU16 } from '../../net/bytes.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { checkExtension, extensionLength, isExtension } from '../../net/ipv6-extensions.ts'
import { ipProtocol } from '../../net/protocol.ts'

/** The transport header of a packet. */
export interface Transport {
  readonly protocol: number
  readonly offset: number
  /** The packet is a fragment behind the first: there is no transport header in it. */
  readonly laterFragment: boolean
}

/** The first header that is no extension header, or undefined when the packet ends before it. */
export function transportOf(bytes: Uint8Array, l3: number, end: number): Transport | undefined {
  const protocol = readU8(bytes, l3 + ipv6At.nextHeader)
  return transportBehind(bytes, { at: l3 + ipv6At.payload, protocol, end })
}

/** The same from the header at `at` on, which the number before it calls `protocol`. */
export function transportBehind(
  bytes: Uint8Array,
  from: { readonly at: number; readonly protocol: number; readonly end: number },
): Transport | undefined {
  const { end } = from
  let { protocol, at: offset } = from
  while (isExtension(protocol)) {
    if (checkExtension(bytes, offset, end, protocol) !== undefined) return undefined
    if (protocol === ipProtocol.fragment && (readU16(bytes, offset + 2) & 0xfff8) !== 0) {
      return { protocol: readU8(bytes, offset), offset, laterFragment: true }
    }
    const next = readU8(bytes, offset)
    offset += extensionLength(bytes, offset, protocol)
    protocol = next
  }
  return offset > end ? undefined : { protocol, offset, laterFragment: false }
}

/** What the options of a header ask for: go on, drop silently, or drop and tell where the unknown option stands. */
export type OptionVerdict =
  | { readonly kind: 'ok' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'discard' }
  | { readonly kind: 'report'; readonly pointer: number; readonly evenIfGroup: boolean }

const ok: OptionVerdict = { kind: 'ok' }

/** Options that need nothing to be done: pad1, padN, router alert, tunnel limit, CALIPSO, home address. */
const known: ReadonlySet<number> = new Set([0, 1, 5, 4, 7, 0xc9])

/** The options of the header at `offset`; `l3` is where pointers count from. */
export function inspectOptions6(bytes: Uint8Array, l3: number, offset: number): OptionVerdict {
  const end = offset + ((readU8(bytes, offset + 1) + 1) << 3)
  let at = offset + 2
  while (at < end) {
    const type = readU8(bytes, at)
    if (type === 0) {
      at += 1
      continue
    }
    if (at + 1 >= end) return { kind: 'malformed' }
    const length = readU8(bytes, at + 1) + 2
    if (at + length > end) return { kind: 'malformed' }
    const action = known.has(type) ? 0 : type >>> 6
    if (action === 1) return { kind: 'discard' }
    if (action > 1) return { kind: 'report', pointer: at - l3, evenIfGroup: action === 2 }
    at += length
  }
  return ok
}
