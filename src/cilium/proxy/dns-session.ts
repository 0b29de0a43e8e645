// Who asks the DNS proxy: a datagram, or a connection of which one query after the other is served (dnsproxy/udp.go; server.go of
// miekg/dns: the first query within two seconds, each further one within eight, 128 at most).

import { DnsStream, framedDns } from '../../app/dns-stream.ts'
import { cancel, second, type Timer } from '../../kernel/clock.ts'
import type { Namespace } from '../../kernel/namespace.ts'
import type { Skb } from '../../kernel/skb.ts'
import type { SocketAddress } from '../../kernel/socket/hooks.ts'
import { sendRawUdp } from '../../kernel/socket/raw-udp.ts'
import { tcpClose, tcpSend } from '../../kernel/socket/tcp.ts'
import type { TcpSocket } from '../../kernel/socket/tcp-socket.ts'
import type { Datagram } from '../../kernel/socket/udp-socket.ts'
import { isIpv4 } from '../../net/address.ts'
import { type DnsMessage, readDns, writeDns } from '../../net/dns.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { mark } from '../datapath/mark.ts'
import type { ProxyNode } from './proxy-node.ts'

const times = { first: 2 * second, next: 8 * second } as const
const queriesMax = 128

/** Where a query came from, and how it is answered. */
export interface DnsSession {
  readonly protocol: typeof ipProtocol.tcp | typeof ipProtocol.udp
  readonly client: SocketAddress
  readonly server: SocketAddress
  /** The label of the client's flow. */
  readonly flow: string
  /** The packet that brought the query. */
  readonly packet: Skb | undefined
  /** `cause` names the packet that made the answer possible. */
  readonly reply: (message: DnsMessage, cause: string) => void
  /** What to do when the client has gone. */
  readonly onEnd: (done: () => void) => void
}

/** WriteResponse(): by a raw socket, from the server's address. */
export function datagramSession({ ns, dialect }: ProxyNode, datagram: Datagram): DnsSession {
  const { source, sourcePort, destination, destinationPort, flow, packet } = datagram
  const client = { address: source, port: sourcePort }
  const server = { address: destination, port: destinationPort }
  const reply = (message: DnsMessage, cause: string): void => {
    const data = writeDns(message)
    // 1.10 leaves it out over IPv6, too, where no receiver takes that
    const checksum = !isIpv4(client.address) && !dialect.plainDnsClient
    const name = `${flow}.response`
    sendRawUdp(ns, { from: server, to: client, mark: mark.PROXY_EGRESS, checksum, data, name, cause, flow })
  }
  return { protocol: ipProtocol.udp, client, server, flow, packet, reply, onEnd: () => undefined }
}

/** A connection of a client. */
export class StreamSessions {
  readonly #socket: TcpSocket
  readonly #ns: Namespace
  readonly #serve: (session: DnsSession, query: DnsMessage) => void
  readonly #stream = new DnsStream()
  #ends: (() => void)[] = []
  #timer: Timer | undefined
  #served = 0
  /** One query at a time. */
  #busy = false

  constructor(socket: TcpSocket, serve: (session: DnsSession, query: DnsMessage) => void) {
    this.#socket = socket
    this.#ns = socket.ns
    this.#serve = serve
    this.#await(times.first)
  }

  received(data: Uint8Array): void {
    this.#stream.push(data)
    this.#next()
  }

  /** The client has closed: so do the connections to servers. */
  ended(): void {
    cancel(this.#timer)
    for (const end of this.#ends) end()
    this.#ends = []
  }

  #await(time: number): void {
    cancel(this.#timer)
    this.#timer = this.#ns.machine.clock.after(time, () => this.#close())
  }

  #close(): void {
    this.ended()
    tcpClose(this.#socket)
  }

  #next(): void {
    if (this.#busy || this.#socket.orphan) return
    const message = this.#stream.take()
    if (message === undefined) return
    cancel(this.#timer)
    const query = readDns(message)
    if (query === undefined || query.isResponse) return this.#close()
    this.#busy = true
    this.#served += 1
    this.#serve(this.#session(), query)
  }

  #session(): DnsSession {
    const socket = this.#socket
    return {
      protocol: ipProtocol.tcp,
      client: { address: socket.remoteAddress, port: socket.remotePort },
      server: { address: socket.localAddress, port: socket.localPort },
      flow: socket.label,
      packet: socket.newest,
      reply: (message, cause) => {
        this.#busy = false
        if (socket.orphan) return
        tcpSend(socket, framedDns(writeDns(message)), { name: 'response', cause })
        if (this.#served >= queriesMax) return this.#close()
        this.#await(times.next)
        this.#next()
      },
      onEnd: (done) => this.#ends.push(done),
    }
  }
}
