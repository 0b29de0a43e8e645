// cilium-envoy on a node: listeners that packets are redirected to, the policy of pods on each request, 403 where none allows
// it, and connections on to the servers. bpf_metadata.cc and l7policy.cc of cilium/proxy, pkg/envoy/xds_server.go.

import { wantsClose } from '../../app/http-server.ts'
import { uuid } from '../../base/uuid.ts'
import { textHash } from '../../kernel/socket/ports.ts'
import { serveTcp } from '../../kernel/socket/program.ts'
import { tcpClose, tcpSend } from '../../kernel/socket/tcp.ts'
import type { TcpSocket } from '../../kernel/socket/tcp-socket.ts'
import { type HttpHeader, type HttpRequest, type HttpResponse, headerOf, writeHttp } from '../../net/http.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { Decision } from '../../trace/event.ts'
import { mark } from '../datapath/mark.ts'
import type { LogRecord } from './access-log.ts'
import type { ProxyBinding, ResetReason } from './dialect.ts'
import { acceptConnection, type Connection, type EnvoyListener, upstreamTarget } from './envoy-connection.ts'
import {
  filteredResponse,
  localReply,
  requestHeaders,
  sentResponse,
  upstreamRequest,
} from './http-headers.ts'
import { httpRecord } from './http-log.ts'
import { allowRequest } from './http-policy.ts'
import { normalPath } from './normal-path.ts'
import { endpointAt, listenAt, notice, type ProxyNode, packetName, redirectsOf } from './proxy-node.ts'
import { retryDelay, UpstreamPool } from './upstream.ts'

const program = 'cilium-envoy'
const accessDenied = 'Access denied\r\n'
/** http-retry-count: after a connection that failed, and after an answer of the server's fault (retry_on 5xx). */
const retries = 3

/** A request on its way. */
interface Exchange {
  readonly request: HttpRequest
  readonly path: string
  readonly headers: readonly HttpHeader[]
  /** The packet that brought it; '' without a trace. */
  readonly cause: string
  readonly started: number
  readonly attempt: number
}

class Envoy {
  readonly #node: ProxyNode
  readonly #listener: EnvoyListener
  readonly #pool: UpstreamPool
  readonly #connections = new WeakMap<TcpSocket, Connection>()

  constructor(node: ProxyNode, listener: EnvoyListener) {
    this.#node = node
    this.#listener = listener
    this.#pool = new UpstreamPool(node.ns, program)
  }

  listen({ family, address }: ProxyBinding): void {
    const { ns } = this.#node
    const { port, ingress } = this.#listener
    const magic = ingress ? mark.PROXY_INGRESS : mark.PROXY_EGRESS
    const options = { mark: magic, transparent: true, reuseAddr: true, reusePort: true, noDelay: true }
    const open = { ns, family, label: `${ns.name}-proxy-${port}`, options, program } as const
    serveTcp(listenAt(open, { address, port }), {
      accepted: (socket) => {
        this.#connections.set(socket, acceptConnection(this.#node, this.#listener, socket))
      },
      received: (socket, data) => {
        const connection = this.#connections.get(socket)
        connection?.stream.push(data)
        if (connection !== undefined) this.#next(connection)
        return undefined
      },
      ended: (socket) => {
        this.#connections.get(socket)?.waiting?.abandon()
        return 'close'
      },
    })
  }

