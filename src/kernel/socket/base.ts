// What all kinds of sockets are made of: creation with its hook, waiting and waking, and the errors they keep.
import { anyIpv4, anyIpv6, type IpAddress, isIpv4 } from '../../net/address.ts'
import type { Namespace } from '../namespace.ts'
import type { Errno } from './errno.ts'
import { hasSocketHook, runSocketHook, type SocketAddressContext, type SocketHookName } from './hooks.ts'
import { defaultOptions, type Socket, type SocketOptions, socketState } from './socket.ts'

/** What a caller says of a new socket. */
export interface OpenOptions {
  readonly ns: Namespace
  readonly family: 4 | 6
  /** The flow's name; packets are named after it. */
  readonly label: string
  readonly options?: Partial<SocketOptions>
  /** The program that holds it, as a trace names who received a packet; default `socket`. */
  readonly program?: string
  /** The packet that made a program open it: the cause of its first one. */
  readonly cause?: string
}

/** The parts of a socket that change as it lives, common to all protocols (struct sock). */
export interface BaseSocket extends Socket {
  /** sk_err: reported once, by the next call. */
  error: Errno | undefined
  /** sk_err_soft: reported only when the connection fails. */
  softError: Errno | undefined
  /** sk_error_queue of IP_RECVERR, oldest first. */
  readonly errorQueue: QueuedError[]
  /** Called after anything a waiting program could see has changed. */
  readonly watchers: (() => void)[]
  /** The program that holds it: `socket`, `cilium-envoy`. */
  readonly program: string
  /** The packet that made a program open it; '' for none. */
  readonly cause: string
}

/** struct sock_extended_err. */
export interface QueuedError {
  readonly errno: Errno
  readonly origin: 'local' | 'icmp' | 'icmp6'
  readonly type: number
  readonly code: number
  /** The MTU of EMSGSIZE, otherwise 0. */
  readonly info: number
  /** Who sent the ICMP error. */
  readonly offender: IpAddress | undefined
}

/** 0.0.0.0 or `::`. */
export function anyAddress(family: 4 | 6): IpAddress {
  return family === 4 ? anyIpv4 : anyIpv6
}

/** The family that a packet with this address has. */
export function familyOf(address: IpAddress): 4 | 6 {
  return isIpv4(address) ? 4 : 6
}

/**
 * The common part. A class, because the cookie is made on first use: a getter written into an object literal would give
 * every socket a hidden class of its own, which keeps its machine alive until the next full garbage collection.
 */
export class Base implements BaseSocket {
  readonly ns: Namespace
  readonly family: 4 | 6
  readonly protocol: number
  readonly label: string
  state = socketState.close as number
  localAddress: IpAddress
  localPort = 0
  remoteAddress: IpAddress
  remotePort = 0
  readonly options: SocketOptions
  readonly order: number
  sendMemory = 0
  sendSpace: (() => void) | undefined = undefined
  pacing: Socket['pacing'] = 'none'
  txHash = 0
  txRehash: boolean
  error: Errno | undefined
  softError: Errno | undefined
  readonly errorQueue: QueuedError[] = []
  readonly watchers: (() => void)[] = []
  readonly program: string
  readonly cause: string
  private given = 0

  constructor(open: OpenOptions, protocol: number) {
    const { sockets } = open.ns
    sockets.created += 1
    this.ns = open.ns
    this.family = open.family
    this.protocol = protocol
    this.label = open.label
    this.program = open.program ?? 'socket'
    this.cause = open.cause ?? ''
    this.localAddress = anyAddress(open.family)
    this.remoteAddress = anyAddress(open.family)
    this.options = { ...defaultOptions(), ...open.options }
    if (this.options.maxPacingRate !== Number.POSITIVE_INFINITY) this.pacing = 'needed'
    this.order = sockets.created
    this.txRehash = open.ns.sysctls.get('net.core.txrehash') === 1
  }

  get transparent(): boolean {
    return this.options.transparent
  }

  get cookie(): number {
    if (this.given === 0) this.given = this.ns.machine.nextCookie()
    return this.given
  }
}

/** The common part of a new, unbound socket. */
export function createBase(open: OpenOptions, protocol: number): BaseSocket {
  return new Base(open, protocol)
}

/** Adds a protocol's own fields to the common part, which stays one object (its cookie is made on first use). */
export function extend<T extends object>(base: BaseSocket, own: T): BaseSocket & T {
  return Object.assign(base, own)
}

/** Tells everybody who waits for this socket that something changed (sk_data_ready, sk_state_change, sk_error_report). */
export function wake(socket: BaseSocket): void {
  for (const watcher of socket.watchers) watcher()
}

/** sock_error: takes the pending error. */
export function takeError(socket: BaseSocket): Errno | undefined {
  const { error } = socket
  socket.error = undefined
  return error
}

/** A context for a hook of this socket with the addresses of the call. */
export function hookContext(
  socket: Socket,
  hook: SocketHookName,
  at: { readonly address: IpAddress; readonly port: number },
): SocketAddressContext {
  return {
    hook,
    socket,
    family: socket.family,
    address: at.address,
    port: at.port,
    source: anyAddress(socket.family),
    retval: undefined,
    bypassPrivileged: false,
  }
}

/** Runs `sock_create` or `sock_release`; only the first can refuse (EPERM). */
export function runLifetimeHook(socket: Socket, hook: 'sock_create' | 'sock_release'): Errno | undefined {
  if (!hasSocketHook(socket, hook)) return undefined
  return runSocketHook(hookContext(socket, hook, { address: anyAddress(socket.family), port: 0 }))
}
