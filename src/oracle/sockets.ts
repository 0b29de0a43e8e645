// Real sockets inside real namespaces: opened there, used from anywhere. All of them are non-blocking; whoever waits
// lets the rest of the world go on in between.
import { type IpAddress, isIpv4, readIpv4, readIpv6, writeIpv4, writeIpv6 } from '../net/address.ts'
import { readU16, writeU16 } from '../net/bytes.ts'
import { intBytes, intOf, type Libc } from './native.ts'

/** Where every socket receives: whoever waits asks many times, and the collector of so many buffers would come in between. */
const received = new Uint8Array(1 << 17)

/** How a call ended: a value, or the kernel's errno. */
export type Answer<T> = { readonly ok: T } | { readonly errno: string }

export interface Endpoint {
  readonly address: IpAddress
  readonly port: number
}

const familyNumber = { 4: 2, 6: 10 } as const
const nonBlocking = 0x800 | 0x80000
const type = { stream: 1, datagram: 2, raw: 3 } as const
const solSocket = 1
const levelOf = { 4: 0, 6: 41 } as const
const option = {
  error: 4,
  sendBuffer: 7,
  linger: 13,
  mark: 36,
  maxPacingRate: 47,
  ttl: 2,
  tos: 1,
  discover: 10,
  receiveErrors: 11,
  transparent: 19,
} as const
const option6 = { ttl: 16, tos: 67, discover: 23, receiveErrors: 25, only: 26, transparent: 75 } as const
const discover = { dont: 0, want: 1, do: 2 } as const
const levelTcp = 6
const tcpInfo = 11
const tcpState = { synSent: 2, close: 7 } as const
const noSignal = 0x4000

/** sockaddr_in, sockaddr_in6; an IPv4 address for a socket of family 6 is mapped. */
export function socketAddress(family: 4 | 6, { address, port }: Endpoint): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 16 : 28)
  bytes[0] = familyNumber[family]
  writeU16(bytes, 2, port)
  if (family === 4 && isIpv4(address)) writeIpv4(bytes, 4, address)
  else if (!isIpv4(address)) writeIpv6(bytes, 8, address)
  else {
    bytes.set([0xff, 0xff], 18)
    writeIpv4(bytes, 20, address)
  }
  return bytes
}

function endpointOf(bytes: Uint8Array): Endpoint {
  const port = readU16(bytes, 2)
  if (bytes[0] === familyNumber[4]) return { address: readIpv4(bytes, 4), port }
  const mapped = bytes.subarray(8, 18).every((byte) => byte === 0) && bytes[18] === 0xff
  return { address: mapped ? readIpv4(bytes, 20) : readIpv6(bytes, 8), port }
}

/** Options of a flow. */
export interface FlowOptions {
  readonly ttl?: number
  readonly tos?: number
  readonly mark?: number
  readonly dontFragment?: 'want' | 'do' | 'dont'
  readonly sendBuffer?: number
  readonly maxPacingRate?: number
  readonly recvErr?: boolean
}

/** One socket. */
export class RealSocket {
  readonly family: 4 | 6
  readonly descriptor: number
  private readonly libc: Libc
  private open = true

  constructor(libc: Libc, family: 4 | 6, descriptor: number) {
    this.libc = libc
    this.family = family
    this.descriptor = descriptor
  }

  /** Opens a socket; must run inside its namespace. */
  static open(libc: Libc, family: 4 | 6, kind: keyof typeof type, protocol = 0): RealSocket {
    const descriptor = libc.socket(familyNumber[family], type[kind] | nonBlocking, protocol)
    if (descriptor < 0) throw new Error(`a socket cannot be opened: ${libc.errno()}`)
    return new RealSocket(libc, family, descriptor)
  }

  configure({ ttl, tos, mark, dontFragment, sendBuffer, maxPacingRate, recvErr }: FlowOptions): void {
    if (recvErr === true) this.reportErrors()
    if (sendBuffer !== undefined) this.set(solSocket, option.sendBuffer, sendBuffer)
    if (maxPacingRate !== undefined) this.set(solSocket, option.maxPacingRate, maxPacingRate)
    const names = this.family === 4 ? option : option6
    if (ttl !== undefined) this.set(levelOf[this.family], names.ttl, ttl)
    if (tos !== undefined) this.set(levelOf[this.family], names.tos, tos)
    if (mark !== undefined) this.set(solSocket, option.mark, mark)
    if (dontFragment !== undefined) this.set(levelOf[this.family], names.discover, discover[dontFragment])
  }

