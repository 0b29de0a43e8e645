// How the DNS proxy asks name servers: by the transport that the client chose, a socket for each query; over TCP and from the pod's
// own address one connection for as long as the client keeps its own (dnsproxy/shared_client.go).

import { DnsStream, framedDns } from '../../app/dns-stream.ts'
import { cancel, second } from '../../kernel/clock.ts'
import type { Skb } from '../../kernel/skb.ts'
import { failed } from '../../kernel/socket/errno.ts'
import { socketState } from '../../kernel/socket/socket.ts'
import { tcpBind, tcpClose, tcpConnect, tcpOpen, tcpReceive, tcpSend } from '../../kernel/socket/tcp.ts'
import type { TcpSocket } from '../../kernel/socket/tcp-socket.ts'
import { udpBind, udpClose, udpConnect, udpOpen, udpSend } from '../../kernel/socket/udp.ts'
import { udpReceive } from '../../kernel/socket/udp-read.ts'
import { isIpv4 } from '../../net/address.ts'
import { type DnsMessage, readDns, writeDns } from '../../net/dns.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { DnsSession } from './dns-session.ts'
import { type ProxyNode, packetName } from './proxy-node.ts'

/** ProxyForwardTimeout. */
const forwardTime = 10 * second

/** A query on its way to a server. */
export interface DnsAsk {
  readonly session: DnsSession
  readonly query: DnsMessage
  /** SO_MARK; 0 leaves it out. */
  readonly mark: number
  /** The pod's own address and port are kept. */
  readonly keeps: boolean
  /** enable-bpf-tproxy: sockets do not share ports. */
  readonly bpfTproxy: boolean
  readonly program: string
}

/** What became of it; `packet` brought the answer. */
export type DnsOutcome =
  | { readonly response: DnsMessage; readonly packet: Skb | undefined }
  | 'timeout'
  | 'failed'

type Done = (outcome: DnsOutcome) => void

function socketOptions({ mark, keeps, bpfTproxy }: DnsAsk) {
  const own = keeps ? { transparent: true, reuseAddr: true, reusePort: !bpfTproxy } : {}
  // Go's connections do not wait
  const all = { noDelay: true, ...own }
  return mark === 0 ? all : { mark, ...all }
}

function upstreamLabel({ session: { flow } }: DnsAsk): string {
  return `${flow}.upstream`
}

/** By a datagram. */
function askByDatagram(
  { ns }: ProxyNode,
  ask: DnsAsk,
  numbered: (port: number) => DnsMessage,
  done: Done,
): void {
  const { session, keeps, program } = ask
  const label = upstreamLabel(ask)
  const family = isIpv4(session.server.address) ? 4 : 6
  const opened = udpOpen({ ns, family, label, options: socketOptions(ask), program })
  if (failed(opened)) return done('failed')
  const socket = opened.ok
  const finish = (outcome: DnsOutcome): void => {
    cancel(timer)
    udpClose(socket)
    done(outcome)
  }
  const { clock } = ns.machine
  const timer = clock.after(forwardTime, () => finish('timeout'))
  const isBound = !keeps || !failed(udpBind(socket, session.client))
  if (!isBound || failed(udpConnect(socket, session.server))) return finish('failed')
  const query = numbered(socket.localPort)
  const read = (): void => {
    if (socket.closed) return
    const got = udpReceive(socket)
    if (failed(got)) {
      if (got.errno !== 'EAGAIN') finish('failed')
      return
    }
    const response = readDns(got.ok.data)
    if (response?.id === query.id) finish({ response, packet: got.ok.packet })
  }
  socket.watchers.push(() => clock.atRest(read))
  const cause = packetName(session.packet)
  udpSend(socket, writeDns(query), { name: `${label}.request`, cause, label })
}

/** A connection to a server. */
class StreamClient {
  readonly #socket: TcpSocket
  readonly #stream = new DnsStream()
  readonly #waiting = new Map<number, Done>()
  #unsent: { readonly bytes: Uint8Array; readonly cause: string }[] = []
  #queued = false
  #over = false

