// Fields that stand somewhere behind a fixed header and have to be looked for: options and IPv6's fragment header. Where
// there is none the field has no value.
import { type IpAddress, isIpv4, readIpv4, readIpv6 } from './address.ts'
import { readU8, readU16, readU32 } from './bytes.ts'
import { type FieldSpec, numberField } from './field-spec.ts'
import { geneveAt } from './geneve.ts'
import { icmpv6Type } from './icmpv6.ts'
import { findIpv4Option, ipv4OptionType, readDsrOption, writeDsrOption } from './ipv4-options.ts'
import { extensionAt, findExtension } from './ipv6-extensions.ts'
import { findLinkAddress, ndOptionType } from './nd-options.ts'
import { ipProtocol } from './protocol.ts'
import { findTcpOption, readMss, tcpOptionKind, writeMss } from './tcp-options.ts'

/** Cilium's DSR option in IPv6 destination options and in Geneve; both in network order, unlike the one of IPv4. */
const dsrOption = { ipv6Type: 0x1b, geneveClass: 0x014b, geneveType: 0x81 } as const

type ReadTarget = (
  bytes: Uint8Array,
  start: number,
  end: number,
) => { address: IpAddress; port: number } | undefined

function endpointField(read: ReadTarget): FieldSpec {
  return {
    type: 'endpoint',
    maximum: 0,
    read: (bytes, { start, end }) => {
      const value = read(bytes, start, end)
      return value === undefined ? undefined : { kind: 'endpoint', value }
    },
  }
}

/** `ip.opt.dsr` */
export const ipv4Dsr: FieldSpec = {
  ...endpointField(readDsrOption),
  write: (bytes, { start }, value) => {
    if (value.kind !== 'endpoint' || readDsrOption(bytes, start) === undefined) return
    const { address, port } = value.value
    const offset = findIpv4Option(bytes, start, ipv4OptionType.dsr)
    if (isIpv4(address)) writeDsrOption(bytes, offset, { address, port })
  },
}

/** `ip6.opt.dsr`: option 0x1b of the destination options header, 16 bytes of address, then the port. */
export const ipv6Dsr = endpointField((bytes, start, end) => {
  const header = findExtension(bytes, start, end, ipProtocol.destinationOptions)
  if (header < 0 || end - header < 22) return undefined
  const isDsr = readU8(bytes, header + 2) === dsrOption.ipv6Type && readU8(bytes, header + 3) >= 18
  return isDsr ? { address: readIpv6(bytes, header + 4), port: readU16(bytes, header + 20) } : undefined
})

/** `geneve.opt.dsr`: 8 bytes of data with an IPv4 target, 20 with an IPv6 one. */
export const geneveDsr = endpointField((bytes, start, end) => {
  const stop = Math.min(end, start + geneveAt.options + ((readU8(bytes, start) & 0x3f) << 2))
  let offset = start + geneveAt.options
  while (stop - offset >= 4) {
    const length = (readU8(bytes, offset + 3) & 0x1f) << 2
    if (length > stop - offset - 4) return undefined
    const named =
      readU16(bytes, offset) === dsrOption.geneveClass && readU8(bytes, offset + 2) === dsrOption.geneveType
    if (named && length === 8)
      return { address: readIpv4(bytes, offset + 4), port: readU16(bytes, offset + 8) }
    if (named && length === 20)
      return { address: readIpv6(bytes, offset + 4), port: readU16(bytes, offset + 20) }
    offset += 4 + length
  }
  return undefined
})

/** A field of the fragment header. */
function fragmentField(maximum: number, read: (bytes: Uint8Array, header: number) => number): FieldSpec {
  return numberField(maximum, (bytes, { start, end }) => {
    const header = findExtension(bytes, start, end, ipProtocol.fragment)
    return header < 0 ? undefined : read(bytes, header)
  })
}

/** `ip6.frag`, in bytes */
export const ipv6FragmentOffset = fragmentField(
  0xfff8,
  (bytes, header) => readU16(bytes, header + extensionAt.fragmentOffset) & 0xfff8,
)

/** `ip6.id` */
export const ipv6FragmentId = fragmentField(0xffff_ffff, (bytes, header) =>
  readU32(bytes, header + extensionAt.identification),
)

/** `ip6.mf`; false without a fragment header, as `ip.mf` is in a whole packet */
export const ipv6MoreFragments: FieldSpec = {
  type: 'boolean',
  maximum: 1,
  read: (bytes, { start, end }) => {
    const header = findExtension(bytes, start, end, ipProtocol.fragment)
    const value = header >= 0 && (readU16(bytes, header + extensionAt.fragmentOffset) & 1) === 1
    return { kind: 'boolean', value }
  },
}

/** A number inside a TCP option. */
function tcpOption(
  kind: number,
  lengthBytes: number,
  read: (bytes: Uint8Array, at: number) => number,
): FieldSpec {
  return numberField(0xffff_ffff, (bytes, { start }) => {
    const offset = findTcpOption(bytes, start, kind)
    return offset >= 0 && readU8(bytes, offset + 1) === lengthBytes ? read(bytes, offset + 2) : undefined
  })
}

/** `tcp.mss` */
export const tcpMss = numberField(
  0xffff,
  (bytes, { start }) => readMss(bytes, start),
  (bytes, { start }, value) => void writeMss(bytes, start, value),
)

/** `tcp.wscale` */
export const tcpWindowScale = tcpOption(tcpOptionKind.windowScale, 3, readU8)

/** `tcp.ts`: the sender's timestamp */
export const tcpTimestamp = tcpOption(tcpOptionKind.timestamps, 10, readU32)

/** `tcp.tsecr`: the timestamp that is echoed */
export const tcpTimestampEcho = tcpOption(tcpOptionKind.timestamps, 10, (bytes, at) => readU32(bytes, at + 4))

/** `tcp.sack`: whether selective acknowledgement is offered or used */
export const tcpSack: FieldSpec = {
  type: 'boolean',
  maximum: 1,
  read: (bytes, { start }) => {
    const offered = findTcpOption(bytes, start, tcpOptionKind.sackPermitted) >= 0
    return { kind: 'boolean', value: offered || findTcpOption(bytes, start, tcpOptionKind.sack) >= 0 }
  },
}

/** `icmp6.lladdr`: the link-layer address in a solicitation or advertisement of neighbours or routers */
export const ndLinkAddress: FieldSpec = {
  type: 'mac',
  maximum: 0,
  read: (bytes, { start, end }) => {
    const value = findLinkAddress(
      bytes,
      start + ndOptionsAt(readU8(bytes, start)),
      end,
      linkOption(bytes, start),
    )
    return value === undefined ? undefined : { kind: 'mac', value }
  },
}

/** Where the options of a message start; far behind everything in a message that has none. */
function ndOptionsAt(type: number): number {
  switch (type) {
    case icmpv6Type.routerSolicitation:
      return 8
    case icmpv6Type.routerAdvertisement:
      return 16
    case icmpv6Type.neighbourSolicitation:
    case icmpv6Type.neighbourAdvertisement:
      return 24
    case icmpv6Type.redirect:
      return 40
    default:
      return 0x10000
  }
}

/** Advertisements of neighbours and redirects speak of the target, everything else of its own sender. */
function linkOption(bytes: Uint8Array, start: number): 1 | 2 {
  const type = readU8(bytes, start)
  const target = type === icmpv6Type.neighbourAdvertisement || type === icmpv6Type.redirect
  return target ? ndOptionType.targetLink : ndOptionType.sourceLink
}
