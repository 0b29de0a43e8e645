// struct sock: what every socket has, whatever its protocol, and the tables in which packets find one. The protocols
// (udp.ts, tcp.ts, ping.ts) add their own fields; the lookups are in lookup.ts.
import type { IpAddress } from '../../net/address.ts'
import type { Namespace } from '../namespace.ts'
import type { CgroupSkbHooks } from './cgroup-skb.ts'
import type { SocketHooks } from './hooks.ts'

/** include/net/tcp_states.h; UDP sockets use `established` (connected) and `close`. */
export const socketState = {
  established: 1,
  synSent: 2,
  synReceived: 3,
  finWait1: 4,
  finWait2: 5,
  timeWait: 6,
  close: 7,
  closeWait: 8,
  lastAck: 9,
  listen: 10,
  closing: 11,
} as const

/** IP_MTU_DISCOVER: `want` (default) honours the path MTU, `do` refuses to exceed it, `dont` never sets DF. */
export type MtuDiscover = 'want' | 'do' | 'dont'

/** Socket options in use; the names are those of setsockopt. All may change while the socket is open. */
export interface SocketOptions {
  /** IP_TTL or IPV6_UNICAST_HOPS; undefined: the namespace's default. */
  ttl: number | undefined
  /** IP_TOS or IPV6_TCLASS. */
  tos: number
  /** SO_MARK. */
  mark: number
  mtuDiscover: MtuDiscover
  /** IP_RECVERR: soft errors are reported too. */
  recvErr: boolean
  /** SO_BINDTODEVICE: an ifindex, 0 for none. */
  device: number
  reuseAddr: boolean
  reusePort: boolean
  broadcast: boolean
  /** IP_TRANSPARENT: it may use addresses that are not the host's, and TPROXY may hand it packets. */
  transparent: boolean
  /** IPV6_V6ONLY. */
  v6only: boolean
  /** TCP_NODELAY. */
  noDelay: boolean
  /** TCP_MAXSEG: the largest segment to offer and to send (88 to 32767), 0 for none. */
  maxSegment: number
  /** SO_SNDBUF: how much of its packets may wait on this host (bytes, as charged). */
  sendBufferBytes: number
  /** SO_MAX_PACING_RATE (bytes a second); `Infinity` for none. Kept by fq, and by TCP itself where no fq is. */
  maxPacingRate: number
  /** SO_TXTIME: each packet asks to leave this long after it was sent (nanoseconds); undefined: at once. */
  departAfter: number | undefined
  /** SO_RCVBUF as charged (bytes of queued payload), a limit that drops. */
  receiveBufferBytes: number
}

/** The defaults of a new socket. */
export function defaultOptions(): SocketOptions {
  return {
    ttl: undefined,
    tos: 0,
    mark: 0,
    mtuDiscover: 'want',
    recvErr: false,
    device: 0,
    reuseAddr: false,
    reusePort: false,
    broadcast: false,
    transparent: false,
    v6only: false,
    noDelay: false,
    maxSegment: 0,
    sendBufferBytes: 212_992,
    maxPacingRate: Number.POSITIVE_INFINITY,
    departAfter: undefined,
    receiveBufferBytes: 212_992,
  }
}

/** An open socket. Addresses of a dual-stack socket that talks IPv4 are IPv4 addresses. */
export interface Socket {
  readonly ns: Namespace
  /** The family it was created with. */
  readonly family: 4 | 6
  /** IPPROTO_TCP, UDP, ICMP, ICMPV6. */
  readonly protocol: number
  /** The flow's name: its packets are born as `${label}.syn`, `${label}.data1` ... */
  readonly label: string
  /** SO_COOKIE: a counter of the machine, given out on first request. */
  readonly cookie: number
  /** One of `socketState`. */
  state: number
  /** inet_rcv_saddr: the unspecified address of the family when bound to none. */
  localAddress: IpAddress
  localPort: number
  remoteAddress: IpAddress
  remotePort: number
  readonly options: SocketOptions
  /** Order of creation in the namespace: decides among the sockets of a reuseport group. */
  readonly order: number
  /** sk_wmem_alloc: bytes of its packets that wait in queues of this host. */
  sendMemory: number
  /** Called once when some of them have left. */
  sendSpace: (() => void) | undefined
  /** sk_pacing_status: nobody keeps a rate, TCP itself should, or an fq that its packets pass does. */
  pacing: 'none' | 'needed' | 'fq'
  /** sk_txhash: what its packets have as their hash; 0 while it is not connected. */
  txHash: number
  /** sk_txrehash: it draws another when nothing comes back (`net.core.txrehash` as the socket was made). */
  txRehash: boolean
  /** sk_lookup and TPROXY may hand a packet to a socket that does not match its addresses. */
  readonly transparent: boolean
}

/** A chain of sockets under one number; most have one element. */
export type Chain<S extends Socket> = Map<number, S[]>

/**
 * The sockets of one namespace. Every table is keyed by a number: the local port for bound sockets, a hash of the four
 * words of a flow for connected TCP. Tables are made on first use, so that ten thousand empty namespaces cost nothing.
 */
export interface SocketTable {
  /** Sockets created so far. */
  created: number
  /** UDP sockets with a local port (udp_table). Newest first, as the kernel inserts at the head. */
  udp: Chain<Socket> | undefined
  /** TCP listeners (lhash2). Newest first. */
  tcpListeners: Chain<Socket> | undefined
  /** TCP sockets with both ends (ehash), by `flowKey`. */
  tcpFlows: Chain<Socket> | undefined
  /** TCP sockets by local port, for EADDRINUSE (bhash). */
  tcpPorts: Chain<Socket> | undefined
  /** ICMP and ICMPv6 echo sockets by identifier (ping_table and raw sockets). */
  echo: Chain<Socket> | undefined
  /** How often sockets with these ends drew an sk_txhash, by `flowKey`. */
  txDraws: Map<number, number> | undefined
  /** BPF programs on the cgroup that every socket of this namespace is created in; undefined while there are none. */
  hooks: SocketHooks | undefined
  /** Programs of the same cgroup that see packets (cgroup_skb); undefined while there are none. */
  skbHooks: CgroupSkbHooks | undefined
}

/** An empty table. */
export function createSocketTable(): SocketTable {
  return {
    created: 0,
    udp: undefined,
    tcpListeners: undefined,
    tcpFlows: undefined,
    tcpPorts: undefined,
    echo: undefined,
    txDraws: undefined,
    hooks: undefined,
    skbHooks: undefined,
  }
}