  get #now(): number {
    return this.#node.ns.machine.clock.now
  }

  /** The next request of a connection, when none is under way. */
  #next(connection: Connection): void {
    if (connection.waiting !== undefined || connection.socket.orphan) return
    const message = connection.stream.take()
    if (message === undefined) return
    if (
      message === 'malformed' ||
      message.kind !== 'request' ||
      headerOf(message.headers, 'host') === undefined
    ) {
      this.#refuse(connection, localReply(400, ''), true)
      return
    }
    connection.requests += 1
    this.#decide(connection, message)
  }

  /** The connection manager itself answers: no filter has seen the request, nothing is logged. */
  #refuse(connection: Connection, response: HttpResponse, close: boolean): void {
    const decision: Decision = { code: 'ANSWER', target: String(response.status) }
    const { port } = this.#listener
    notice(this.#node, connection.socket.newest, { port, program, decision, logged: [] })
    this.#answerAndGoOn(connection, response, { close, cause: packetName(connection.socket.newest) })
  }

  #requestId({ socket, requests }: Connection): string {
    const { machine } = this.#node.ns
    const seed = textHash(`${socket.label} ${requests}`)
    return uuid((index) => machine.random('request-id', (seed + index) >>> 0))
  }

  /** AccessFilter::decodeHeaders() */
  #decide(connection: Connection, request: HttpRequest): void {
    const { path, redirect } = normalPath(request.target)
    const cause = packetName(connection.socket.newest)
    const close = wantsClose(request)
    if (redirect) {
      this.#refuse(connection, localReply(307, '', [{ name: 'location', value: path }]), close)
      return
    }
    const { client, sourceIdentity, destinationIdentity } = connection
    const headers = requestHeaders(request, client.address, this.#requestId(connection))
    const { ingress, port } = this.#listener
    const host = headerOf(headers, 'host') ?? ''
    const allowed = allowRequest(
      this.#redirects(connection),
      ingress ? sourceIdentity : destinationIdentity,
      { method: request.method, path, host, headers },
    )
    const exchange = { request, path, headers: allowed ?? headers, cause, started: this.#now, attempt: 0 }
    const decision: Decision = allowed === undefined ? { code: 'DENY', target: '403' } : { code: 'FORWARD' }
    const response = allowed === undefined ? localReply(403, accessDenied) : undefined
    const logged =
      response === undefined
        ? [this.#logged(connection, exchange, 'Forwarded')]
        : this.#denials(connection, exchange, response)
    notice(this.#node, connection.socket.newest, { port, program, decision, logged })
    if (response === undefined) this.#forward(connection, exchange)
    else this.#answerAndGoOn(connection, response, { close, cause })
  }

  #denials(connection: Connection, exchange: Exchange, response: HttpResponse): readonly LogRecord[] {
    if (this.#node.dialect.deniedOnce) return [this.#logged(connection, exchange, 'Denied', response)]
    return [
      this.#logged(connection, exchange, 'Denied'),
      this.#logged(connection, exchange, 'Forwarded', response),
    ]
  }

  #redirects({ client, server }: Connection) {
    const { ingress, port } = this.#listener
    const pod = ingress ? server.address : client.address
    const at = { ingress, port: server.port, protocol: ipProtocol.tcp, proxyPort: port }
    return redirectsOf(this.#node, endpointAt(this.#node, pod), at)
  }

  #forward(connection: Connection, exchange: Exchange): void {
    const { request, path, headers, cause, started } = exchange
    connection.waiting = this.#pool.send(upstreamTarget(this.#node, this.#listener, connection, cause), {
      message: upstreamRequest(request, path, headers),
      cause,
      answered: (response, upstream) => {
        if (response.status >= 500 && exchange.attempt < retries) return this.#retry(connection, exchange)
        const done = filteredResponse(response, this.#now - started)
        const { port } = this.#listener
        const logged = [this.#logged(connection, exchange, 'Forwarded', done)]
        notice(this.#node, upstream.newest, { port, program, decision: { code: 'FORWARD' }, logged })
        const from = packetName(upstream.newest)
        this.#finish(connection, exchange, done, from)
      },
      failed: (why) => {
        if (exchange.attempt < retries) return this.#retry(connection, exchange)
        const unavailable = this.#unavailable(why)
        const logged = [this.#logged(connection, exchange, 'Forwarded', unavailable)]
        const decision: Decision = { code: 'ANSWER', target: '503' }
        notice(this.#node, connection.socket.newest, { port: this.#listener.port, program, decision, logged })
        this.#finish(connection, exchange, unavailable, cause)
      },
    })
  }

  #retry(connection: Connection, exchange: Exchange): void {
    const { machine } = this.#node.ns
    const attempt = exchange.attempt + 1
    const random = machine.random('envoy-retry', textHash(connection.socket.label) + attempt)
    connection.waiting = { abandon: () => undefined }
    machine.clock.after(retryDelay(attempt, random), () => {
      if (!connection.socket.orphan) this.#forward(connection, { ...exchange, attempt })
    })
  }

  #unavailable(why: ResetReason): HttpResponse {
    return localReply(503, this.#node.dialect.unavailable(why))
  }

  #finish(connection: Connection, { request }: Exchange, response: HttpResponse, cause: string): void {
    connection.waiting = undefined
    this.#answerAndGoOn(connection, response, { close: wantsClose(request), cause })
  }

  /** The client may have sent its next request already. */
  #answerAndGoOn(
    connection: Connection,
    response: HttpResponse,
    how: { readonly close: boolean; readonly cause: string },
  ): void {
    this.#answer(connection, response, how)
    if (!how.close) this.#next(connection)
  }

  #answer(
    { socket }: Connection,
    response: HttpResponse,
    { close, cause }: { readonly close: boolean; readonly cause: string },
  ): void {
    if (socket.orphan) return
    const sent = sentResponse(response, this.#now)
    const headers = close ? [...sent.headers, { name: 'connection', value: 'close' }] : sent.headers
    tcpSend(socket, writeHttp({ ...sent, headers }), { name: 'response', cause })
    if (close) tcpClose(socket)
  }

  /** A line of the access log. */
  #logged(
    connection: Connection,
    exchange: Exchange,
    verdict: LogRecord['verdict'],
    response?: HttpResponse,
  ): LogRecord {
    const about = { verdict, response, ingress: this.#listener.ingress, now: this.#now }
    return httpRecord(this.#node, connection, exchange, about)
  }
}

/** Starts Envoy's listener on a node. */
export function startEnvoy(node: ProxyNode, listener: EnvoyListener, families: readonly (4 | 6)[]): void {
  const envoy = new Envoy(node, listener)
  for (const binding of node.dialect.bindings(families)) envoy.listen(binding)
}