  /** A listening socket of family 6 takes both families. */
  takeBothFamilies(): void {
    if (this.family === 6) this.set(levelOf[6], option6.only, 0)
  }

  /** IP_TRANSPARENT, for both families. */
  takeForeignAddresses(): void {
    this.set(levelOf[this.family], this.family === 4 ? option.transparent : option6.transparent, 1)
  }

  reportErrors(): void {
    this.set(levelOf[this.family], (this.family === 4 ? option : option6).receiveErrors, 1)
  }

  bind(to: Endpoint): Answer<number> {
    const address = socketAddress(this.family, to)
    return this.answer(this.libc.bind(this.descriptor, address, address.length))
  }

  /** EINPROGRESS is an answer like any other. */
  connect(to: Endpoint): Answer<number> {
    const address = socketAddress(this.family, to)
    return this.answer(this.libc.connect(this.descriptor, address, address.length))
  }

  /** connect(2) to AF_UNSPEC: a connection, or the attempt at one, is over; what the kernel says of it is forgotten. */
  disconnect(): void {
    this.libc.connect(this.descriptor, new Uint8Array(16), 16)
    this.libc.getsockopt(this.descriptor, solSocket, option.error, new Uint8Array(4), intBytes(4))
  }

  listen(): Answer<number> {
    return this.answer(this.libc.listen(this.descriptor, 128))
  }

  accept(): RealSocket | undefined {
    const descriptor = this.libc.accept4(this.descriptor, null, null, nonBlocking)
    return descriptor < 0 ? undefined : new RealSocket(this.libc, this.family, descriptor)
  }

  send(data: Uint8Array, to?: Endpoint): Answer<number> {
    const address = to === undefined ? null : socketAddress(this.family, to)
    return this.answer(
      Number(
        this.libc.sendto(
          this.descriptor,
          data,
          data.length,
          noSignal,
          address,
          address === null ? 0 : address.length,
        ),
      ),
    )
  }

  receive(): Answer<{ readonly data: Uint8Array; readonly source: Endpoint }> {
    const from = new Uint8Array(28)
    const length = Number(
      this.libc.recvfrom(this.descriptor, received, received.length, 0, from, intBytes(from.length)),
    )
    if (length < 0) return { errno: this.libc.errno() }
    return { ok: { data: received.slice(0, length), source: endpointOf(from) } }
  }

  /** Whether a connect is over: the error that it ended with, or `connected`, or `pending`. */
  connectState(): string {
    const info = new Uint8Array(8)
    this.libc.getsockopt(this.descriptor, levelTcp, tcpInfo, info, intBytes(8))
    // SO_ERROR would tell of an error that TCP only remembers; over IPv4 the queued error wakes whoever polls (tcp_v4_err)
    if (info[0] === tcpState.synSent && this.family === 6) return 'pending'
    if (info[0] !== tcpState.synSent && info[0] !== tcpState.close) return 'connected'
    const value = new Uint8Array(4)
    this.libc.getsockopt(this.descriptor, solSocket, option.error, value, intBytes(4))
    const errno = intOf(value)
    if (errno !== 0) return errnoName(errno)
    const peer = new Uint8Array(28)
    return this.libc.getpeername(this.descriptor, peer, intBytes(28)) === 0 ? 'connected' : 'pending'
  }

  /** The next close sends RST. */
  abort(): void {
    this.libc.setsockopt(
      this.descriptor,
      solSocket,
      option.linger,
      new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]),
      8,
    )
    this.close()
  }

  shutdown(): Answer<number> {
    return this.answer(this.libc.shutdown(this.descriptor, 1))
  }

  /** Closes it once: the number may be another file's by the second time. */
  close(): void {
    if (this.open) this.libc.close(this.descriptor)
    this.open = false
  }

  private set(level: number, name: number, value: number): void {
    this.libc.setsockopt(this.descriptor, level, name, intBytes(value), 4)
  }

  private answer(result: number): Answer<number> {
    return result < 0 ? { errno: this.libc.errno() } : { ok: result }
  }
}

const names: Readonly<Record<number, string>> = {
  1: 'EPERM',
  13: 'EACCES',
  32: 'EPIPE',
  101: 'ENETUNREACH',
  104: 'ECONNRESET',
  110: 'ETIMEDOUT',
  111: 'ECONNREFUSED',
  113: 'EHOSTUNREACH',
  71: 'EPROTO',
  90: 'EMSGSIZE',
  92: 'ENOPROTOOPT',
}

function errnoName(number: number): string {
  return names[number] ?? `errno ${number}`
}
