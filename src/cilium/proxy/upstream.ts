// Connections of cilium-envoy to servers: opened on the first request, kept for the next one, closed after a minute without
// work (proxy-idle-timeout-seconds). Which connection a request may take depends on the server, and on the client's own
// address or identity (SourceAddressSocketOption::hashKey of cilium/proxy).

import { wantsClose } from '../../app/http-server.ts'
import { HttpStream } from '../../app/http-stream.ts'
import { cancel, millisecond, second, type Timer } from '../../kernel/clock.ts'
import type { Namespace } from '../../kernel/namespace.ts'
import { failed } from '../../kernel/socket/errno.ts'
import type { SocketAddress } from '../../kernel/socket/hooks.ts'
import { socketState } from '../../kernel/socket/socket.ts'
import { tcpBind, tcpClose, tcpConnect, tcpOpen, tcpReceive, tcpSend } from '../../kernel/socket/tcp.ts'
import type { TcpSocket } from '../../kernel/socket/tcp-socket.ts'
import { isIpv4 } from '../../net/address.ts'
import { type HttpRequest, type HttpResponse, writeHttp } from '../../net/http.ts'
import type { ResetReason } from './dialect.ts'

const idleTime = 60 * second
/** proxy-connect-timeout. */
const connectTime = 2 * second

/** Where a request goes and what its packets carry. */
export interface UpstreamTarget {
  readonly to: SocketAddress
  /** The client's own address and port, where they are kept. */
  readonly from: SocketAddress | undefined
  /** IP_TRANSPARENT. */
  readonly transparent: boolean
  /** SO_MARK. */
  readonly mark: number
  /** Requests with the same key may share a connection. */
  readonly key: string
  /** The label of its packets: `f1.upstream`, `f1.upstream2` for a second connection. */
  readonly label: string
  /** The packet that brought the request; '' without a trace. */
  readonly cause: string
}

export interface UpstreamRequest {
  readonly message: HttpRequest
  readonly cause: string
  /** The newest packet of `connection` brought the response's last bytes. */
  readonly answered: (response: HttpResponse, connection: TcpSocket) => void
  readonly failed: (why: ResetReason) => void
}

/** One connection. */
class Upstream {
  readonly socket: TcpSocket
  readonly #gone: () => void
  readonly #stream = new HttpStream()
  #request: UpstreamRequest | undefined
  #sent = false
  #timer: Timer | undefined
  #queued = false
  #over = false

  constructor(socket: TcpSocket, gone: () => void) {
    this.socket = socket
    this.#gone = gone
    socket.watchers.push(() => this.#soon())
  }

  get idle(): boolean {
    return this.#request === undefined && !this.#over && this.socket.state === socketState.established
  }

  /** Takes a request; it leaves as soon as the connection stands. */
  take(request: UpstreamRequest): void {
    this.#request = request
    this.#sent = false
    cancel(this.#timer)
    const { clock } = this.socket.ns.machine
    if (this.socket.state === socketState.synSent)
      this.#timer = clock.after(connectTime, () => this.#end('timeout'))
    this.#soon()
  }

  /** The client has gone: nobody waits for the answer any more. */
  abandon(): void {
    this.#request = undefined
    this.#end(undefined)
  }

  #soon(): void {
    if (this.#queued || this.#over) return
    this.#queued = true
    this.socket.ns.machine.clock.atRest(() => {
      this.#queued = false
      this.#work()
    })
  }

  #work(): void {
    if (this.#over) return
    const { socket } = this
    if (socket.error === 'ECONNREFUSED') {
      return this.#end('refused')
    }
    if (socket.error !== undefined || socket.state === socketState.close) return this.#end('reset')
    if (socket.state === socketState.synSent) return
    this.#send()
    this.#read()
    if (!this.#over && socket.peerClosed) this.#end('termination')
  }

  #send(): void {
    if (this.#request === undefined || this.#sent) return
    cancel(this.#timer)
    this.#sent = true
    const { message, cause } = this.#request
    tcpSend(this.socket, writeHttp(message), { name: 'request', cause })
  }

  #read(): void {
    const got = tcpReceive(this.socket)
    if (failed(got) || got.ok.length === 0) return
    this.#stream.push(got.ok)
    const request = this.#request
    const response = this.#stream.take(request?.message.method)
    if (response === undefined) return
    if (response === 'malformed' || response.kind !== 'response' || request === undefined)
      return this.#end('reset')
    this.#request = undefined
    if (wantsClose(response)) this.#end(undefined)
    else this.#timer = this.socket.ns.machine.clock.after(idleTime, () => this.#end(undefined))
    request.answered(response, this.socket)
  }

  /** The connection ends; who still waits is told why. */
  #end(why: ResetReason | undefined): void {
    if (this.#over) return
    this.#over = true
    cancel(this.#timer)
    this.#gone()
    const request = this.#request
    this.#request = undefined
    tcpClose(this.socket)
    if (why !== undefined) request?.failed(why)
  }
}

/** The connections of one proxy to servers. */
export class UpstreamPool {
  readonly #ns: Namespace
  readonly #program: string
  readonly #open = new Map<string, Upstream[]>()
  /** How many connections had a label. */
  readonly #opened = new Map<string, number>()

  constructor(ns: Namespace, program: string) {
    this.#ns = ns
    this.#program = program
  }

  /** Sends a request on an idle connection of its kind, or on a new one. Answers how to give it up. */
  send(target: UpstreamTarget, request: UpstreamRequest): { readonly abandon: () => void } {
    const known = this.#open.get(target.key)?.find(({ idle }) => idle)
    const upstream = known ?? this.#connect(target)
    if (upstream === undefined) {
      const { clock } = this.#ns.machine
      clock.atRest(() => request.failed('reset'))
      return { abandon: () => undefined }
    }
    upstream.take(request)
    return upstream
  }

  #connect({ to, from, transparent, mark, key, label, cause }: UpstreamTarget): Upstream | undefined {
    const options = { mark, transparent, reuseAddr: true, reusePort: true, noDelay: true }
    const family = isIpv4(to.address) ? 4 : 6
    const number = (this.#opened.get(label) ?? 0) + 1
    this.#opened.set(label, number)
    const name = number === 1 ? label : `${label}${number}`
    const open = { ns: this.#ns, family, label: name, options, program: this.#program, cause } as const
    const opened = tcpOpen(open)
    if (failed(opened)) return undefined
    const socket = opened.ok
    const bound = from === undefined || !failed(tcpBind(socket, from))
    if (!bound || failed(tcpConnect(socket, to))) {
      tcpClose(socket)
      return undefined
    }
    const list = this.#open.get(key) ?? []
    this.#open.set(key, list)
    const upstream: Upstream = new Upstream(socket, () => {
      list.splice(list.indexOf(upstream), 1)
    })
    list.push(upstream)
    return upstream
  }
}

/** Retries wait up to 25 ms, then 75 ms, 175 ms (base interval 25 ms, doubled and less one, at most 250 ms). */
export function retryDelay(attempt: number, random: number): number {
  const most = Math.min(250, (2 ** attempt - 1) * 25)
  return (random % most) * millisecond
}
