// What an ICMP error means to a socket: an errno, and whether it is one that ends the waiting (hard) or a remark (soft).
// Linux: net/ipv4/icmp.c icmp_err_convert[], net/ipv6/icmp.c icmpv6_err_convert().
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import type { Errno } from './errno.ts'

/** An error as a socket sees it. */
export interface SocketError {
  readonly errno: Errno
  readonly hard: boolean
}

/** By code of ICMP "destination unreachable"; `hard` as in icmp_err_convert. */
const unreachable4: readonly SocketError[] = [
  { errno: 'ENETUNREACH', hard: false },
  { errno: 'EHOSTUNREACH', hard: false },
  { errno: 'ENOPROTOOPT', hard: true },
  { errno: 'ECONNREFUSED', hard: true },
  { errno: 'EMSGSIZE', hard: false },
  { errno: 'EOPNOTSUPP', hard: false },
  { errno: 'ENETUNREACH', hard: true },
  { errno: 'EHOSTDOWN', hard: true },
  { errno: 'ENONET', hard: true },
  { errno: 'ENETUNREACH', hard: true },
  { errno: 'EHOSTUNREACH', hard: true },
  { errno: 'ENETUNREACH', hard: false },
  { errno: 'EHOSTUNREACH', hard: false },
  { errno: 'EHOSTUNREACH', hard: true },
  { errno: 'EHOSTUNREACH', hard: true },
  { errno: 'EHOSTUNREACH', hard: true },
]

/** By code of ICMPv6 "destination unreachable" (tab_unreach). */
const unreachable6: readonly SocketError[] = [
  { errno: 'ENETUNREACH', hard: false },
  { errno: 'EACCES', hard: true },
  { errno: 'EHOSTUNREACH', hard: false },
  { errno: 'EHOSTUNREACH', hard: false },
  { errno: 'ECONNREFUSED', hard: true },
  { errno: 'EACCES', hard: true },
  { errno: 'EACCES', hard: true },
]

/** The error of an ICMP message, or undefined for one that sockets do not hear of (redirect, source quench). */
export function errorOfIcmp4(type: number, code: number): SocketError | undefined {
  switch (type) {
    case icmpType.unreachable:
      return unreachable4[code]
    case icmpType.timeExceeded:
      return { errno: 'EHOSTUNREACH', hard: false }
    case icmpType.parameterProblem:
      return { errno: 'EPROTO', hard: true }
    default:
      return undefined
  }
}

/** The error of an ICMPv6 message. */
export function errorOfIcmp6(type: number, code: number): SocketError | undefined {
  switch (type) {
    case icmpv6Type.unreachable:
      return unreachable6[code] ?? { errno: 'EPROTO', hard: true }
    case icmpv6Type.packetTooBig:
      return { errno: 'EMSGSIZE', hard: false }
    case icmpv6Type.parameterProblem:
      return { errno: 'EPROTO', hard: true }
    case icmpv6Type.timeExceeded:
      return { errno: 'EHOSTUNREACH', hard: false }
    default:
      return undefined
  }
}

/** The error of either family's message. */
export function errorOfIcmp(family: 4 | 6, type: number, code: number): SocketError | undefined {
  return family === 4 ? errorOfIcmp4(type, code) : errorOfIcmp6(type, code)
}

/** Whether a message tells of a smaller path MTU. */
export function isTooBig(family: 4 | 6, type: number, code: number): boolean {
  if (family === 6) return type === icmpv6Type.packetTooBig
  return type === icmpType.unreachable && code === icmpUnreachable.fragmentationNeeded
}
