// Local ports: who may have which, and which one a socket gets that did not ask. Nothing here is random: the start of a
// search is a function of the seed and of the flow, so that unrelated traffic never moves a port.
// Linux: udp_lib_get_port(), inet_csk_get_port(), __inet_hash_connect().
import { type IpAddress, isIpv4, isUnspecified, sameIp } from '../../net/address.ts'
import type { Namespace } from '../namespace.ts'
import { addressHash } from './lookup.ts'
import { type Chain, type Socket, socketState } from './socket.ts'

/**
 * Whether a socket's address and that of one which has the port take each other's packets (inet_rcv_saddr_equal with
 * wildcards). An IPv6 socket that got its address by connect(2) alone still keeps 0.0.0.0 out.
 */
export function addressesOverlap(socket: Socket, other: Socket): boolean {
  const [own, taken] = [socket.localAddress, other.localAddress]
  if (isIpv4(own) === isIpv4(taken)) return isUnspecified(own) || isUnspecified(taken) || sameIp(own, taken)
  if (isIpv4(own)) return !other.options.v6only && (isUnspecified(own) || isUnspecified(taken))
  return !socket.options.v6only && isUnspecified(own)
}

/** __inet6_bind(): whoever asked for an IPv6 address of its own, and got it, takes no IPv4 any more. */
export function keepToFamily({ localAddress, options }: Socket): void {
  if (!isIpv4(localAddress) && !isUnspecified(localAddress)) options.v6only = true
}

function mayShare(left: Socket, right: Socket): boolean {
  if (left.options.reusePort && right.options.reusePort) return true
  const listening = left.state === socketState.listen || right.state === socketState.listen
  return left.options.reuseAddr && right.options.reuseAddr && !listening
}

/** Whether a port is taken for a socket: another one overlaps and does not share (udp_lib_lport_inuse, inet_bind_conflict). */
export function portConflict(table: Chain<Socket> | undefined, socket: Socket, port: number): boolean {
  const chain = table?.get(port)
  if (chain === undefined) return false
  return chain.some(
    (other) =>
      other !== socket &&
      (other.options.device === 0 ||
        socket.options.device === 0 ||
        other.options.device === socket.options.device) &&
      addressesOverlap(socket, other) &&
      !mayShare(socket, other),
  )
}

/** net.ipv4.ip_local_port_range. */
function portRange(ns: Namespace): { readonly first: number; readonly last: number } {
  return {
    first: ns.sysctls.get('net.ipv4.ip_local_port_range.first'),
    last: ns.sysctls.get('net.ipv4.ip_local_port_range.last'),
  }
}

/** A 32-bit hash of a label, so that two flows to one place start their search apart. */
export function textHash(text: string): number {
  let hash = 0x811c_9dc5
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193)
  return hash >>> 0
}

/** What a search for a port depends on. */
export interface PortSearch {
  readonly socket: Socket
  readonly remote: IpAddress
  readonly remotePort: number
  /** TCP connect takes ports of the range's own parity first and leaves the others to bind. */
  readonly step: 1 | 2
  readonly taken: (port: number) => boolean
}

/** The first free port from the flow's starting point on, or undefined when all are taken. */
export function ephemeralPort(search: PortSearch): number | undefined {
  const { socket, step } = search
  const { ns } = socket
  const { first, last } = portRange(ns)
  const count = last - first + 1
  if (count <= 0) return undefined
  const flow = (addressHash(search.remote, textHash(socket.label)) ^ (search.remotePort << 8)) >>> 0
  const start = ns.machine.random('port', flow * 256 + socket.protocol) % count
  const even = step === 2 ? start - (start % 2) : start
  for (let tried = 0; tried < count; tried += 1) {
    const port = first + candidate(even, tried, { count, step })
    if (!search.taken(port)) return port
  }
  return undefined
}

/** Offset of the n-th try: with step 2 all of one parity come before the others. */
function candidate(
  start: number,
  tried: number,
  { count, step }: { readonly count: number; readonly step: 1 | 2 },
): number {
  if (step === 1) return (start + tried) % count
  const evens = Math.ceil(count / 2)
  if (tried < evens) return ((start / 2 + tried) % evens) * 2
  return ((tried - evens + start / 2) % Math.floor(count / 2)) * 2 + 1
}

/** Whether a port needs a privilege that the sockets of a scenario have unless they say otherwise. */
export function isPrivileged(ns: Namespace, port: number): boolean {
  return port !== 0 && port < ns.sysctls.get('net.ipv4.ip_unprivileged_port_start')
}
