// ICMPv6: the shape of ICMP, other numbers, and a checksum with a pseudo header. Neighbour discovery is in nd.ts.
// Before changing this file, read RFC 4443.

import { encodeIcmp, type IcmpKind, icmpNameIn, readIcmpHeader } from './icmp.ts'
import { type Malformed, malformed } from './malformed.ts'

export const icmpv6At = {
  type: 0,
  code: 1,
  checksum: 2,
  rest: 4,
  identifier: 4,
  sequence: 6,
  mtu: 4,
  pointer: 4,
  payload: 8,
} as const

export const icmpv6Type = {
  unreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echoRequest: 128,
  echoReply: 129,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighbourSolicitation: 135,
  neighbourAdvertisement: 136,
  redirect: 137,
} as const

/** Codes of `unreachable`. */
export const icmpv6Unreachable = {
  noRoute: 0,
  adminProhibited: 1,
  beyondScope: 2,
  address: 3,
  port: 4,
  policyFail: 5,
  rejectRoute: 6,
} as const

export interface Icmpv6Header {
  readonly type: number
  readonly code: number
  readonly checksum: number
  /** the second word: identifier and sequence, MTU, pointer or flags, by type */
  readonly rest: number
}

/** The words that scenarios use for ICMPv6 messages; shared ones are those of ICMP. */
export const icmpv6Names = {
  'no-route': { type: 1, code: 0 },
  'admin-prohibited': { type: 1, code: 1 },
  'beyond-scope': { type: 1, code: 2 },
  'host-unreachable': { type: 1, code: 3 },
  'port-unreachable': { type: 1, code: 4 },
  'policy-fail': { type: 1, code: 5 },
  'reject-route': { type: 1, code: 6 },
  'packet-too-big': { type: 2 },
  'time-exceeded': { type: 3, code: 0 },
  'reassembly-time-exceeded': { type: 3, code: 1 },
  'parameter-problem': { type: 4 },
  'echo-request': { type: 128 },
  'echo-reply': { type: 129 },
  'router-solicitation': { type: 133 },
  'router-advertisement': { type: 134 },
  'neighbour-solicitation': { type: 135 },
  'neighbour-advertisement': { type: 136 },
  redirect: { type: 137 },
  'multicast-listener-report': { type: 143 },
} as const satisfies Record<string, IcmpKind>

/** The word for an ICMPv6 type and code, or the two numbers. */
export function icmpv6Name(type: number, code: number): string {
  return icmpNameIn(icmpv6Names, type, code)
}

/** Whether a message is an error: those are the types below 128. */
export function isIcmpv6Error(type: number): boolean {
  return type < 128
}

/** Whether a message is an echo request or reply. */
export function isIcmpv6Echo(type: number): boolean {
  return type === icmpv6Type.echoRequest || type === icmpv6Type.echoReply
}

/** Whether a message belongs to neighbour discovery, types 133 to 137. */
export function isNeighbourDiscovery(type: number): boolean {
  return type >= icmpv6Type.routerSolicitation && type <= icmpv6Type.redirect
}

/** The header at `offset`; malformed when fewer than 8 bytes are left. */
export function decodeIcmpv6(bytes: Uint8Array, offset = 0, end = bytes.length): Icmpv6Header | Malformed {
  if (end - offset < icmpv6At.payload) return malformed('icmp6: shorter than its header')
  return readIcmpHeader(bytes, offset)
}

/** The eight bytes of a header. */
export function encodeIcmpv6(header: Icmpv6Header): Uint8Array {
  return encodeIcmp(header)
}

/** What the second word says, with a leading blank: ` id 1 seq 2`, ` mtu 1280`; often nothing. */
export function icmpv6Details({ type, rest }: Icmpv6Header): string {
  if (isIcmpv6Echo(type)) return ` id ${rest >>> 16} seq ${rest & 0xffff}`
  if (type === icmpv6Type.packetTooBig) return ` mtu ${rest}`
  return type === icmpv6Type.parameterProblem ? ` pointer ${rest}` : ''
}

/** `icmp6 echo-request id 1 seq 2`, `icmp6 packet-too-big mtu 1280` */
export function describeIcmpv6(header: Icmpv6Header): string {
  return `icmp6 ${icmpv6Name(header.type, header.code)}${icmpv6Details(header)}`
}
