// cgroup socket hooks: where BPF programs may look at a socket call, change its addresses or refuse it.
// What enters is the call's addresses; what leaves is an errno or nothing. Without programs a call costs one comparison.
//
// Order and errno rules (recorded on 6.18): all run before source address selection, route lookup and packet creation;
// every program of the list runs even after one denied; any denial is EPERM unless a program set another errno.
import type { IpAddress } from '../../net/address.ts'
import type { Errno } from './errno.ts'
import type { Socket } from './socket.ts'

/** enum bpf_attach_type of the cgroup socket hooks, by their names in bpftool. The family follows from the socket. */
export type SocketHookName =
  | 'sock_create'
  | 'sock_release'
  | 'bind'
  | 'post_bind'
  | 'connect'
  | 'sendmsg'
  | 'recvmsg'
  | 'getpeername'
  | 'getsockname'

/** struct bpf_sock_addr: what a program may read and, where it says so, change. */
export interface SocketAddressContext {
  readonly hook: SocketHookName
  readonly socket: Socket
  /** 4 for AF_INET calls, 6 for AF_INET6 ones: `::ffff:a.b.c.d` is the business of the IPv6 hook. */
  readonly family: 4 | 6
  /** user_ip4 / user_ip6; may be changed. */
  address: IpAddress
  /** user_port, host byte order; may be changed. */
  port: number
  /** msg_src_ip4 / msg_src_ip6 of sendmsg; may be changed. Unspecified for an unconnected socket. */
  source: IpAddress
  /** bpf_set_retval: the errno to answer with, undefined when no program set one. */
  retval: Errno | undefined
  /** bind: bit 1 of the return value, skip the check for privileged ports. */
  bypassPrivileged: boolean
}

/** One attached program: its return value (0 denies, 1 allows; bind: bit 1 as above). */
export type SocketHookProgram = (context: SocketAddressContext) => number

/** Attached programs, children's cgroups first, each in attach order (BPF_F_ALLOW_MULTI). */
export type SocketHooks = Map<SocketHookName, SocketHookProgram[]>

/** The address part of a call, before and after the hook. */
export interface SocketAddress {
  readonly address: IpAddress
  readonly port: number
}

/** Attaches a program at the end of a hook's list and answers how to take it off again. */
export function attachSocketHook(
  table: { hooks: SocketHooks | undefined },
  hook: SocketHookName,
  program: SocketHookProgram,
): () => void {
  const hooks: SocketHooks = table.hooks ?? new Map<SocketHookName, SocketHookProgram[]>()
  table.hooks = hooks
  const list = hooks.get(hook) ?? []
  hooks.set(hook, list)
  list.push(program)
  return () => {
    const at = list.indexOf(program)
    if (at >= 0) list.splice(at, 1)
  }
}

/** Whether any program listens at a hook of this socket; the caller then makes a context. */
export function hasSocketHook(socket: Socket, hook: SocketHookName): boolean {
  const hooks = socket.ns.sockets.hooks
  return hooks !== undefined && (hooks.get(hook)?.length ?? 0) > 0
}

/**
 * Runs all programs of a hook (__cgroup_bpf_run_filter_sock_addr): undefined goes on, else the errno of the call.
 * `recvmsg`, `getpeername`, `getsockname` and `sock_release` cannot refuse.
 */
export function runSocketHook(context: SocketAddressContext): Errno | undefined {
  const list = context.socket.ns.sockets.hooks?.get(context.hook)
  if (list === undefined) return undefined
  let denied = false
  for (const program of list) {
    const code = program(context)
    if ((code & 1) === 0) denied = true
    if (context.hook === 'bind' && (code & 2) !== 0) context.bypassPrivileged = true
  }
  if (context.retval !== undefined) return context.retval
  return denied ? 'EPERM' : undefined
}