  constructor(socket: TcpSocket) {
    this.#socket = socket
    socket.watchers.push(() => this.#soon())
  }

  get usable(): boolean {
    return !this.#over
  }

  send(query: DnsMessage, cause: string, done: Done): void {
    this.#waiting.set(query.id, done)
    this.#unsent.push({ bytes: framedDns(writeDns(query)), cause })
    this.#soon()
  }

  /** Nobody waits for the answer any more. */
  forget({ id }: DnsMessage): void {
    this.#waiting.delete(id)
  }

  close(): void {
    if (this.#over) return
    this.#over = true
    tcpClose(this.#socket)
  }

  #soon(): void {
    if (this.#queued || this.#over) return
    this.#queued = true
    this.#socket.ns.machine.clock.atRest(() => {
      this.#queued = false
      if (!this.#over) this.#work()
    })
  }

  #work(): void {
    const socket = this.#socket
    if (socket.state === socketState.synSent) return
    const broken = socket.error !== undefined || socket.state === socketState.close
    if (!broken) {
      for (const { bytes, cause } of this.#unsent) tcpSend(socket, bytes, { name: 'request', cause })
      this.#unsent = []
      const got = tcpReceive(socket)
      if (!failed(got)) this.#stream.push(got.ok)
      this.#answers()
    }
    if (!broken && !socket.peerClosed) return
    this.close()
    for (const done of [...this.#waiting.values()]) done('failed')
    this.#waiting.clear()
  }

  #answers(): void {
    for (let message = this.#stream.take(); message !== undefined; message = this.#stream.take()) {
      const response = readDns(message)
      const done = response === undefined ? undefined : this.#waiting.get(response.id)
      if (response === undefined || done === undefined) continue
      this.#waiting.delete(response.id)
      done({ response, packet: this.#socket.newest })
    }
  }
}

/** The clients of one proxy. */
export class DnsClients {
  readonly #node: ProxyNode
  /** Connections that are kept, by both ends. */
  readonly #kept = new Map<string, StreamClient>()

  constructor(node: ProxyNode) {
    this.#node = node
  }

  /** Asks; `numbered` gives the query as the server gets it, from a socket with this port. */
  ask(ask: DnsAsk, numbered: (port: number) => DnsMessage, done: Done): void {
    if (ask.session.protocol === ipProtocol.udp) askByDatagram(this.#node, ask, numbered, done)
    else this.#askByStream(ask, numbered, done)
  }

  #askByStream(ask: DnsAsk, numbered: (port: number) => DnsMessage, done: Done): void {
    const { session, keeps } = ask
    const { client: from, server: to } = session
    const key = JSON.stringify([from, to])
    const known = keeps ? this.#kept.get(key) : undefined
    const client = known?.usable === true ? known : this.#connect(ask)
    if (client === undefined) return done('failed')
    const query = numbered(from.port)
    const finish = (outcome: DnsOutcome): void => {
      cancel(timer)
      client.forget(query)
      if (!keeps) client.close()
      done(outcome)
    }
    const timer = this.#node.ns.machine.clock.after(forwardTime, () => finish('timeout'))
    client.send(query, packetName(session.packet), finish)
    if (!keeps || client === known) return
    this.#kept.set(key, client)
    session.onEnd(() => {
      client.close()
      this.#kept.delete(key)
    })
  }

  #connect(ask: DnsAsk): StreamClient | undefined {
    const { session, keeps, program } = ask
    const { ns } = this.#node
    const family = isIpv4(session.server.address) ? 4 : 6
    const open = { ns, family, label: upstreamLabel(ask), options: socketOptions(ask), program } as const
    const opened = tcpOpen({ ...open, cause: packetName(session.packet) })
    if (failed(opened)) return undefined
    const socket = opened.ok
    const isBound = !keeps || !failed(tcpBind(socket, session.client))
    if (isBound && !failed(tcpConnect(socket, session.server))) return new StreamClient(socket)
    tcpClose(socket)
    return undefined
  }
}
