// IPv6 neighbour discovery: the five messages as values, whole, from the ICMPv6 header on.
// Before changing this file, read RFC 4861; what Linux accepts is in net/ipv6/ndisc.c. Options are in nd-options.ts.
import { type Ipv6, readIpv6, writeIpv6 } from './address.ts'
import { concatBytes, readU8, readU16, readU32, writeU8, writeU16, writeU32 } from './bytes.ts'
import { icmpv6Type } from './icmpv6.ts'
import { type Malformed, malformed } from './malformed.ts'
import type { Naming } from './naming.ts'
import { decodeNdOptions, encodeNdOptions, type NdOption } from './nd-options.ts'

export const ndAt = {
  flags: 4,
  target: 8,
  destination: 24,
  hopLimit: 4,
  routerFlags: 5,
  routerLifetime: 6,
  reachableTime: 8,
  retransmitTime: 12,
} as const

/** Flags of a neighbour advertisement, in the byte at `ndAt.flags`. */
export const ndFlag = { router: 0x80, solicited: 0x40, override: 0x20 } as const

/** Offset of the options, which is the length of the fixed part. */
const optionsAt = { solicitation: 24, routerSolicitation: 8, routerAdvertisement: 16, redirect: 40 } as const

/** Bytes of a redirect without its options. */
export const ndRedirectBytes = optionsAt.redirect

export type NdMessage =
  | { readonly kind: 'router-solicitation'; readonly options: readonly NdOption[] }
  | {
      readonly kind: 'router-advertisement'
      readonly hopLimit: number
      readonly managed: boolean
      readonly other: boolean
      /** the low six flag bits: home agent, router preference, proxy (RFC 4191, RFC 6275) */
      readonly moreFlags: number
      readonly lifetimeSeconds: number
      readonly reachableMilliseconds: number
      readonly retransmitMilliseconds: number
      readonly options: readonly NdOption[]
    }
  | { readonly kind: 'neighbour-solicitation'; readonly target: Ipv6; readonly options: readonly NdOption[] }
  | {
      readonly kind: 'neighbour-advertisement'
      readonly router: boolean
      readonly solicited: boolean
      readonly override: boolean
      readonly target: Ipv6
      readonly options: readonly NdOption[]
    }
  | {
      readonly kind: 'redirect'
      readonly target: Ipv6
      readonly destination: Ipv6
      readonly options: readonly NdOption[]
    }

const typeOf: Readonly<Record<NdMessage['kind'], number>> = {
  'router-solicitation': icmpv6Type.routerSolicitation,
  'router-advertisement': icmpv6Type.routerAdvertisement,
  'neighbour-solicitation': icmpv6Type.neighbourSolicitation,
  'neighbour-advertisement': icmpv6Type.neighbourAdvertisement,
  redirect: icmpv6Type.redirect,
}

function fixedLength(type: number): number {
  switch (type) {
    case icmpv6Type.routerSolicitation:
      return optionsAt.routerSolicitation
    case icmpv6Type.routerAdvertisement:
      return optionsAt.routerAdvertisement
    case icmpv6Type.redirect:
      return optionsAt.redirect
    default:
      return optionsAt.solicitation
  }
}

/** The message whose ICMPv6 header is at `offset`; malformed when it is none, cut off, or has an option of length 0. */
export function decodeNd(bytes: Uint8Array, offset = 0, end = bytes.length): NdMessage | Malformed {
  const type = end > offset ? readU8(bytes, offset) : 0
  if (type < icmpv6Type.routerSolicitation || type > icmpv6Type.redirect) {
    return malformed('nd: not a neighbour discovery message')
  }
  const fixed = fixedLength(type)
  if (end - offset < fixed) return malformed('nd: shorter than its header')
  const options = decodeNdOptions(bytes, offset + fixed, end)
  return 'malformed' in options ? options : decodeBody(bytes, offset, type, options)
}

