// The errors that a socket call can answer with: names of errno(3), one closed list.

/** errno names with their Linux numbers, for those who write them into trace or BPF return values. */
export const errnoNumber = {
  EPERM: 1,
  EAGAIN: 11,
  EACCES: 13,
  EINVAL: 22,
  EPIPE: 32,
  ENONET: 64,
  EPROTO: 71,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ENOKEY: 126,
} as const

export type Errno = keyof typeof errnoNumber

/** The name of a negative status; EPERM for one that no call answers with. */
export function errnoOf(status: number): Errno {
  for (const [name, number] of Object.entries(errnoNumber)) if (number === -status) return name as Errno
  return 'EPERM'
}

/** What a call answers: a value, or why not. */
export type Result<T> = { readonly ok: T } | { readonly errno: Errno }

/** Whether a call failed. */
export function failed<T>(result: Result<T>): result is { readonly errno: Errno } {
  return 'errno' in result
}
