// ICMP for IPv4: type, code, checksum, and four bytes whose meaning depends on the type. An error quotes the packet that
// caused it, from its IP header on. Before changing this file, read RFC 792, RFC 1191 (MTU) and RFC 1812 section 4.3.
import { formatIpv4, type Ipv4 } from './address.ts'
import { readU8, readU16, readU32, writeU8, writeU16, writeU32 } from './bytes.ts'
import { type Malformed, malformed } from './malformed.ts'

export const icmpAt = {
  type: 0,
  code: 1,
  checksum: 2,
  rest: 4,
  identifier: 4,
  sequence: 6,
  gateway: 4,
  pointer: 4,
  mtu: 6,
  payload: 8,
} as const

export const icmpType = {
  echoReply: 0,
  unreachable: 3,
  sourceQuench: 4,
  redirect: 5,
  echoRequest: 8,
  timeExceeded: 11,
  parameterProblem: 12,
  timestampRequest: 13,
  timestampReply: 14,
} as const

/** Codes of `unreachable` (RFC 792, RFC 1122, RFC 1812). */
export const icmpUnreachable = {
  net: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  sourceRouteFailed: 5,
  adminProhibited: 13,
} as const

export const icmpTimeExceeded = { transit: 0, reassembly: 1 } as const
export const icmpRedirect = { net: 0, host: 1 } as const

export interface IcmpHeader {
  readonly type: number
  readonly code: number
  readonly checksum: number
  /** the second word: identifier and sequence, gateway, pointer or MTU, by type */
  readonly rest: number
}

/** The words that scenarios use for ICMP messages, with their numbers; `code` is missing where any code is meant. */
export const icmpNames = {
  'echo-reply': { type: 0 },
  'net-unreachable': { type: 3, code: 0 },
  'host-unreachable': { type: 3, code: 1 },
  'proto-unreachable': { type: 3, code: 2 },
  'port-unreachable': { type: 3, code: 3 },
  'frag-needed': { type: 3, code: 4 },
  'source-route-failed': { type: 3, code: 5 },
  'net-unknown': { type: 3, code: 6 },
  'host-unknown': { type: 3, code: 7 },
  'host-isolated': { type: 3, code: 8 },
  'net-prohibited': { type: 3, code: 9 },
  'host-prohibited': { type: 3, code: 10 },
  'net-unreachable-for-tos': { type: 3, code: 11 },
  'host-unreachable-for-tos': { type: 3, code: 12 },
  'admin-prohibited': { type: 3, code: 13 },
  'precedence-violation': { type: 3, code: 14 },
  'precedence-cutoff': { type: 3, code: 15 },
  'source-quench': { type: 4 },
  redirect: { type: 5 },
  'echo-request': { type: 8 },
  'router-advertisement': { type: 9 },
  'router-solicitation': { type: 10 },
  'time-exceeded': { type: 11, code: 0 },
  'reassembly-time-exceeded': { type: 11, code: 1 },
  'parameter-problem': { type: 12 },
  'timestamp-request': { type: 13 },
  'timestamp-reply': { type: 14 },
} as const satisfies Record<string, IcmpKind>

/** A message by number; a missing code stands for any. */
export interface IcmpKind {
  readonly type: number
  readonly code?: number
}

/** The word for a type and code among `names`, or the two numbers. */
export function icmpNameIn(names: Readonly<Record<string, IcmpKind>>, type: number, code: number): string {
  for (const [name, kind] of Object.entries(names)) {
    if (kind.type === type && (kind.code === undefined || kind.code === code)) return name
  }
  return `type ${type} code ${code}`
}

/** The word for an ICMP type and code, or the two numbers. */
export function icmpName(type: number, code: number): string {
  return icmpNameIn(icmpNames, type, code)
}

/** Whether a message is an error, which quotes a packet and is never answered by another error (RFC 1122 3.2.2). */
export function isIcmpError(type: number): boolean {
  return type === 3 || type === 4 || type === 5 || type === 11 || type === 12
}

/** Whether a message is an echo request or reply and so has an identifier and a sequence number. */
export function isIcmpEcho(type: number): boolean {
  return type === icmpType.echoRequest || type === icmpType.echoReply
}

/** The header at `offset`; malformed when fewer than 8 bytes are left. */
export function decodeIcmp(bytes: Uint8Array, offset = 0, end = bytes.length): IcmpHeader | Malformed {
  if (end - offset < icmpAt.payload) return malformed('icmp: shorter than its header')
  return readIcmpHeader(bytes, offset)
}

/** The eight bytes that ICMP and ICMPv6 messages begin with; they must be there. */
export function readIcmpHeader(bytes: Uint8Array, offset: number): IcmpHeader {
  return {
    type: readU8(bytes, offset + icmpAt.type),
    code: readU8(bytes, offset + icmpAt.code),
    checksum: readU16(bytes, offset + icmpAt.checksum),
    rest: readU32(bytes, offset + icmpAt.rest),
  }
}

/** The eight bytes of a header. */
export function encodeIcmp(header: IcmpHeader): Uint8Array {
  const bytes = new Uint8Array(icmpAt.payload)
  writeU8(bytes, icmpAt.type, header.type)
  writeU8(bytes, icmpAt.code, header.code)
  writeU16(bytes, icmpAt.checksum, header.checksum)
  writeU32(bytes, icmpAt.rest, header.rest)
  return bytes
}

/** The second word of an echo. */
export function echoRest(identifier: number, sequence: number): number {
  return ((identifier << 16) | (sequence & 0xffff)) >>> 0
}

/** What the second word says, with a leading blank: ` id 1 seq 2`, ` mtu 1450`, ` gateway 10.0.0.1`; often nothing. */
export function icmpDetails({ type, code, rest }: IcmpHeader): string {
  if (isIcmpEcho(type)) return ` id ${rest >>> 16} seq ${rest & 0xffff}`
  if (type === icmpType.redirect) return ` gateway ${formatIpv4(rest as Ipv4)}`
  if (type === icmpType.parameterProblem) return ` pointer ${rest >>> 24}`
  const fragmentation = type === icmpType.unreachable && code === icmpUnreachable.fragmentationNeeded
  return fragmentation ? ` mtu ${rest & 0xffff}` : ''
}

/** `icmp echo-request id 1 seq 2`, `icmp frag-needed mtu 1450`, `icmp redirect gateway 10.0.0.1` */
export function describeIcmp(header: IcmpHeader): string {
  return `icmp ${icmpName(header.type, header.code)}${icmpDetails(header)}`
}