function decodeBody(
  bytes: Uint8Array,
  offset: number,
  type: number,
  options: readonly NdOption[],
): NdMessage {
  switch (type) {
    case icmpv6Type.routerSolicitation:
      return { kind: 'router-solicitation', options }
    case icmpv6Type.routerAdvertisement: {
      const flags = readU8(bytes, offset + ndAt.routerFlags)
      return {
        kind: 'router-advertisement',
        hopLimit: readU8(bytes, offset + ndAt.hopLimit),
        managed: (flags & 0x80) !== 0,
        other: (flags & 0x40) !== 0,
        moreFlags: flags & 0x3f,
        lifetimeSeconds: readU16(bytes, offset + ndAt.routerLifetime),
        reachableMilliseconds: readU32(bytes, offset + ndAt.reachableTime),
        retransmitMilliseconds: readU32(bytes, offset + ndAt.retransmitTime),
        options,
      }
    }
    case icmpv6Type.neighbourAdvertisement: {
      const flags = readU8(bytes, offset + ndAt.flags)
      return {
        kind: 'neighbour-advertisement',
        router: (flags & ndFlag.router) !== 0,
        solicited: (flags & ndFlag.solicited) !== 0,
        override: (flags & ndFlag.override) !== 0,
        target: readIpv6(bytes, offset + ndAt.target),
        options,
      }
    }
    case icmpv6Type.redirect: {
      const destination = readIpv6(bytes, offset + ndAt.destination)
      return { kind: 'redirect', target: readIpv6(bytes, offset + ndAt.target), destination, options }
    }
    default:
      return { kind: 'neighbour-solicitation', target: readIpv6(bytes, offset + ndAt.target), options }
  }
}

/** A whole ICMPv6 message, its checksum zero: that needs the addresses of the IPv6 header. */
export function encodeNd(message: NdMessage): Uint8Array {
  const type = typeOf[message.kind]
  const bytes = new Uint8Array(fixedLength(type))
  writeU8(bytes, 0, type)
  writeBody(bytes, message)
  return concatBytes([bytes, encodeNdOptions(message.options)])
}

function writeBody(bytes: Uint8Array, message: NdMessage): void {
  switch (message.kind) {
    case 'router-solicitation':
      return
    case 'router-advertisement':
      writeU8(bytes, ndAt.hopLimit, message.hopLimit)
      writeU8(
        bytes,
        ndAt.routerFlags,
        (message.managed ? 0x80 : 0) | (message.other ? 0x40 : 0) | (message.moreFlags & 0x3f),
      )
      writeU16(bytes, ndAt.routerLifetime, message.lifetimeSeconds)
      writeU32(bytes, ndAt.reachableTime, message.reachableMilliseconds)
      writeU32(bytes, ndAt.retransmitTime, message.retransmitMilliseconds)
      return
    case 'neighbour-advertisement': {
      const router = message.router ? ndFlag.router : 0
      const solicited = message.solicited ? ndFlag.solicited : 0
      writeU8(bytes, ndAt.flags, router | solicited | (message.override ? ndFlag.override : 0))
      writeIpv6(bytes, ndAt.target, message.target)
      return
    }
    case 'redirect':
      writeIpv6(bytes, ndAt.destination, message.destination)
      writeIpv6(bytes, ndAt.target, message.target)
      return
    case 'neighbour-solicitation':
      writeIpv6(bytes, ndAt.target, message.target)
  }
}

/** `nd who-has fd00::1`, `nd fd00::1 is-at 02:00:00:00:00:01` */
export function describeNd(message: NdMessage, naming: Naming): string {
  switch (message.kind) {
    case 'neighbour-solicitation':
      return `nd who-has ${naming.ip(message.target)}`
    case 'neighbour-advertisement': {
      const link = message.options.find((option) => option.kind === 'target-link')
      const owner = naming.ip(message.target)
      return link === undefined ? `nd ${owner} is here` : `nd ${owner} is-at ${naming.mac(link.mac)}`
    }
    case 'redirect':
      return `nd redirect ${naming.ip(message.destination)} via ${naming.ip(message.target)}`
    case 'router-solicitation':
    case 'router-advertisement':
      return `nd ${message.kind}`
  }
}
