// struct udp_sock: a datagram socket with its queue.
import type { IpAddress } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { Route } from '../ip/route.ts'
import type { Skb } from '../skb.ts'
import { type BaseSocket, createBase, extend, type OpenOptions } from './base.ts'
import type { Socket } from './socket.ts'

/** One received datagram. */
export interface Datagram {
  readonly data: Uint8Array
  readonly source: IpAddress
  readonly sourcePort: number
  /** Where it was sent to (IP_RECVORIGDSTADDR), which behind TPROXY is not where the socket is bound. */
  readonly destination: IpAddress
  readonly destinationPort: number
  readonly ifindex: number
  /** The flow it belongs to, by the name of its packet; '' without a trace. */
  readonly flow: string
  readonly truesize: number
  /** A packet whose checksum was left to whoever reads it, and is wrong. */
  readonly broken: Skb | undefined
  /** The packet that brought it, where packets are recorded. */
  readonly packet: Skb | undefined
}

/** What a tunnel does with the datagrams of its port. */
export interface UdpEncapsulation {
  /**
   * udp_sk(sk)->encap_rcv: the tunnel takes the datagram. `skb.data` stands at the UDP header, `end` is one past its last
   * byte. Owns the packet.
   */
  readonly receive: (skb: Skb, at: { readonly family: 4 | 6; readonly end: number }) => void
  /**
   * encap_err_lookup: whether the tunnel sent what an ICMP error of `skb` quotes; the quoted UDP header stands at `quoted`,
   * the quotation ends before `end`.
   */
  readonly sent: (
    skb: Skb,
    at: { readonly family: 4 | 6; readonly quoted: number; readonly end: number; readonly port: number },
  ) => boolean
}

export interface UdpSocket extends BaseSocket {
  readonly protocol: 17
  /** Set on the kernel's own sockets of tunnel devices. */
  encapsulation: UdpEncapsulation | undefined
  readonly queue: Datagram[]
  /** sk_rmem_alloc: what the queue is charged with. */
  queueBytes: number
  /** Datagrams sent so far: numbers their names. */
  sent: number
  /** inet_id: the next identification of a connected socket. */
  identification: number
  closed: boolean
  /** sk_dst_cache of a connected socket, and the state of the tables that it was found in. */
  route: Route | undefined
  routeGeneration: number
}

/** A new, unbound UDP socket. */
export function createUdp(open: OpenOptions): UdpSocket {
  return extend(createBase(open, ipProtocol.udp), {
    protocol: ipProtocol.udp,
    encapsulation: undefined,
    queue: [],
    queueBytes: 0,
    sent: 0,
    identification: 0,
    closed: false,
    route: undefined,
    routeGeneration: -1,
  })
}

/** Whether a socket in the UDP table is one of these: they all are. */
export function asUdp(socket: Socket): UdpSocket {
  return socket as UdpSocket
}
